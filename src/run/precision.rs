//! The flag `--precision`, and which precision a device is fast in.

use super::Variant;
use crate::device::runtime_function;
use crate::experiment::Precision;
use anyhow::{Result, bail};
use clap::ValueEnum;
use libloading::os::unix::Symbol;
use std::ffi::c_int;
use std::str::FromStr;
use tch::Device;

/// The value of `--precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    This(Precision),
    /// bf16 where the device has instructions for it, else f32.
    Auto,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        let precision = || Precision::from_str(text, false).map(Choice::This);
        if text == "auto" { Ok(Choice::Auto) } else { precision().map_err(|_| "expected f32, tf32, bf16, f64 or auto".to_owned()) }
    }
}

impl Choice {
    /// The precision for an experiment that has `own` in its file. What is to be exact, in f64, stays so with `auto`.
    pub fn resolve(self, own: Precision, has_bf16: bool) -> Precision {
        match (self, own) {
            (Choice::This(precision), _) => precision,
            (Choice::Auto, Precision::F64) => Precision::F64,
            (Choice::Auto, _) if has_bf16 => Precision::Bf16,
            (Choice::Auto, _) => Precision::F32,
        }
    }
}

/// Refuses TF32 on anything but an NVIDIA GPU.
pub(super) fn check(variants: &[Variant], device: Device) -> Result<()> {
    let needs_cuda = variants.iter().find(|variant| variant.experiment.model.precision == Precision::Tf32 && !device.is_cuda());
    if let Some(Variant { name, .. }) = needs_cuda {
        bail!("precision tf32 of {name} is for NVIDIA GPUs, but this trains on {device:?}; take --precision f32, or --cuda");
    }
    Ok(())
}

/// Says what `--precision auto` has come to, and that bf16 is slow where it is.
pub(super) fn report(asked: Option<Choice>, variants: &[Variant], device: Device, has_bf16: bool) {
    if asked == Some(Choice::Auto) {
        let mut resolved: Vec<&str> = variants.iter().map(|variant| variant.experiment.model.precision.name()).collect();
        resolved.dedup();
        let has = if has_bf16 { "has" } else { "has no" };
        tell!("precision auto: {}; this device {has} instructions for bf16", resolved.join(", "));
    }
    let trains_in_bf16 = |variant: &Variant| variant.experiment.training.is_some() && variant.experiment.model.precision == Precision::Bf16;
    if device == Device::Cpu && !has_bf16 && variants.iter().any(trains_in_bf16) {
        tell!(
            "bf16 takes many times as long as f32 on this processor, which has no instructions for it (AVX512-BF16 or AMX); \
             --precision auto takes what is fast"
        );
    }
}

/// Whether a device multiplies matrices in bf16 by instructions of its own. Without them bf16 takes many times as long as f32.
pub(super) fn has_bf16(device: Device) -> bool {
    match device {
        Device::Cpu => cpu_has_bf16(),
        // Since Ampere.
        Device::Cuda(index) => compute_capability(index).is_some_and(|major| major >= 8),
        _ => false,
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_bf16() -> bool {
    // The standard library does not yet detect AMX on the stable toolchain.
    let has_amx = || std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.split_whitespace().any(|flag| flag == "amx_bf16"));
    is_x86_feature_detected!("avx512bf16") || has_amx()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_has_bf16() -> bool {
    false
}

/// The first number of a CUDA device's compute capability.
fn compute_capability(index: usize) -> Option<c_int> {
    const MAJOR: c_int = 75;
    let attribute: Symbol<unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int> = runtime_function(b"cudaDeviceGetAttribute\0")?;
    let mut major = 0;
    // SAFETY: it only writes the number.
    (unsafe { attribute(&mut major, MAJOR, c_int::try_from(index).ok()?) } == 0).then_some(major)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Precision::{Bf16, F32, F64};

    #[test]
    fn auto_is_bf16_where_the_device_has_it_and_leaves_f64() {
        for (own, has_bf16, resolved) in [(F32, true, Bf16), (F32, false, F32), (Bf16, false, F32), (F64, true, F64)] {
            assert_eq!(Choice::Auto.resolve(own, has_bf16), resolved, "{own:?}, {has_bf16}");
        }
        assert_eq!(Choice::This(Bf16).resolve(F32, false), Bf16, "what is asked for");
    }
}
