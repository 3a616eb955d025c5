//! How weights start.

use crate::experiment::Initialization;
use tch::{Device, Kind, Tensor};

impl Initialization {
    /// A weight of shape [fan_in, fan_out], drawn from libtorch's generator on the CPU in single precision, so that it is the same
    /// for every device and precision.
    pub fn weight(self, fan_in: i64, fan_out: i64) -> Tensor {
        let options = (Kind::Float, Device::Cpu);
        match self {
            Initialization::Glorot => {
                let d = (6.0 / (fan_in + fan_out) as f64).sqrt();
                Tensor::rand([fan_in, fan_out], options) * (2.0 * d) - d
            }
            Initialization::Normal => Tensor::randn([fan_in, fan_out], options),
            Initialization::Zero => Tensor::zeros([fan_in, fan_out], options),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};

    #[test]
    fn weights_have_the_moments_of_their_distribution() {
        let (fan_in, fan_out) = (300, 500);
        let moments = |initialization: Initialization| {
            let weight = draw(0, Purpose::Initialization, 0, || initialization.weight(fan_in, fan_out));
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
    }
}
