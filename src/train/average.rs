//! The mean over the parameters of all steps.

use crate::libtorch::lerp;
use crate::model::Parameter;
use tch::Tensor;

/// A mean in which a step counts the less the longer ago it was: mean = d mean + (1 - d) values after each step, with
/// d = min(decay, (1 + t) / (10 + t)) at step t, counted from 0, so that the start is soon forgotten (Polyak and Juditsky 1992 with the
/// weights of an exponential moving average).
#[derive(Debug)]
pub struct Average {
    decay: f64,
    /// One for each value, in their order; empty before the first step.
    pub tensors: Vec<Tensor>,
}

impl Average {
    pub fn new(decay: f64) -> Average {
        Average { decay, tensors: Vec::new() }
    }

    /// Takes in the network's `values` after `step`.
    pub fn observe(&mut self, values: &[Parameter], step: u64) {
        if self.tensors.is_empty() {
            self.tensors = values.iter().map(|value| value.tensor.copy()).collect();
        }
        let stays = self.decay.min((1 + step) as f64 / (10 + step) as f64);
        let (means, values): (Vec<_>, Vec<_>) = self.tensors.iter().zip(values).map(|(mean, value)| (mean, &value.tensor)).unzip();
        lerp(&means, &values, 1.0 - stays);
    }

    /// Gives the network the mean, and keeps its own values in place of it; a second time, they are as before.
    pub fn exchange(&mut self, values: &mut [Parameter]) {
        for (mean, value) in self.tensors.iter_mut().zip(values) {
            let own = value.tensor.copy();
            value.tensor.copy_(mean);
            mean.copy_(&own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_by_its_formula_and_changes_places_with_the_values() {
        let (mut average, mut values) =
            (Average::new(0.3), [Parameter { name: "w".to_owned(), tensor: Tensor::from_slice(&[0.0_f64, 0.0]) }]);
        let mut expected = 0.0;
        for (step, value) in [4.0, 2.0, 7.0, -1.0].into_iter().enumerate() {
            let _ = values[0].tensor.fill_(value);
            average.observe(&values, step as u64);
            let stays = 0.3_f64.min((1.0 + step as f64) / (10.0 + step as f64));
            expected = if step == 0 { value } else { stays * expected + (1.0 - stays) * value };
        }
        average.exchange(&mut values);
        assert!((values[0].tensor.double_value(&[1]) - expected).abs() < 1e-12);
        assert_eq!(average.tensors[0].double_value(&[0]), -1.0);
        average.exchange(&mut values);
        assert_eq!(values[0].tensor.double_value(&[0]), -1.0);
    }
}
