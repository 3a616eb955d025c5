//! Shared by gpu_check and gpu_bench: their networks and drawn images.

#![allow(dead_code, reason = "both programs share it, and each uses a part")]

use anyhow::{Context, Result};
use reproduction::data::embedded;
use reproduction::data::splits::Splits;
use reproduction::experiment::{Experiment, ExperimentFile, Split, Validation};
use reproduction::run::project_root;
use tch::Device;

/// The networks, each from an experiment of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Network {
    /// 512-512, Table 2
    Mlp,
    /// 570,436 parameters, Figure 9
    Cnn,
    /// 57 million parameters, Figure 14
    Vgg,
    /// Residual blocks with batch normalization (kaggle_ahead)
    Residual,
    /// The VGG's convolutions with group normalization (ablation_vgg)
    GroupNorm,
}

impl Network {
    pub fn name(self) -> &'static str {
        match self {
            Network::Mlp => "MLP 512-512",
            Network::Cnn => "CNN 570,436",
            Network::Vgg => "VGG",
            Network::Residual => "residual blocks",
            Network::GroupNorm => "group normalization",
        }
    }

    pub fn experiment(self) -> Result<Experiment> {
        let (file, variant) = match self {
            Network::Mlp => ("table2_sweep", "best"),
            Network::Cnn => ("fig9_cnn", "cnn"),
            Network::Vgg => ("kaggle_vgg", "vgg"),
            Network::Residual => ("kaggle_ahead", "ahead"),
            Network::GroupNorm => ("ablation_vgg", "group_norm"),
        };
        experiments(file)?.variant(variant)
    }

    pub fn classes(self) -> i64 {
        if matches!(self, Network::Mlp | Network::Cnn) { 10 } else { 2 }
    }
}

/// `experiments/<name>.toml`.
pub fn experiments(name: &str) -> Result<ExperimentFile> {
    ExperimentFile::read(&project_root()?.join("experiments").join(format!("{name}.toml")))
}

/// Drawn images for `experiment`: of so many, 5 in 7 are for training and the others for validation.
pub fn splits(experiment: &Experiment, images: i64, device: Device) -> Result<Splits> {
    let is_of_photographs = experiment.normalization.is_some();
    let (train, _) = if is_of_photographs { embedded::cats_dogs(images, 0, 1) } else { embedded::digits(images, 0, 1) };
    let split = Split { validation: Validation::Last, validation_examples: Some(images * 2 / 7), validation_share: None, limit: None };
    Splits::new(&train, None, &Experiment { split: Some(split), ..experiment.clone() }, 1, device)
}

/// The first of the file's variants that changes its images.
pub fn augmented(name: &str) -> Result<Experiment> {
    let file = experiments(name)?;
    let variants = file.default_variants().iter().map(|variant| file.variant(variant)).collect::<Result<Vec<Experiment>>>()?;
    let found = variants.into_iter().find(|experiment| experiment.augmentation.is_some());
    found.with_context(|| format!("no variant of experiments/{name}.toml has an [augmentation]"))
}
