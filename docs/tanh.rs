//! The hyperbolic tangent.

use super::{Description, LayerConfig, Mode, Module, Place, Shape};
use anyhow::Result;
use tch::Tensor;

/// y = tanh(x).
#[derive(Debug)]
pub struct Tanh;

impl LayerConfig for Tanh {
    fn describe(&self, input: Shape) -> Result<Description> {
        // Its label, its name as a module of PyTorch, its name and color in the diagram's legend; its output has the input's shape.
        Ok(Description::new("Tanh", "tanh", ("tanh", 0xa0d8c8), input))
    }

    fn build(&self, _place: &Place) -> Box<dyn Module> {
        Box::new(Tanh)
    }
}

impl Module for Tanh {
    fn forward(&self, input: &Tensor, _mode: Mode) -> Tensor {
        input.tanh()
    }
}
