//! The exponential moving average (EMA) of the weights.

use crate::libtorch::lerp;
use crate::model::Parameter;
use tch::Tensor;

/// After step t, counted from 0: ema = d ema + (1 - d) weights with d = min(decay, (1 + t) / (10 + t)), so that the start is soon forgotten
/// (Polyak and Juditsky 1992, with exponential weights).
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    /// One for each value of the state dict; empty before the first step.
    pub tensors: Vec<Tensor>,
}

impl Ema {
    pub fn new(decay: f64) -> Ema {
        Ema { decay, tensors: Vec::new() }
    }

    /// Takes in the network's `values` after `step`.
    pub fn update(&mut self, values: &[Parameter], step: u64) {
        if self.tensors.is_empty() {
            self.tensors = values.iter().map(|value| value.tensor.copy()).collect();
        }
        let decay = self.decay.min((1 + step) as f64 / (10 + step) as f64);
        let (means, values): (Vec<_>, Vec<_>) = self.tensors.iter().zip(values).map(|(mean, value)| (mean, &value.tensor)).unzip();
        lerp(&means, &values, 1.0 - decay);
    }

    /// Exchanges the network's values for their EMA; a second call undoes it.
    pub fn swap(&mut self, values: &mut [Parameter]) {
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
    fn it_follows_its_formula_and_swaps_with_the_weights() {
        let (mut ema, mut values) = (Ema::new(0.3), [Parameter { name: "w".to_owned(), tensor: Tensor::from_slice(&[0.0_f64, 0.0]) }]);
        let mut expected = 0.0;
        for (step, value) in [4.0, 2.0, 7.0, -1.0].into_iter().enumerate() {
            let _ = values[0].tensor.fill_(value);
            ema.update(&values, step as u64);
            let decay = 0.3_f64.min((1.0 + step as f64) / (10.0 + step as f64));
            expected = if step == 0 { value } else { decay * expected + (1.0 - decay) * value };
        }
        ema.swap(&mut values);
        assert!((values[0].tensor.double_value(&[1]) - expected).abs() < 1e-12);
        assert_eq!(ema.tensors[0].double_value(&[0]), -1.0);
        ema.swap(&mut values);
        assert_eq!(values[0].tensor.double_value(&[0]), -1.0);
    }
}
