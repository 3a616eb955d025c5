//! What this machine has of what the examples need, item by item, with a remedy for each that is missing, and how to get what is not needed.
//!
//! Each section is a list of [`Line`]s, so that other modules can report on what they need, a data set say, in the same form.

use crate::data::{cats_dogs, mnist};
use crate::device::{self, NoCuda};
use anyhow::{Result, ensure};
use std::ffi::CString;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use tch::{Device, Kind, Tensor};

/// One item and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    item: String,
    found: String,
    state: State,
    /// For what is not there: the command, or the step, that mends it.
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// Not there, and nothing is wrong with that where nobody asks for it.
    Absent,
    Missing,
}

impl Line {
    /// An item that is there.
    pub fn ok(item: impl Into<String>, found: impl Into<String>) -> Self {
        Self { item: item.into(), found: found.into(), state: State::Ok, remedy: None }
    }

    /// An item that is missing: what was found instead, and what to do.
    pub fn missing(item: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { item: item.into(), found: found.into(), state: State::Missing, remedy: Some(remedy.into()) }
    }

    /// An item that is not there and not needed, unless its section is: what was found instead, and how to have it.
    pub fn absent(item: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Absent, ..Self::missing(item, found, remedy) }
    }

    pub fn is_missing(&self) -> bool {
        self.state == State::Missing
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
        for Line { item, found, state, remedy } in lines {
            let state = match state {
                State::Ok => "ok",
                State::Absent if !needed => "absent",
                State::Absent | State::Missing => "missing",
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

    /// Adds what to do next, where nothing needed is missing.
    pub fn next(&mut self, command: &str) {
        if self.missing.is_empty() {
            let _ = writeln!(self.text, "next: {command}");
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

/// Memory, disk space below `root`, and the compiler that building anew takes.
pub fn machine(root: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    if let (Some(available), Some(total)) = (kibibytes(&meminfo, "MemAvailable:"), kibibytes(&meminfo, "MemTotal:")) {
        let found = format!("{:.1} of {:.1} GiB available", device::gib(available << 10), device::gib(total << 10));
        lines.push(if available << 10 < LEAST_MEMORY {
            Line::missing("memory", found, "end other programs, or train on fewer examples (--limit 1000)")
        } else {
            Line::ok("memory", found)
        });
    }
    if let Some(free) = free_disk(root) {
        let found = format!("{:.1} GiB free in {}", device::gib(free), root.display());
        lines.push(if free < LEAST_DISK { Line::missing("disk", found, "make room there") } else { Line::ok("disk", found) });
    }
    // CXX may hold options, too.
    let compiler = std::env::var("CXX").ok().filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "c++".into());
    let mut words = compiler.split_whitespace();
    let output = Command::new(words.next().unwrap_or("c++")).args(words).arg("--version").output();
    let found = output.ok().filter(|output| output.status.success());
    let told = found.and_then(|output| Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned()));
    lines.push(Line::ok(
        "compiler",
        told.unwrap_or_else(|| format!("'{compiler}' does not run: needed only to build anew (./setup says how)")),
    ));
    lines
}

/// Bytes of memory that a small training takes with its data, and of disk space that its results take.
const LEAST_MEMORY: usize = 1 << 30;
const LEAST_DISK: usize = 1 << 28;

/// A number of /proc/meminfo: `MemTotal:       24516812 kB`.
fn kibibytes(meminfo: &str, name: &str) -> Option<usize> {
    meminfo.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Bytes that a program without special rights may still write in `folder`.
#[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
fn free_disk(folder: &Path) -> Option<usize> {
    let folder = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: the struct is plain numbers, for which zero is a value; the call only writes it.
    let (status, found) = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(folder.as_ptr(), &mut found), found)
    };
    (status == 0).then(|| (found.f_bavail as u64 * found.f_frsize as u64) as usize)
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
    // Most machines have no NVIDIA GPU, and nothing is wrong with that.
    let line = if let NoCuda::NoDriver(_) = cause { Line::absent } else { Line::missing };
    vec![line(item, cause.to_string(), cause.remedy())]
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
    let mut lines = places(root, "MNIST", mnist::survey(root));
    lines.extend(places(root, "cats & dogs", cats_dogs::survey(root)));
    lines
}

/// A line for each place where the data set `item` may lie: whether it is there, and what was found. The project's own place is filled
/// by the first run; one that the user has named should hold what it is said to.
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
        let lines = cuda();
        assert_eq!(lines.iter().any(|line| line.state != State::Ok), device::cuda().is_err());
        assert_eq!(lines.iter().any(|line| line.state == State::Absent), matches!(device::cuda(), Err(NoCuda::NoDriver(_))));
    }

    #[test]
    fn a_place_that_nobody_named_may_be_empty() {
        let survey = vec![(false, "/p/data: nothing; the first run downloads it".into()), (false, "MNIST_DIR: /x: no such folder".into())];
        let states: Vec<State> = places(Path::new("/p"), "MNIST", survey).iter().map(|line| line.state).collect();
        assert_eq!(states, [State::Absent, State::Missing]);
    }

    #[test]
    fn memory_and_disk_are_told() {
        assert_eq!(kibibytes("MemTotal:  24 kB\nMemAvailable:    7 kB\n", "MemAvailable:"), Some(7));
        assert_eq!(kibibytes("MemTotal:  24 kB\n", "MemAvailable:"), None);
        let items: Vec<String> = machine(Path::new("/")).into_iter().map(|line| line.item).collect();
        assert!(items.contains(&"disk".to_owned()) && items.contains(&"compiler".to_owned()), "{items:?}");
        assert_eq!(free_disk(Path::new("/no such folder")), None);
    }

    #[test]
    fn the_cpu_computes() -> Result<()> {
        product_on(Device::Cpu)
    }
}
