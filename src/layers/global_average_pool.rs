//! Global average pooling.

use super::{Description, LayerConfig, Mode, Module, Place, Shape};
use anyhow::Result;
use tch::{Kind, Tensor};

/// The mean of each channel, from `[n, channels, height, width]` to `[n, channels]`.
#[derive(Debug)]
pub struct GlobalAveragePool;

impl LayerConfig for GlobalAveragePool {
    fn describe(&self, input: Shape) -> Result<Description> {
        let [channels, ..] = input.image()?;
        Ok(Description::new("AvgPool", "avgpool", ("average pool", 0xe699b8), Shape::Vector(channels)))
    }

    fn build(&self, _place: &Place) -> Box<dyn Module> {
        Box::new(GlobalAveragePool)
    }
}

impl Module for GlobalAveragePool {
    fn forward(&self, input: &Tensor, _mode: Mode) -> Tensor {
        input.mean_dim([2_i64, 3].as_slice(), false, None::<Kind>)
    }
}
