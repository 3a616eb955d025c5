//! Layers as thin wrappers around libtorch tensors, a file each: what it computes, what it learns, what it costs and what it is called.
//!
//! A new layer is a file here, and below its module, its name in the TOML and its line in [`Layer::config`].

mod convolution;
mod dropout;
mod global_average_pool;
mod init;
mod linear;
mod max_pool;
mod module;
mod norm;
mod relu;
mod residual_block;

pub use convolution::Convolution;
pub use dropout::Dropout;
pub use global_average_pool::GlobalAveragePool;
pub use init::{Fan, Initialization, Start};
pub use linear::Linear;
pub use max_pool::MaxPool;
pub(crate) use module::prefixed;
pub use module::{Description, LARGEST_WIDTH, LayerConfig, Module, Place, Relu, Shape};
pub use norm::{BatchNorm, GroupNorm};
pub use relu::ReluInPlace;
pub use residual_block::ResidualBlock;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// One layer of a network, as the TOML lists it. A ReLU follows every convolution and every fully connected layer but the last, after the
/// normalization where one comes next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// So many 3x3 filters, stride 1, padding 1.
    Convolution(i64),
    /// The largest value of each 2x2 square, stride 2; an odd last row or column is left out.
    MaxPool,
    /// So many outputs.
    FullyConnected(i64),
    /// Drops values in training, each with this probability.
    Dropout(f64),
    /// Each channel, or each value of a vector, with mean 0 and variance 1 over the minibatch (Ioffe and Szegedy 2015).
    BatchNorm,
    /// So many groups of channels, each with mean 0 and variance 1 within an image (Wu and He 2018); with 1 it is layer normalization.
    GroupNorm(i64),
    /// Two convolutions of so many filters, each with batch normalization, and a shortcut past both (He et al. 2015, Figure 2). Where the
    /// number of channels changes, the first convolution and the shortcut take every second pixel.
    ResidualBlock(i64),
    /// The mean of each channel.
    GlobalAveragePool,
}

impl Layer {
    pub(crate) fn config(self) -> Box<dyn LayerConfig> {
        match self {
            Layer::Convolution(filters) => Box::new(convolution::ConvolutionConfig { filters }),
            Layer::MaxPool => Box::new(MaxPool),
            Layer::FullyConnected(outputs) => Box::new(linear::FullyConnectedConfig { outputs }),
            Layer::Dropout(probability) => Box::new(dropout::DropoutConfig { probability }),
            Layer::BatchNorm => Box::new(norm::BatchNormConfig),
            Layer::GroupNorm(groups) => Box::new(norm::GroupNormConfig { groups }),
            Layer::ResidualBlock(filters) => Box::new(residual_block::ResidualBlockConfig { filters }),
            Layer::GlobalAveragePool => Box::new(GlobalAveragePool),
        }
    }

    pub(crate) fn check(self) -> Result<()> {
        self.config().check().map_err(|expected| anyhow!("model.layers holds {self:?}, expected {expected}"))
    }
}

/// Whether a network is being trained or used. Layers that drop or disturb something do so in training only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What is dropped depends on the seed and the minibatch, counted from the start of training.
    Train {
        seed: u64,
        minibatch: u64,
    },
    Eval,
}

/// The gradient of a loss with respect to one parameter, as a value.
///
/// A linear layer's gradients are sums over the minibatch. Kept as factors they need not be written to memory before they are added to
/// the parameter: the update of a 784 x 512 weight is then one matrix product instead of a product, a pass to scale and a pass to add.
/// `divisor` serves the same end: with factors computed from `loss * divisor`, where the divisor is minus the learning rate, the step of
/// plain gradient descent scales nothing at all.
#[derive(Debug)]
pub enum Gradient {
    /// The gradient itself, in the parameter's shape.
    Whole(Tensor),
    /// `left^T right / divisor`, of shape `[fan_in, fan_out]`, from left `[n, fan_in]` and right `[n, fan_out]`; or k of them side by side,
    /// each of the three with a k in front.
    Product { left: Tensor, right: Tensor, divisor: f64 },
    /// `value / divisor`, in the parameter's shape.
    Scaled { value: Tensor, divisor: f64 },
}

impl Gradient {
    /// The gradient as one tensor in the parameter's shape.
    pub fn whole(&self) -> Tensor {
        match self {
            Gradient::Whole(gradient) => gradient.shallow_clone(),
            Gradient::Product { left, right, divisor } => left.transpose(-2, -1).matmul(right) / *divisor,
            Gradient::Scaled { value, divisor } => value / *divisor,
        }
    }

    /// `target += factor * gradient`, in place. The target may have a higher precision than the gradient.
    pub fn add_to(&self, target: &mut Tensor, factor: f64) {
        match self {
            Gradient::Product { left, right, divisor } if factor == *divisor && left.kind() == target.kind() => {
                let left = left.transpose(-2, -1);
                let _ = if target.dim() == 3 { target.baddbmm_(&left, right) } else { target.addmm_(&left, right) };
            }
            Gradient::Scaled { value, divisor } if factor == *divisor => {
                let _ = target.g_add_(value);
            }
            Gradient::Whole(gradient) if factor == 1.0 => {
                let _ = target.g_add_(gradient);
            }
            _ => {
                let _ = target.g_add_(&(self.whole() * factor));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};
    use tch::{Device, IndexOp, Kind};

    #[test]
    fn factored_gradients_add_up_like_whole_ones() {
        let options = (Kind::Double, Device::Cpu);
        let (left, right) = draw(1, Purpose::Embedded, 0, || (Tensor::randn([5, 3], options), Tensor::randn([5, 4], options)));
        let by_hand: Tensor = (0..5).map(|row| left.i(row).outer(&right.i(row))).sum();
        for (divisor, factor) in [(1.0, 1.0), (-0.5, -0.5), (4.0, -0.25), (-0.5, 1.0)] {
            let product = Gradient::Product { left: left.shallow_clone(), right: right.shallow_clone(), divisor };
            let sum = Gradient::Scaled { value: right.sum_dim_intlist(0, false, None::<Kind>), divisor };
            let whole = Gradient::Whole(&by_hand / divisor);
            let (mut a, mut b, mut c) = (Tensor::ones([3, 4], options), Tensor::ones([3, 4], options), Tensor::ones([4], options));
            product.add_to(&mut a, factor);
            whole.add_to(&mut b, factor);
            sum.add_to(&mut c, factor);
            assert!(a.allclose(&b, 1e-12, 1e-12, false), "divisor {divisor}, factor {factor}");
            assert!(product.whole().allclose(&whole.whole(), 1e-12, 1e-12, false));
            let expected = right.sum_dim_intlist(0, false, None::<Kind>) * (factor / divisor) + 1.0;
            assert!(c.allclose(&expected, 1e-12, 1e-12, false));
        }
    }
}
