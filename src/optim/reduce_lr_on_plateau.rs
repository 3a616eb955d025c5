//! Learning-rate reduction on a plateau of the validation loss.

use serde::{Deserialize, Serialize};

/// The rule of PyTorch's scheduler of this name (mode `min`, threshold relative, no cooldown): a loss is an improvement if it is below
/// the best one times `1 - threshold`; after more than `patience` epochs without one, the learning rate is multiplied by `factor`, and
/// the counting starts anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReduceLrOnPlateau {
    factor: f64,
    patience: u32,
    threshold: f64,
    best: f64,
    epochs_without_improvement: u32,
}

impl ReduceLrOnPlateau {
    pub fn new(factor: f64, patience: u32, threshold: f64) -> ReduceLrOnPlateau {
        ReduceLrOnPlateau { factor, patience, threshold, best: f64::INFINITY, epochs_without_improvement: 0 }
    }

    /// Looks at an epoch's validation loss and gives the learning rate for the next epoch.
    pub fn observe(&mut self, loss: f64, learning_rate: f64) -> f64 {
        if loss < self.best * (1.0 - self.threshold) {
            (self.best, self.epochs_without_improvement) = (loss, 0);
            return learning_rate;
        }
        self.epochs_without_improvement += 1;
        if self.epochs_without_improvement <= self.patience {
            return learning_rate;
        }
        self.epochs_without_improvement = 0;
        learning_rate * self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Split;
    use crate::points::Panel;
    use crate::reported::Reported;
    use std::path::Path;

    /// The epochs after which the rate falls.
    fn drops(rule: &mut ReduceLrOnPlateau, losses: &[f64]) -> Vec<usize> {
        let mut rate = 1.0;
        let mut fell = |loss: &f64| {
            let before = rate;
            rate = rule.observe(*loss, rate);
            rate < before
        };
        (1..).zip(losses).filter(|(_, loss)| fell(loss)).map(|(epoch, _)| epoch).collect()
    }

    #[test]
    fn the_rate_falls_after_more_than_patience_epochs_without_improvement() {
        let cases: [(&[f64], &[usize]); 5] = [
            (&[5.0, 4.0, 3.0, 2.0, 1.0], &[]),
            (&[1.0, 1.0, 1.0, 1.0, 1.0], &[4]),
            (&[1.0, 2.0, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0], &[7, 10]),
            // 0.95 is no improvement on 1 where a tenth is asked for; 0.89 is.
            (&[1.0, 0.95, 0.95, 0.95], &[4]),
            (&[1.0, 0.95, 0.95, 0.89, 0.89, 0.89], &[]),
        ];
        for (losses, expected) in cases {
            assert_eq!(drops(&mut ReduceLrOnPlateau::new(0.5, 2, 0.1), losses), expected, "{losses:?}");
        }
        assert_eq!(ReduceLrOnPlateau::new(0.05, 0, 0.0).observe(f64::NAN, 0.01), 0.01 * 0.05, "what is not a number is no improvement");
    }

    /// Run on the published validation losses, the rule finds the epochs where the published training losses fall: the schedule of the
    /// report is what its text says.
    #[test]
    fn the_published_curves_follow_the_rule() -> anyhow::Result<()> {
        let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let panels = [
            (14, "main", vec![60]),
            (15, "a", vec![28]),
            (15, "b", vec![36]),
            (15, "c", vec![39]),
            (15, "d", vec![]),
            (15, "e", vec![36]),
            (15, "f", vec![60]),
        ];
        for (figure, panel, expected) in panels {
            let points = Reported::read(&experiments)?.figure(figure)?.over(&[], &format!("{panel}_loss"), &Panel::default())?;
            let losses: Vec<f64> = points.iter().filter(|point| point.series == Split::Validation.name()).map(|point| point.y).collect();
            let found = drops(&mut ReduceLrOnPlateau::new(0.05, 10, 1e-4), &losses);
            assert_eq!(found.first().copied(), expected.first().copied(), "Figure {figure}, {panel}: {found:?}");
        }
        Ok(())
    }
}
