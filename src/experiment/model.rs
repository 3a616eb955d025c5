//! The section `[model]`: architecture, initialization, precision.

use crate::layers::{InitScheme, Initialization, Layer, check_width};
use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

/// A network: a multilayer perceptron by its `hidden` widths, or any list of `layers`; one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Widths of the hidden layers of the multilayer perceptron whose backward pass is written by hand.
    #[serde(default)]
    pub hidden: Vec<i64>,
    /// The layers, in order, of a network that autograd differentiates.
    #[serde(default)]
    pub layers: Vec<Layer>,
    pub initialization: Initialization,
    /// Initialization of the biases, if it differs from `initialization`.
    pub bias_initialization: Option<Initialization>,
    #[serde(default)]
    pub precision: Precision,
    /// Test-time augmentation: logits are averaged over these views of the image.
    #[serde(default)]
    pub test_time_augmentation: Views,
    /// A network of `weights/`, by name: its probabilities are what a network of `layers` learns, in place of one-hot labels (see
    /// [`crate::model::Distilled`]).
    pub teacher: Option<String>,
    /// How many parameters the report counts; checked where the network is built.
    pub parameters: Option<i64>,
}

/// The views of an image over which a trained network's logits are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Views {
    /// The image.
    #[default]
    Single,
    /// The image and its mirror image.
    Mirrored,
    /// The image as it is and moved by one pixel in each of the four directions.
    Shifted,
}

/// The precision of matrix products and convolutions. Parameters are kept in single precision, but for `F64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision; on NVIDIA GPUs convolutions round their inputs to 10 bits of mantissa (TF32), as PyTorch has it by default.
    #[default]
    F32,
    /// As `F32`, with matrix products in TF32 too (NVIDIA GPUs).
    Tf32,
    /// bfloat16 arithmetic over parameters kept in single precision.
    Bf16,
    /// Double precision, parameters and all.
    F64,
}

impl Precision {
    /// As the TOML and `--precision` call it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
            Precision::F64 => "f64",
        }
    }

    /// The type of the values that layers compute with.
    pub fn kind(self) -> tch::Kind {
        match self {
            Precision::F32 | Precision::Tf32 => tch::Kind::Float,
            Precision::Bf16 => tch::Kind::BFloat16,
            Precision::F64 => tch::Kind::Double,
        }
    }
}

impl Model {
    /// The initialization of weights and biases.
    pub fn init_scheme(&self) -> InitScheme {
        InitScheme { weights: self.initialization, biases: self.bias_initialization.unwrap_or(self.initialization) }
    }

    pub(super) fn check(&self) -> Result<()> {
        let Model { hidden, layers, teacher, .. } = self;
        ensure!(
            hidden.is_empty() != layers.is_empty(),
            "model.hidden is {hidden:?} and model.layers has {} layers, expected one of them: the widths of a multilayer perceptron's hidden layers, or a list of layers",
            layers.len()
        );
        ensure!(teacher.is_none() || hidden.is_empty(), "model.teacher is given, expected none for a multilayer perceptron; leave it out");
        for width in hidden {
            check_width(*width).map_err(|expected| anyhow!("model.hidden holds {width}, expected {expected}"))?;
        }
        ensure!(layers.len() <= MOST_LAYERS, "model.layers has {} layers, expected at most {MOST_LAYERS}", layers.len());
        layers.iter().try_for_each(|layer| layer.check())
    }
}

/// The most layers of a network: each place has a random stream of its own (see [`crate::seed::Purpose::Dropout`]).
const MOST_LAYERS: usize = 256;
