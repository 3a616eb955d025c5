//! Layers as thin wrappers around libtorch tensors, a file each: forward pass, parameters, cost and labels.
//!
//! A new layer is a file here, and below its module, its name in the TOML and its line in `Layer::config`.

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
pub use init::{InitScheme, Initialization};
pub use linear::Linear;
pub use max_pool::MaxPool;
pub use module::{Description, Module, Relu, Shape};
pub(crate) use module::{LayerConfig, Place, check_width, prefixed};
pub use norm::{BatchNorm, GroupNorm};
pub(crate) use relu::ReluInPlace;
pub use residual_block::ResidualBlock;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

/// One layer of a network, as the TOML lists it. A ReLU follows every convolution and every fully connected layer but the last, after the
/// normalization where one comes next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Number of 3x3 filters; stride 1, padding 1.
    Convolution(i64),
    /// The largest value of each 2x2 square, stride 2; an odd last row or column is left out.
    MaxPool,
    /// Number of outputs.
    FullyConnected(i64),
    /// Drops values in training, each with this probability.
    Dropout(f64),
    /// Each channel, or each value of a vector, with mean 0 and variance 1 over the minibatch (Ioffe and Szegedy 2015).
    BatchNorm,
    /// Number of groups of channels, each normalized to mean 0 and variance 1 within an image (Wu and He 2018); 1 is layer normalization.
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

/// As `train()` and `eval()` in PyTorch: only in training does dropout act, and batch normalization use the minibatch's own statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The dropout mask depends on the seed and the minibatch, counted from the start of training.
    Train {
        seed: u64,
        minibatch: u64,
    },
    Eval,
}

/// The layer that docs/extending.md shows.
#[cfg(test)]
#[path = "../../docs/tanh.rs"]
mod tanh;

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn the_documented_layer_is_built_and_computes_its_definition() -> Result<()> {
        let input = Shape::Image { channels: 2, height: 3, width: 4 };
        assert_eq!(tanh::Tanh.describe(input)?.output, input);
        let place = Place { input, index: 0, init: Initialization::Zero.into(), kind: Kind::Float, device: Device::Cpu };
        let values = Tensor::from_slice(&[0.0, 0.5, -2.0]);
        assert_eq!(tanh::Tanh.build(&place).forward(&values, Mode::Eval), values.tanh());
        Ok(())
    }
}
