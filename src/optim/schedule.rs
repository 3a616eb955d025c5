//! Learning-rate schedules: linear warm-up, then linear or cosine decay.

use crate::experiment::{Decay, Schedule, Training};
use std::f64::consts::PI;

impl Schedule {
    /// The factor on the learning rate when the fraction `progress` in \[0, 1\] of all steps is done; with warm-up w and, after it,
    /// s = (progress - w) / (1 - w),
    ///
    /// | | |
    /// |---|---|
    /// | progress < w | progress / w |
    /// | [`Decay::Linear`] | 1 - s |
    /// | [`Decay::Cosine`] | (1 + cos(pi s)) / 2 (Loshchilov and Hutter 2016, equation 5) |
    pub fn factor(&self, progress: f64) -> f64 {
        if progress < self.warm_up {
            return progress / self.warm_up;
        }
        let rest = (progress - self.warm_up) / (1.0 - self.warm_up);
        match self.decay {
            Decay::Linear => 1.0 - rest,
            Decay::Cosine => 0.5 * (1.0 + (PI * rest).cos()),
        }
    }
}

impl Training {
    /// The learning rate of step `step`, counted from 0, of all `steps`; none without a schedule. It is taken at the middle of the step, so
    /// that neither the first nor the last step has a rate of 0.
    pub fn learning_rate_at(&self, step: i64, steps: i64) -> Option<f64> {
        self.schedule.as_ref().map(|schedule| self.learning_rate * schedule.factor((step as f64 + 0.5) / steps as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_to_its_height_and_falls_to_nothing() {
        let cases = [
            (Decay::Linear, [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]),
            (Decay::Cosine, [0.0, 0.5, 1.0, 0.5 + 0.5 * 0.5_f64.sqrt(), 0.5, 0.5 - 0.5 * 0.5_f64.sqrt(), 0.0]),
        ];
        for (decay, expected) in cases {
            let schedule = Schedule { warm_up: 0.2, decay };
            for (share, expected) in [0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0].into_iter().zip(expected) {
                assert!((schedule.factor(share) - expected).abs() < 1e-12, "{decay:?} at {share}");
            }
        }
        assert_eq!(Schedule { warm_up: 0.0, decay: Decay::Cosine }.factor(0.0), 1.0, "without warm-up it begins at its height");
    }
}
