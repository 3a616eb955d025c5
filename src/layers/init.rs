//! Initialization of parameters.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// The distribution that parameters are drawn from. Biases start at zero where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialization {
    /// U(-d, d) with d = sqrt(6 / (fan_in + fan_out)), also called Xavier (Glorot and Bengio 2010, equation 16).
    Glorot,
    /// N(0, 1).
    Normal,
    /// 0.
    Zero,
    /// U(-b, b) with b = 1 / sqrt(fan_in), biases too: PyTorch's default (He et al. 2015, equation 10, with a = sqrt 5).
    KaimingUniform,
}

/// The distributions of a layer's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitScheme {
    pub weights: Initialization,
    pub biases: Initialization,
}

impl From<Initialization> for InitScheme {
    fn from(both: Initialization) -> InitScheme {
        InitScheme { weights: both, biases: both }
    }
}

/// Fan-in and fan-out: the number of inputs of an output of a layer, and of outputs that an input goes into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fan {
    pub fan_in: i64,
    pub fan_out: i64,
}

impl Initialization {
    /// A weight of shape `size`, drawn from libtorch's generator on the CPU in single precision, so that it is the same for every
    /// device and precision.
    pub(super) fn weight(self, size: &[i64], fan: Fan) -> Tensor {
        match self {
            Initialization::Glorot => uniform(size, (6.0 / (fan.fan_in + fan.fan_out) as f64).sqrt()),
            Initialization::Normal => Tensor::randn(size, CPU),
            Initialization::Zero => Tensor::zeros(size, CPU),
            Initialization::KaimingUniform => uniform(size, 1.0 / (fan.fan_in as f64).sqrt()),
        }
    }

    /// The bias of a layer, `[outputs]`, drawn likewise.
    pub(super) fn bias(self, outputs: i64, fan: Fan) -> Tensor {
        match self {
            Initialization::Glorot | Initialization::Normal | Initialization::Zero => Tensor::zeros([outputs], CPU),
            Initialization::KaimingUniform => uniform(&[outputs], 1.0 / (fan.fan_in as f64).sqrt()),
        }
    }
}

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// U(-bound, bound).
fn uniform(size: &[i64], bound: f64) -> Tensor {
    Tensor::rand(size, CPU) * (2.0 * bound) - bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};

    #[test]
    fn weights_have_the_moments_of_their_distribution() {
        let (fan_in, fan_out) = (300, 500);
        let moments = |initialization: Initialization| {
            let weight = draw(0, Purpose::Initialization, 0, || initialization.weight(&[fan_in, fan_out], Fan { fan_in, fan_out }));
            assert_eq!(weight.size(), [fan_in, fan_out]);
            (weight.mean(Kind::Double).double_value(&[]), weight.var(true).double_value(&[]), weight.abs().max().double_value(&[]))
        };
        // The mean of 150,000 draws deviates by sd / 387; bounds are five times that.
        let (mean, variance, largest) = moments(Initialization::Glorot);
        let d = (6.0_f64 / 800.0).sqrt();
        assert!(mean.abs() < 5.0 * d / 3.0_f64.sqrt() / 387.0, "mean {mean}");
        assert!((variance / (d * d / 3.0) - 1.0).abs() < 0.02, "variance {variance}, expected 2 / (fan_in + fan_out)");
        assert!(largest <= d * (1.0 + 1e-6) && largest > 0.999 * d, "largest {largest}, bound {d}");
        let (mean, variance, largest) = moments(Initialization::Normal);
        assert!(mean.abs() < 5.0 / 387.0 && (variance - 1.0).abs() < 0.02 && largest > 4.0, "{mean} {variance} {largest}");
        assert_eq!(moments(Initialization::Zero), (0.0, 0.0, 0.0));
        let (mean, variance, largest) = moments(Initialization::KaimingUniform);
        let bound = 1.0 / 300_f64.sqrt();
        assert!(mean.abs() < 5.0 * bound / 3.0_f64.sqrt() / 387.0, "mean {mean}");
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.02, "variance {variance}, expected 1 / (3 fan_in)");
        assert!(largest <= bound * (1.0 + 1e-6) && largest > 0.999 * bound, "largest {largest}, bound {bound}");
    }

    #[test]
    fn biases_are_zero_but_for_kaiming_uniform() {
        let fan = Fan { fan_in: 100, fan_out: 1_000 };
        let largest = |initialization: Initialization| {
            let bias = draw(0, Purpose::Initialization, 0, || initialization.bias(1_000, fan));
            assert_eq!(bias.size(), [1_000]);
            bias.abs().max().double_value(&[])
        };
        let zero = [Initialization::Glorot, Initialization::Normal, Initialization::Zero];
        assert_eq!(zero.map(largest), [0.0; 3]);
        assert!((0.099..=0.1).contains(&largest(Initialization::KaimingUniform)), "the bound is 1 / sqrt(fan_in)");
    }
}
