//! Layers as thin wrappers around libtorch tensors: what each computes is written beside it.

mod convolution;
mod dropout;
mod init;
mod linear;
mod max_pool;
mod norm;
mod residual_block;

pub use convolution::Convolution;
pub use dropout::dropout;
pub use init::Fan;
pub use linear::Linear;
pub use max_pool::max_pool;
pub use norm::{BatchNorm, GroupNorm};
pub use residual_block::ResidualBlock;

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
