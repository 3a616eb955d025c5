//! Shared by gpu_check and gpu_bench: their networks, drawn images, and whether libtorch may use TF32.

#![allow(dead_code, reason = "both programs share it, and each uses a part")]

use anyhow::{Context, Result, anyhow};
use libloading::os::unix::{Library, Symbol};
use reproduction::data::embedded;
use reproduction::data::splits::Splits;
use reproduction::experiment::{Experiment, ExperimentFile, Split, Validation};
use reproduction::run::project_root;
use std::ffi::c_void;
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

/// Whether single-precision convolutions and matrix products on a GPU may round their inputs to TF32's 10 bits of mantissa. libtorch's
/// default: convolutions may, matrix products may not.
///
/// # Errors
/// If this libtorch cannot be told.
pub fn allow_tf32(convolutions: bool, products: bool) -> Result<()> {
    // tch does not reach these; libtorch exports them, methods as functions of their object.
    let libtorch = Library::this();
    let missing = |error: libloading::Error| anyhow!("this libtorch cannot be told whether to use TF32 ({error})");
    // SAFETY: the types are those of the declarations in libtorch's ATen/Context.h.
    unsafe {
        let context: Symbol<extern "C" fn() -> *mut c_void> = libtorch.get(b"_ZN2at13globalContextEv\0").map_err(missing)?;
        let cudnn: Symbol<extern "C" fn(*mut c_void, bool)> = libtorch.get(b"_ZN2at7Context17setAllowTF32CuDNNEb\0").map_err(missing)?;
        let cublas: Symbol<extern "C" fn(*mut c_void, bool)> = libtorch.get(b"_ZN2at7Context18setAllowTF32CuBLASEb\0").map_err(missing)?;
        let context = context();
        cudnn(context, convolutions);
        cublas(context, products);
    }
    Ok(())
}

/// The first of the file's variants that changes its images.
pub fn augmented(name: &str) -> Result<Experiment> {
    let file = experiments(name)?;
    let variants = file.default_variants().iter().map(|variant| file.variant(variant)).collect::<Result<Vec<Experiment>>>()?;
    let found = variants.into_iter().find(|experiment| experiment.augmentation.is_some());
    found.with_context(|| format!("no variant of experiments/{name}.toml has an [augmentation]"))
}
