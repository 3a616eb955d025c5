//! Checks that this machine has what the examples need, item by item, with a remedy for each item that is missing.

use crate::data::{cats_dogs, mnist};
use crate::device::{self, Missing, NoCuda};
use crate::libtorch;
use anyhow::{Result, ensure};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use tch::{Device, Kind, Tensor};

/// One item, and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    item: String,
    found: String,
    /// For an item that is not there: the command, or the step, that fixes it.
    remedy: Option<String>,
    /// Nothing is wrong where it is not there and nobody asks for it.
    is_optional: bool,
}

impl Line {
    fn ok(item: impl Into<String>, found: impl Into<String>) -> Self {
        Self { item: item.into(), found: found.into(), remedy: None, is_optional: false }
    }

    fn missing(item: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::ok(item, found) }
    }

    fn absent(item: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { is_optional: true, ..Self::missing(item, found, remedy) }
    }

    fn ok_if(is_enough: bool, item: &str, found: String, remedy: &str) -> Self {
        if is_enough { Line::ok(item, found) } else { Line::missing(item, found, remedy) }
    }
}

/// Collects sections and writes them as text.
#[derive(Debug, Default)]
pub struct Doctor {
    text: String,
    missing: Vec<String>,
}

impl Doctor {
    /// Adds a section. Whatever is missing or absent in one that is `needed` makes [`Doctor::verdict`] an error.
    pub fn section(&mut self, title: &str, needed: bool, lines: &[Line]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{title}");
        for Line { item, found, remedy, is_optional } in lines {
            let state = match remedy {
                None => "ok",
                Some(_) if *is_optional && !needed => "absent",
                Some(_) => "missing",
            };
            let _ = writeln!(self.text, "  {state:<8} {item:<12} {found}");
            if let Some(remedy) = remedy {
                let _ = writeln!(self.text, "  {:<8} {:<12} -> {remedy}", "", "");
            }
            if needed && remedy.is_some() {
                self.missing.push(format!("{title}: {item}"));
            }
        }
    }

    /// Adds the next command, unless something needed is missing.
    pub fn next(&mut self, command: &str) {
        if self.missing.is_empty() {
            let _ = writeln!(self.text, "next: {command}");
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// An error that names what is needed and missing, if anything is.
    pub fn verdict(&self) -> Result<()> {
        ensure!(self.missing.is_empty(), "missing: {} (see above what to do)", self.missing.join(", "));
        Ok(())
    }
}

const LIBTORCH_VERSION: &str = "2.11.0";

/// libtorch: where it is, its version, what it is built with.
pub fn libtorch() -> Vec<Line> {
    // The loader has done its work before `main`: a libtorch that is not there is not found out here.
    let built = option_env!("LIBTORCH_LIB").unwrap_or("an unknown folder");
    let folder = match device::libtorch_folder() {
        None => Line::missing("folder", "libtorch is in none that the system tells", "run ./setup, then cargo clean -p torch-sys"),
        Some(folder) if folder.canonicalize().is_ok_and(|folder| folder == Path::new(built)) => Line::ok("folder", built),
        Some(folder) => Line::ok("folder", format!("{} (built with {built})", folder.display())),
    };
    let version = match libtorch::version() {
        found if found == LIBTORCH_VERSION => Line::ok("version", found),
        found => Line::missing("version", format!("{found}, not {LIBTORCH_VERSION}"), "unset LIBTORCH and LD_LIBRARY_PATH, run ./setup"),
    };
    use tch::utils::{has_lapack, has_mkl, has_mkldnn, has_openmp};
    let parts = [("OpenMP", has_openmp()), ("MKL", has_mkl()), ("oneDNN", has_mkldnn()), ("LAPACK", has_lapack())];
    let listed = |wanted| parts.iter().filter(|(_, has)| *has == wanted).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let without = listed(false);
    let parts = if without.is_empty() { listed(true) } else { format!("{}; without {without}", listed(true)) };
    vec![folder, version, Line::ok("built with", parts)]
}

/// The processor, what libtorch can make of it, and its threads.
pub fn cpu() -> Vec<Line> {
    let listed = vectors(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    let threads = format!("{} of {} logical and {} physical cores", device::set_threads(), num_cpus::get(), num_cpus::get_physical());
    vec![Line::ok("processor", device::cpu_model()), Line::ok("vectors", listed), Line::ok("threads", threads)]
}

/// Memory, disk space below `root`, and the compiler that building anew takes.
pub fn machine(root: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    let memory = System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
    let (available, total) = (memory.available_memory() as usize, memory.total_memory() as usize);
    if total > 0 {
        let found = format!("{:.1} of {:.1} GiB available", device::gib(available), device::gib(total));
        lines.push(Line::ok_if(
            available >= LEAST_MEMORY,
            "memory",
            found,
            "end other programs, or train on fewer examples (--limit 1000)",
        ));
    }
    if let Ok(free) = fs4::available_space(root) {
        let found = format!("{:.1} GiB free in {}", device::gib(free as usize), root.display());
        lines.push(Line::ok_if(free >= LEAST_DISK, "disk", found, "make room there"));
    }
    // CXX may hold options, too.
    let compiler = std::env::var("CXX").ok().filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "c++".into());
    let mut words = compiler.split_whitespace();
    let output = Command::new(words.next().unwrap_or("c++")).args(words).arg("--version").output();
    let version = output.ok().filter(|output| output.status.success()).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = version.as_deref().and_then(|text| text.lines().next()).map(str::to_owned);
    let absent = || format!("'{compiler}' does not run: needed only to build anew (./setup says how)");
    lines.push(Line::ok("compiler", version.unwrap_or_else(absent)));
    lines
}

/// Bytes of memory that a small training takes with its data, and of disk space that its results take.
const LEAST_MEMORY: usize = 1 << 30;
const LEAST_DISK: u64 = 1 << 28;

/// The vector instructions that libtorch has code for, as far as the processor tells of them.
fn vectors(cpuinfo: &str) -> String {
    const KNOWN: [&str; 8] = ["avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16"];
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let Some(flags) = flags else { return "the system does not tell".to_owned() };
    let found: Vec<&str> = KNOWN.into_iter().filter(|name| flags.split_whitespace().any(|flag| flag == *name)).collect();
    if found.is_empty() { "none that libtorch would use: training will be slow".to_owned() } else { found.join(", ") }
}

/// NVIDIA's driver, the libraries that libtorch needs of CUDA, and each device, with a small computation on it.
pub fn cuda() -> Vec<Line> {
    let NoCuda { missing, cause, remedy } = match device::cuda() {
        Err(cause) => cause,
        Ok(driver) => {
            let version = Line::ok("driver", format!("for CUDA up to {}.{}", driver.cuda.0, driver.cuda.1));
            let libraries = Line::ok("libraries", format!("loaded; cuDNN {}", tch::utils::version_cudnn()));
            let gpus = (0..driver.gpus.len()).map(|index| gpu(Device::Cuda(index)));
            return [version, libraries].into_iter().chain(gpus).collect();
        }
    };
    vec![match missing {
        // Most machines have no NVIDIA GPU, and nothing is wrong with that.
        Missing::Driver => Line::absent("driver", cause, remedy),
        Missing::WorkingDriver => Line::missing("driver", cause, remedy),
        Missing::Device => Line::missing("device", cause, remedy),
        Missing::Libraries | Missing::InTime => Line::missing("libraries", cause, remedy),
    }]
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
    ensure!(sum == 262_144.0, "the sum of a product of ones is {sum}, not 64³");
    Ok(())
}

pub fn data(root: &Path) -> Vec<Line> {
    let mut lines = places(root, "MNIST", mnist::survey(root));
    lines.extend(places(root, "cats & dogs", cats_dogs::survey(root)));
    lines
}

/// A line for each place where the data set `item` may lie. The project's own, below `root`, is filled by the first run; one that the user has
/// named should hold it.
fn places(root: &Path, item: &str, survey: Vec<(bool, String)>) -> Vec<Line> {
    let root = root.display().to_string();
    let line = |(is_there, text): (bool, String)| {
        let line = if text.starts_with(&root) { Line::absent } else { Line::missing };
        match text.split_once("; ") {
            _ if is_there => Line::ok(item, text),
            Some((found, remedy)) => line(item, found.to_owned(), remedy.to_owned()),
            None => line(item, text, "give another path with --data".to_owned()),
        }
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
        doctor.section("extras", false, &[Line::missing("bell", "none", "buy one"), Line::absent("flag", "none", "sew one")]);
        assert!(doctor.verdict().is_ok());
        doctor.next("ride");
        assert_eq!(
            doctor.text(),
            "parts\n  ok       bolt         M4\nextras\n  missing  bell         none\n                        -> buy one\n  \
             absent   flag         none\n                        -> sew one\nnext: ride\n"
        );
        let mut needed = Doctor::default();
        needed.section("extras", true, &[Line::absent("flag", "none", "sew one")]);
        needed.next("ride");
        assert!(needed.verdict().is_err() && needed.text().contains("missing  flag") && !needed.text().contains("ride"));
        doctor.section("tools", true, &[Line::missing("hammer", "none", "buy one"), Line::ok("saw", "sharp")]);
        assert_eq!(doctor.verdict().unwrap_err().to_string(), "missing: tools: hammer (see above what to do)");
    }

    #[test]
    fn the_libtorch_that_runs_this_test_is_found() {
        let lines = libtorch();
        assert!(lines.iter().all(|line| line.remedy.is_none() || line.is_optional), "{lines:?}");
        assert!(lines.iter().any(|line| line.item == "version" && line.found.contains(LIBTORCH_VERSION)), "{lines:?}");
    }

    #[test]
    fn cuda_lines_agree_with_the_device_module() {
        let lines = cuda();
        assert_eq!(lines.iter().any(|line| line.remedy.is_some()), device::cuda().is_err());
        assert_eq!(lines.iter().any(|line| line.is_optional), device::cuda().is_err_and(|cause| cause.missing == Missing::Driver));
    }

    #[test]
    fn a_place_that_nobody_named_may_be_empty() {
        let survey = vec![(false, "/p/data: nothing; the first run downloads it".into()), (false, "MNIST_DIR: /x: no such folder".into())];
        let lines = places(Path::new("/p"), "MNIST", survey);
        assert!(lines.iter().all(|line| line.remedy.is_some()));
        assert_eq!(lines.iter().map(|line| line.is_optional).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn vector_instructions_are_read_from_cpuinfo() {
        assert_eq!(vectors("processor : 0\nflags\t\t: fpu avx avx2 avx512_bf16\n"), "avx2, avx512_bf16");
        assert_eq!(vectors("Features\t: fp asimd bf16\n"), "asimd, bf16");
        assert!(vectors("flags : fpu avx\n").starts_with("none") && vectors("").contains("not tell"));
    }

    #[test]
    fn memory_and_disk_are_told() {
        let items: Vec<String> = machine(Path::new("/")).into_iter().map(|line| line.item).collect();
        assert!(
            items.contains(&"disk".to_owned()) && items.contains(&"memory".to_owned()) && items.contains(&"compiler".to_owned()),
            "{items:?}"
        );
    }

    #[test]
    fn the_cpu_computes() -> Result<()> {
        product_on(Device::Cpu)
    }
}
