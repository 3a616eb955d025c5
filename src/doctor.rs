//! What this machine has of what the examples need, item by item, with a remedy for each that is missing.
//!
//! Each section is a list of [`Line`]s, so that other modules can report on what they need, a data set say, in the same form.

use crate::data::{cats_dogs, mnist};
use crate::device::{self, NoCuda};
use anyhow::{Result, ensure};
use std::fmt::Write;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// One item and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    item: String,
    found: String,
    /// For what is missing: the command, or the step, that mends it.
    remedy: Option<String>,
}

impl Line {
    /// An item that is there.
    pub fn ok(item: impl Into<String>, found: impl Into<String>) -> Self {
        Self { item: item.into(), found: found.into(), remedy: None }
    }

    /// An item that is missing: what was found instead, and what to do.
    pub fn missing(item: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { item: item.into(), found: found.into(), remedy: Some(remedy.into()) }
    }

    pub fn is_missing(&self) -> bool {
        self.remedy.is_some()
    }
}

/// Collects sections and writes them as text.
#[derive(Debug, Default)]
pub struct Doctor {
    text: String,
    missing: Vec<String>,
}

impl Doctor {
    /// Adds a section. Whatever is missing in one that is `needed` makes [`Doctor::verdict`] an error.
    pub fn section(&mut self, title: &str, needed: bool, lines: &[Line]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{title}");
        for Line { item, found, remedy } in lines {
            let state = if remedy.is_some() { "missing" } else { "ok" };
            let _ = writeln!(self.text, "  {state:<8} {item:<12} {found}");
            if let Some(remedy) = remedy {
                let _ = writeln!(self.text, "  {:<8} {:<12} -> {remedy}", "", "");
            }
            if needed && remedy.is_some() {
                self.missing.push(format!("{title}: {item}"));
            }
        }
    }

    /// The sections so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// # Errors
    ///
    /// Where something needed is missing; names it.
    pub fn verdict(&self) -> Result<()> {
        ensure!(self.missing.is_empty(), "missing: {} (see above what to do)", self.missing.join(", "));
        Ok(())
    }
}

/// The version of libtorch that the crate `tch` is made for.
const LIBTORCH_VERSION: &str = "2.11.0";

/// libtorch: where it is, its version, what it is built with.
pub fn libtorch() -> Vec<Line> {
    // The loader has done its work before `main`: a libtorch that is not there is not found out here.
    let mut lines = Vec::new();
    match device::libtorch_folder() {
        None => {
            lines.push(Line::missing("folder", "libtorch is in none that the system tells", "run ./setup, then cargo clean -p torch-sys"))
        }
        Some(folder) => {
            let built = option_env!("LIBTORCH_LIB").unwrap_or("an unknown folder");
            let same = folder.canonicalize().is_ok_and(|folder| folder == Path::new(built));
            lines.push(Line::ok(
                "folder",
                if same { format!("{}", folder.display()) } else { format!("{} (built with {built})", folder.display()) },
            ));
            lines.push(match version(&folder) {
                Some(found) if found.split('+').next() == Some(LIBTORCH_VERSION) => Line::ok("version", found),
                Some(found) => {
                    Line::missing("version", format!("{found}, not {LIBTORCH_VERSION}"), "unset LIBTORCH and LD_LIBRARY_PATH, run ./setup")
                }
                None => Line::ok("version", format!("{LIBTORCH_VERSION} expected; the folder does not tell")),
            });
        }
    }
    use tch::utils::{has_lapack, has_mkl, has_mkldnn, has_openmp};
    let parts = [("OpenMP", has_openmp()), ("MKL", has_mkl()), ("oneDNN", has_mkldnn()), ("LAPACK", has_lapack())];
    let listed = |wanted| parts.iter().filter(|(_, has)| *has == wanted).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let without = listed(false);
    lines.push(Line::ok("built with", if without.is_empty() { listed(true) } else { format!("{}; without {without}", listed(true)) }));
    lines
}

/// The version that a libtorch tells in files beside its library folder: an archive's `build-version`, or a Python wheel's `version.py`.
fn version(library_folder: &Path) -> Option<String> {
    let folder = library_folder.parent()?;
    if let Ok(text) = std::fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = std::fs::read_to_string(folder.join("version.py")).ok()?;
    let quoted = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(quoted.trim_matches(['\'', '"']).to_owned())
}

/// The processor, what libtorch can make of it, and its threads.
pub fn cpu() -> Vec<Line> {
    let features = cpu_features();
    let listed = if features.is_empty() { "none that libtorch would use: training will be slow".into() } else { features.join(", ") };
    let threads = format!("{} of {} logical and {} physical cores", device::set_threads(), num_cpus::get(), num_cpus::get_physical());
    vec![Line::ok("processor", device::cpu_model()), Line::ok("vectors", listed), Line::ok("threads", threads)]
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    let mut add = |has: bool, name| features.extend(has.then_some(name));
    add(is_x86_feature_detected!("avx2"), "avx2");
    add(is_x86_feature_detected!("fma"), "fma");
    add(is_x86_feature_detected!("avx512f"), "avx512");
    add(is_x86_feature_detected!("avx512bf16"), "avx512_bf16");
    // The standard library does not yet detect it on the stable toolchain.
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    add(flags.split_whitespace().any(|flag| flag == "amx_bf16"), "amx_bf16");
    features
}

#[cfg(target_arch = "aarch64")]
fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    let mut add = |has: bool, name| features.extend(has.then_some(name));
    add(std::arch::is_aarch64_feature_detected!("neon"), "neon");
    add(std::arch::is_aarch64_feature_detected!("sve"), "sve");
    add(std::arch::is_aarch64_feature_detected!("bf16"), "bf16");
    features
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

/// NVIDIA's driver, the libraries that libtorch needs of CUDA, and each device, with a small computation on it.
pub fn cuda() -> Vec<Line> {
    let cause = match device::cuda() {
        Ok(driver) => {
            let mut lines = vec![
                Line::ok("driver", format!("for CUDA up to {}.{}", driver.cuda.0, driver.cuda.1)),
                Line::ok("libraries", format!("loaded; cuDNN {}", tch::utils::version_cudnn())),
            ];
            lines.extend((0..driver.gpus.len()).map(|index| gpu(Device::Cuda(index))));
            return lines;
        }
        Err(cause) => cause,
    };
    let item = match cause {
        NoCuda::NoDriver(_) | NoCuda::DriverFails(_) | NoCuda::OldDriver { .. } => "driver",
        NoCuda::NoDevice | NoCuda::Unseen { .. } => "device",
        NoCuda::BuiltWithout(_) | NoCuda::Library { .. } | NoCuda::TooLate => "libraries",
    };
    vec![Line::missing(item, cause.to_string(), cause.remedy())]
}

/// A device counts as there when it computes: a driver may list one that libtorch has no code for.
fn gpu(device: Device) -> Line {
    let item = format!("{device:?}").to_lowercase().replace('(', ":").replace(')', "");
    match product_on(device) {
        Ok(()) => {
            let memory = device::memory(device).map(|memory| format!(", {:.1} GiB in use", device::gib(memory.used)));
            Line::ok(item, format!("{}{}", device::describe(device), memory.unwrap_or_default()))
        }
        Err(error) => {
            Line::missing(item, format!("{}: {error:#}", device::describe(device)), "a GPU older than libtorch supports? Choose cpu")
        }
    }
}

/// A product of small matrices, checked: ones times ones is the inner size everywhere.
fn product_on(device: Device) -> Result<()> {
    let ones = Tensor::f_ones([64, 64], (Kind::Float, device))?;
    let sum = f64::try_from(ones.f_matmul(&ones)?.f_sum(Kind::Double)?)?;
    let expected = 64.0 * 64.0 * 64.0;
    ensure!(sum == expected, "a product of ones gives {sum}, not {expected}");
    Ok(())
}

/// Data sets: each place where one may lie. `root` is the project's folder.
pub fn data(root: &Path) -> Vec<Line> {
    let mut lines = places("MNIST", mnist::survey(root));
    lines.extend(places("cats & dogs", cats_dogs::survey(root)));
    lines
}

/// A line for each place where the data set `item` may lie: whether it is there, and what was found.
fn places(item: &str, survey: Vec<(bool, String)>) -> Vec<Line> {
    let line = |(is_there, text): (bool, String)| match text.split_once("; ") {
        Some((found, remedy)) if !is_there => Line::missing(item, found, remedy),
        _ if !is_there => Line::missing(item, text, "give another path with --data"),
        _ => Line::ok(item, text),
    };
    survey.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_and_missing_is_an_error() {
        let mut doctor = Doctor::default();
        doctor.section("parts", true, &[Line::ok("bolt", "M4")]);
        doctor.section("extras", false, &[Line::missing("bell", "none", "buy one")]);
        assert!(doctor.verdict().is_ok());
        assert_eq!(
            doctor.text(),
            "parts\n  ok       bolt         M4\nextras\n  missing  bell         none\n                        -> buy one\n"
        );
        doctor.section("tools", true, &[Line::missing("hammer", "none", "buy one"), Line::ok("saw", "sharp")]);
        assert_eq!(doctor.verdict().unwrap_err().to_string(), "missing: tools: hammer (see above what to do)");
    }

    #[test]
    fn the_libtorch_that_runs_this_test_is_found() {
        let lines = libtorch();
        assert!(lines.iter().all(|line| !line.is_missing()), "{lines:?}");
        assert!(lines.iter().any(|line| line.item == "version" && line.found.contains(LIBTORCH_VERSION)), "{lines:?}");
    }

    #[test]
    fn the_version_is_read_from_wheels_and_archives() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let lib = folder.path().join("lib");
        assert_eq!(version(&lib), None);
        std::fs::write(folder.path().join("version.py"), "debug = False\n__version__ = '2.11.0+cu130'\ncuda = '13.0'\n")?;
        assert_eq!(version(&lib).as_deref(), Some("2.11.0+cu130"));
        std::fs::write(folder.path().join("build-version"), "2.11.0+cpu\n")?;
        assert_eq!(version(&lib).as_deref(), Some("2.11.0+cpu"));
        Ok(())
    }

    #[test]
    fn cuda_lines_agree_with_the_device_module() {
        let missing = cuda().iter().any(Line::is_missing);
        assert_eq!(missing, device::cuda().is_err());
    }

    #[test]
    fn the_cpu_computes() -> Result<()> {
        product_on(Device::Cpu)
    }
}
