//! The two traits of a layer: its configuration, as the TOML has it, and the module with its parameters.

use super::{InitScheme, Mode};
use anyhow::{Result, bail};
use std::fmt::{self, Debug, Display};
use tch::{Device, Kind, Tensor};

/// A layer with its parameters, as a `torch.nn.Module`.
pub trait Module: Debug {
    /// In the precision of `input`: parameters of a higher one are rounded to it.
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor;

    /// Parameters, under PyTorch's names.
    fn parameters(&self) -> Vec<(String, &Tensor)> {
        Vec::new()
    }

    /// Buffers (running means and variances), under PyTorch's names.
    fn buffers(&self) -> Vec<(String, &Tensor)> {
        Vec::new()
    }

    /// Parameters and buffers in PyTorch's orientation. They share the storage of the module's own.
    fn state_dict(&self) -> Vec<(String, Tensor)> {
        self.parameters().into_iter().chain(self.buffers()).map(|(name, tensor)| (name, tensor.detach())).collect()
    }
}

/// Names of tensors below that of the module they belong to: `weight` of `conv1` is `conv1.weight`.
pub(crate) fn prefixed<T>(module: &str, tensors: Vec<(String, T)>) -> impl Iterator<Item = (String, T)> {
    tensors.into_iter().map(move |(name, tensor)| (format!("{module}.{name}"), tensor))
}

/// A layer as the TOML lists it, before its input is known and it has parameters.
pub(crate) trait LayerConfig {
    /// Checks the TOML's number. The error says what is expected.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Output shape, costs and labels on an input of this shape.
    ///
    /// # Errors
    /// If the layer cannot have such an input; the message continues the layer's name.
    fn describe(&self, input: Shape) -> Result<Description>;

    /// The layer on such an input, with parameters drawn from libtorch's generator.
    fn build(&self, place: &Place) -> Box<dyn Module>;
}

/// A layer's shapes, parameter counts and multiply-adds for a given input; `Description::new` is that of a layer without parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// As the report's Table 3 names it, without its number: Conv, FC.
    pub label: &'static str,
    /// As PyTorch users name such a module, without its number: conv, fc.
    pub module: &'static str,
    /// In the diagram's legend, with its color there (0xRRGGBB).
    pub legend: (&'static str, u32),
    pub relu: Relu,
    pub output: Shape,
    pub weights: i64,
    pub biases: i64,
    /// The number of weights as a product, for the table of parameters.
    pub weight_formula: String,
    /// Multiplications with a following addition for one example, forward.
    pub multiply_adds: i64,
}

impl Description {
    pub(super) fn new(label: &'static str, module: &'static str, legend: (&'static str, u32), output: Shape) -> Description {
        Description {
            label,
            module,
            legend,
            relu: Relu::None,
            output,
            weights: 0,
            biases: 0,
            weight_formula: String::new(),
            multiply_adds: 0,
        }
    }
}

/// Whether a ReLU follows the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relu {
    None,
    /// A ReLU follows directly, or after the `Delayed` layers that come next.
    After,
    /// The layer ends with a ReLU of its own.
    Inside,
    /// No ReLU of its own; one that is due from the layer before is applied after this layer.
    Delayed,
}

/// Context in which a layer is built: the shape of its input, its index in the network, the initialization of its parameters, their
/// precision and device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub input: Shape,
    pub index: u64,
    pub init: InitScheme,
    pub kind: Kind,
    pub device: Device,
}

/// The values that an example has between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Image { channels: i64, height: i64, width: i64 },
    Vector(i64),
}

impl Shape {
    /// The number of values.
    pub fn numel(self) -> i64 {
        match self {
            Shape::Image { channels, height, width } => channels * height * width,
            Shape::Vector(length) => length,
        }
    }

    /// The number of channels of an image; of a vector each value is one.
    pub fn channels(self) -> i64 {
        match self {
            Shape::Image { channels, .. } => channels,
            Shape::Vector(length) => length,
        }
    }

    /// Channels, height and width of an image.
    pub(super) fn image(self) -> Result<[i64; 3]> {
        match self {
            Shape::Image { channels, height, width } => Ok([channels, height, width]),
            Shape::Vector(_) => bail!("gets a vector, expected an image: put it before the first fully connected or average pooling layer"),
        }
    }
}

impl Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Shape::Image { channels, height, width } => write!(formatter, "{channels}x{height}x{width}"),
            Shape::Vector(length) => write!(formatter, "{length}"),
        }
    }
}

/// The most channels of a convolution and outputs of a fully connected layer.
const LARGEST_WIDTH: i64 = 16_384;

pub(crate) fn check_width(width: i64) -> Result<(), String> {
    if (1..=LARGEST_WIDTH).contains(&width) { Ok(()) } else { Err(format!("widths from 1 to {LARGEST_WIDTH}")) }
}
