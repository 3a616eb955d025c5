//! ReLU.

use super::{Mode, Module};
use tch::Tensor;

/// max(0, a), in place: no layer that comes before one needs its own output for its gradient.
#[derive(Debug)]
pub(crate) struct ReluInPlace;

impl Module for ReluInPlace {
    fn forward(&self, input: &Tensor, _mode: Mode) -> Tensor {
        input.shallow_clone().relu_()
    }
}
