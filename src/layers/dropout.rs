//! Dropout.

use super::{Description, LayerConfig, Mode, Module, Place, Shape};
use crate::seed::{Purpose, draw};
use anyhow::Result;
use tch::Tensor;

/// In training each value is dropped (becomes 0) with `probability`, independently, and the others are divided by `1 - probability`, so
/// that the mean stays (Srivastava et al. 2014, section 10, "inverted"). In evaluation nothing changes.
#[derive(Debug)]
pub struct Dropout {
    pub probability: f64,
    /// The layer's index in its network, from 0 to 255: each has a random stream of its own.
    pub index: u64,
}

impl Module for Dropout {
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        let Mode::Train { seed, minibatch } = mode else { return input.shallow_clone() };
        let keep = 1.0 - self.probability;
        let kept = draw(seed, Purpose::Dropout, minibatch << 8 | self.index, || input.detach().empty_like().bernoulli_float_(keep));
        input * (kept / keep)
    }
}

/// `{ dropout = probability }`.
pub(super) struct DropoutConfig {
    pub probability: f64,
}

impl LayerConfig for DropoutConfig {
    fn check(&self) -> Result<(), String> {
        if (0.0..1.0).contains(&self.probability) { Ok(()) } else { Err("probabilities from 0, below 1".to_owned()) }
    }

    fn describe(&self, input: Shape) -> Result<Description> {
        Ok(Description::new("Dropout", "dropout", ("dropout", 0xb8c4cc), input))
    }

    fn build(&self, place: &Place) -> Box<dyn Module> {
        Box::new(Dropout { probability: self.probability, index: place.index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const TRAIN: Mode = Mode::Train { seed: 1, minibatch: 7 };

    fn dropout(input: &Tensor, probability: f64, mode: Mode, index: u64) -> Tensor {
        Dropout { probability, index }.forward(input, mode)
    }

    #[test]
    fn values_are_dropped_at_the_rate_asked_for_and_the_others_grow() {
        let ones = Tensor::ones([400, 500], (Kind::Double, Device::Cpu));
        let dropped = dropout(&ones, 0.4, TRAIN, 0);
        let zero = dropped.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        // 200,000 draws: a standard deviation of 0.0011.
        assert!((zero - 0.4).abs() < 0.0055, "{zero}");
        let others = dropped.masked_select(&dropped.ne(0.0));
        assert!((others - 1.0 / 0.6).abs().max().double_value(&[]) < 1e-12);
        assert_eq!(dropout(&ones, 0.4, Mode::Eval, 0), ones);
        assert_eq!(dropout(&ones, 0.0, TRAIN, 0), ones);
    }

    #[test]
    fn each_minibatch_layer_and_seed_drops_others_and_the_same_again() {
        let ones = Tensor::ones([1_000], (Kind::Float, Device::Cpu));
        let first = dropout(&ones, 0.5, TRAIN, 0);
        for (mode, layer) in [(TRAIN, 1), (Mode::Train { seed: 1, minibatch: 8 }, 0), (Mode::Train { seed: 2, minibatch: 7 }, 0)] {
            let same = dropout(&ones, 0.5, mode, layer).eq_tensor(&first).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
            assert!((same - 0.5).abs() < 0.1, "half are the same by chance, found {same}");
        }
        assert_eq!(dropout(&ones, 0.5, TRAIN, 0), first);
    }

    #[test]
    fn the_gradient_passes_where_the_value_did() {
        let input = draw(1, Purpose::Embedded, 0, || Tensor::randn([50, 40], (Kind::Double, Device::Cpu))).set_requires_grad(true);
        let output = dropout(&input, 0.3, TRAIN, 2);
        output.sum(Kind::Double).backward();
        let factor = output.detach() / input.detach();
        assert!(input.grad().allclose(&factor, 1e-12, 1e-12, false));
    }
}
