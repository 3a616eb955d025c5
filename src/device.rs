//! Choosing a device, loading libtorch's CUDA half, and a line on the machine.
//!
//! Of libtorch's two libraries a linker keeps only `libtorch_cpu`, since no symbol of `libtorch_cuda` is named; linked by force, the second
//! makes each start load half a gigabyte and need all of NVIDIA's libraries. So `cuda` loads it on demand, **before libtorch is first asked
//! about CUDA**: it looks once and remembers the answer. With libtorch 2.11 `tch::manual_seed`, any backward pass and any convolution ask,
//! on the CPU as well. Hence [`select`] comes first in every program, and says so where it came too late.

use crate::libtorch::{self, Arithmetic};
use anyhow::{bail, ensure};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW, Symbol};
use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;
use std::{env, fmt, fs};
use sysinfo::{CpuRefreshKind, RefreshKind, System};
use tch::Device;

/// The device that the user asks for: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first CUDA device that can be used, else a Mac's own GPU, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// The CUDA device with this index.
    Cuda(usize),
    /// The GPU of a Mac with Apple silicon.
    Mps,
}

impl FromStr for Choice {
    type Err = anyhow::Error;

    /// # Errors
    /// Where the text is none of `auto`, `cpu`, `cuda`, `cuda:N` and `mps`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        // `parse` alone would also take "+1".
        let index = |digits: &str| digits.parse().ok().filter(|index: &usize| index.to_string() == digits);
        Ok(match text {
            "auto" => Choice::Auto,
            "cpu" => Choice::Cpu,
            "cuda" => Choice::Cuda(0),
            "mps" => Choice::Mps,
            _ => match text.strip_prefix("cuda:").and_then(index) {
                Some(index) => Choice::Cuda(index),
                None => bail!("unknown device '{text}'; expected auto, cpu, cuda, cuda:N (N = 0, 1, ...) or mps"),
            },
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Cpu => f.write_str("cpu"),
            Choice::Cuda(index) => write!(f, "cuda:{index}"),
            Choice::Mps => f.write_str("mps"),
        }
    }
}

/// The device for a choice. To be called before anything else asks libtorch about CUDA.
///
/// # Errors
/// Where the chosen device cannot be used, with the cause; a chosen GPU is never replaced by the CPU. `Auto` fails only where a GPU
/// is lost because libtorch was asked about CUDA too early, which is a mistake in the program.
pub fn select(choice: Choice) -> anyhow::Result<Device> {
    match choice {
        Choice::Cpu => Ok(Device::Cpu),
        Choice::Mps => {
            ensure!(has_mps(), "device mps: there is none; it takes a Mac with Apple silicon, and its libtorch");
            Ok(Device::Mps)
        }
        Choice::Cuda(index) => match cuda() {
            Err(NoCuda { cause, remedy, .. }) => bail!("device {choice}: {cause}; {remedy}"),
            Ok(driver) => {
                let count = driver.gpus.len();
                ensure!(index < count, "device {choice}: this machine has {count} CUDA device(s), cuda:0 to cuda:{}", count - 1);
                Ok(Device::Cuda(index))
            }
        },
        Choice::Auto => match cuda() {
            Ok(_) => Ok(Device::Cuda(0)),
            Err(NoCuda { missing: Missing::InTime, cause, remedy }) => bail!("device auto: {cause}; {remedy}"),
            Err(_) if has_mps() => Ok(Device::Mps),
            Err(_) => Ok(Device::Cpu),
        },
    }
}

fn has_mps() -> bool {
    cfg!(all(target_os = "macos", target_arch = "aarch64")) && tch::utils::has_mps()
}

/// NVIDIA's driver, as it describes itself.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    /// The newest CUDA version that the driver supports, as (major, minor).
    pub cuda: (i32, i32),
    /// Name and memory in bytes of each device, in the order of their indices. Never empty.
    pub gpus: Vec<(String, usize)>,
}

/// Why CUDA cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoCuda {
    pub missing: Missing,
    pub cause: String,
    pub remedy: String,
}

/// The missing part, in the order in which one would fix it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Driver,
    /// There is one, but it fails or is too old.
    WorkingDriver,
    Device,
    Libraries,
    /// Libraries, loaded before libtorch was first asked about CUDA.
    InTime,
}

fn lacks(missing: Missing, cause: impl Into<String>, remedy: impl Into<String>) -> NoCuda {
    NoCuda { missing, cause: cause.into(), remedy: remedy.into() }
}

const CUDA_HALF: &str = "libtorch_cuda.so";

/// Makes CUDA usable, once for the process: with a driver it loads libtorch's CUDA half and NVIDIA's libraries (about 0.2 s and 350 MB).
///
/// # Errors
/// The first part that is missing.
pub(crate) fn cuda() -> Result<&'static Driver, &'static NoCuda> {
    static CUDA: OnceLock<Result<Driver, NoCuda>> = OnceLock::new();
    CUDA.get_or_init(|| {
        let mut driver = driver()?;
        driver.gpus.truncate(load_cuda_half(&driver)?);
        Ok(driver)
    })
    .as_ref()
}

/// Loads libtorch's CUDA half for good; gives the number of devices that libtorch sees, which is not zero.
fn load_cuda_half(driver: &Driver) -> Result<usize, NoCuda> {
    const INSTALL: &str = "run ./setup --cuda (with LIBTORCH unset), or choose cpu";
    // The one beside the libtorch that runs: another build's would not fit it.
    let folder = libtorch_folder().unwrap_or_default();
    let file = folder.join(CUDA_HALF);
    if folder != Path::new("") && !file.exists() {
        let cause = format!("libtorch is built without CUDA: no {CUDA_HALF} in {}", folder.display());
        return Err(lacks(Missing::Libraries, cause, INSTALL));
    }
    let (major, minor) = driver.cuda;
    if let Some(needs) = needed_cuda().filter(|needs| major < needs.0) {
        let cause = format!("NVIDIA's driver supports CUDA {major}.{minor}, libtorch needs {}.{}", needs.0, needs.1);
        let remedy = format!("update NVIDIA's driver to one for CUDA {}, or choose cpu", needs.0);
        return Err(lacks(Missing::WorkingDriver, cause, remedy));
    }
    open(&file, RTLD_NOW | RTLD_GLOBAL).map_err(|message| {
        // "libcudnn.so.9: cannot open shared object file: No such file or directory"
        let path = message.split(':').next().filter(|name| name.contains(".so")).unwrap_or(CUDA_HALF);
        let name = Path::new(path).file_name().unwrap_or_default().display();
        lacks(Missing::Libraries, format!("{name} is not installed or cannot be loaded ({message})"), INSTALL)
    })?;
    if !tch::utils::has_cudart() {
        let remedy = "call device::select before anything that asks libtorch about CUDA, tch::manual_seed included";
        return Err(lacks(Missing::InTime, "libtorch was asked about CUDA before its CUDA half was loaded", remedy));
    }
    usize::try_from(tch::Cuda::device_count()).ok().filter(|seen| *seen > 0).ok_or_else(|| {
        let cause = format!("libtorch can use none of the {} device(s) that NVIDIA's driver finds", driver.gpus.len());
        lacks(Missing::Device, cause, "see what nvidia-smi says, or choose cpu")
    })
}

/// Opens a library that is never closed, or gives the loader's message.
fn open(file: &Path, flags: c_int) -> Result<&'static Library, String> {
    // SAFETY: these are NVIDIA's and PyTorch's own libraries; what they run while being loaded is made to be run so.
    match unsafe { Library::open(Some(file), flags) } {
        Ok(library) => Ok(Box::leak(Box::new(library))),
        Err(libloading::Error::DlOpen { source }) => Err(source.to_string()),
        Err(other) => Err(other.to_string()),
    }
}

/// Asks NVIDIA's driver library for its version and devices, without libtorch.
fn driver() -> Result<Driver, NoCuda> {
    let library = open(Path::new("libcuda.so.1"), RTLD_NOW | RTLD_LOCAL).map_err(|message| {
        let remedy = if cfg!(target_os = "macos") {
            "there is no CUDA on macOS: choose cpu or mps"
        } else {
            "install NVIDIA's driver (in a container: start it with --gpus all), or choose cpu"
        };
        lacks(Missing::Driver, format!("no NVIDIA driver ({message})"), remedy)
    })?;
    let missing = |error: libloading::Error| driver_fails(&format!("libcuda.so.1 lacks a function ({error})"));
    // SAFETY: types and meaning as in NVIDIA's cuda.h, stable since CUDA 3.2.
    unsafe {
        let init: Symbol<unsafe extern "C" fn(u32) -> c_int> = library.get(b"cuInit\0").map_err(missing)?;
        let version: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> = library.get(b"cuDriverGetVersion\0").map_err(missing)?;
        let count: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> = library.get(b"cuDeviceGetCount\0").map_err(missing)?;
        let get: Symbol<unsafe extern "C" fn(*mut c_int, c_int) -> c_int> = library.get(b"cuDeviceGet\0").map_err(missing)?;
        let name: Symbol<unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int> = library.get(b"cuDeviceGetName\0").map_err(missing)?;
        let memory: Symbol<unsafe extern "C" fn(*mut usize, c_int) -> c_int> = library.get(b"cuDeviceTotalMem_v2\0").map_err(missing)?;

        check("cuInit", init(0))?;
        let (mut cuda, mut devices) = (0, 0);
        check("cuDriverGetVersion", version(&mut cuda))?;
        check("cuDeviceGetCount", count(&mut devices))?;
        let mut gpus = Vec::new();
        for index in 0..devices {
            let (mut device, mut bytes, mut text) = (0, 0, [0; 256]);
            check("cuDeviceGet", get(&mut device, index))?;
            check("cuDeviceGetName", name(text.as_mut_ptr(), 255, device))?;
            check("cuDeviceTotalMem", memory(&mut bytes, device))?;
            gpus.push((CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned(), bytes));
        }
        if gpus.is_empty() { Err(no_device()) } else { Ok(Driver { cuda: major_minor(cuda), gpus }) }
    }
}

fn check(call: &str, status: c_int) -> Result<(), NoCuda> {
    match status {
        0 => Ok(()),
        100 => Err(no_device()),
        803 => Err(driver_fails(&format!("{call}: status 803, its kernel module and its library are of different versions"))),
        status => Err(driver_fails(&format!("{call}: status {status}"))),
    }
}

fn no_device() -> NoCuda {
    let remedy = match env::var("CUDA_VISIBLE_DEVICES") {
        Ok(visible) => format!("CUDA_VISIBLE_DEVICES is '{visible}' and may hide it; or choose cpu"),
        Err(_) => "see what nvidia-smi -L says, or choose cpu".to_owned(),
    };
    lacks(Missing::Device, "NVIDIA's driver finds no device", remedy)
}

fn driver_fails(message: &str) -> NoCuda {
    let remedy = "see what nvidia-smi says; after an update of the driver, restart the machine";
    lacks(Missing::WorkingDriver, format!("NVIDIA's driver fails: {message}"), remedy)
}

/// 13020 means CUDA 13.2.
fn major_minor(number: c_int) -> (i32, i32) {
    (number / 1000, number % 1000 / 10)
}

/// A function of CUDA's runtime library, which libtorch's CUDA builds bring along.
pub(crate) fn runtime_function<T>(name: &[u8]) -> Option<Symbol<T>> {
    // SAFETY: the callers name the types of NVIDIA's cuda_runtime_api.h.
    unsafe { Library::this().get(name).ok() }
}

/// The CUDA version that libtorch is built for; none where it is built without.
fn needed_cuda() -> Option<(i32, i32)> {
    let version: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> = runtime_function(b"cudaRuntimeGetVersion\0")?;
    let mut number = 0;
    // SAFETY: it only writes the number.
    (unsafe { version(&mut number) } == 0).then(|| major_minor(number))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In use, by this and other processes, with what libtorch keeps ready for later tensors.
    pub used: usize,
    pub total: usize,
}

/// The memory of a CUDA device; none for other devices.
pub fn memory(device: Device) -> Option<Memory> {
    let Device::Cuda(index) = device else { return None };
    cuda().ok()?;
    let get: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> = runtime_function(b"cudaGetDevice\0")?;
    let set: Symbol<unsafe extern "C" fn(c_int) -> c_int> = runtime_function(b"cudaSetDevice\0")?;
    let info: Symbol<unsafe extern "C" fn(*mut usize, *mut usize) -> c_int> = runtime_function(b"cudaMemGetInfo\0")?;
    let (mut before, mut free, mut total) = (0, 0, 0);
    // SAFETY: plain queries; this thread's current device, which libtorch relies on, is put back.
    let status = unsafe {
        if get(&mut before) != 0 || set(c_int::try_from(index).ok()?) != 0 {
            return None;
        }
        let status = info(&mut free, &mut total);
        set(before);
        status
    };
    (status == 0).then_some(Memory { used: total.saturating_sub(free), total })
}

/// One line on a device: `cpu (Intel(R) Xeon(R) Processor, 2 threads)`, `cuda:0 (NVIDIA H200, 140 GiB)`.
pub fn describe(device: Device) -> String {
    match device {
        Device::Cpu => format!("cpu ({}, {} threads)", cpu_model(), tch::get_num_threads()),
        Device::Cuda(index) => match cuda().ok().and_then(|driver| driver.gpus.get(index)) {
            Some((name, memory)) => format!("cuda:{index} ({name}, {:.0} GiB)", gib(*memory)),
            None => format!("cuda:{index}"),
        },
        Device::Mps => format!("mps ({})", cpu_model()),
        Device::Vulkan => "vulkan".into(),
    }
}

pub fn gib(bytes: usize) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}

/// The processor's name; its architecture where the system does not tell.
pub(crate) fn cpu_model() -> String {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let name = system.cpus().first().map_or("", |cpu| cpu.brand().trim());
    if name.is_empty() { env::consts::ARCH.to_owned() } else { name.to_owned() }
}

/// Lets this process keep the memory that it frees. glibc hands large blocks back to the kernel, which clears their pages at the next step
/// of training again: on two cores a step of the report's CNN then takes 46 ms instead of 35. With other C libraries this does nothing.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters of the allocator; values out of range are refused by it.
    unsafe {
        // No blocks of their own for large sizes, no trimming at the end, and one arena: others hand back each part that becomes empty.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, c_int::MAX);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives libtorch a thread for each physical core that this process may use, and returns how many: a second thread on a core's other
/// half slows matrix products down. A user's `OMP_NUM_THREADS` wins.
pub fn set_threads() -> i32 {
    if env::var("OMP_NUM_THREADS").is_ok_and(|text| !text.trim().is_empty()) {
        return tch::get_num_threads();
    }
    let cores = num_cpus::get_physical().min(num_cpus::get()).max(1);
    tch::set_num_threads(i32::try_from(cores).unwrap_or(1));
    tch::get_num_threads()
}

/// Deterministic operations only, as `torch.use_deterministic_algorithms`: slower on a GPU, the same on the CPU. To be called before a GPU is
/// first used. An operation that has no deterministic form fails when it is reached.
///
/// # Errors
/// If this libtorch cannot be told.
pub(crate) fn be_deterministic() -> anyhow::Result<()> {
    // What is set here is read when cuBLAS is first used; without it, libtorch refuses matrix products.
    if env::var_os("CUBLAS_WORKSPACE_CONFIG").is_none() {
        // SAFETY: programs call this before they start threads.
        unsafe { env::set_var("CUBLAS_WORKSPACE_CONFIG", ":4096:8") };
    }
    libtorch::set_deterministic()
}

/// Sets single precision on CUDA: convolutions in TF32, the default of PyTorch, matrix products only with `tf32`; `cudnn.benchmark`, except
/// under `--deterministic`.
pub fn set_arithmetic(tf32: bool) {
    let (_, is_deterministic) = Arithmetic::now();
    Arithmetic { tf32_convolutions: true, tf32_products: tf32, benchmark: !is_deterministic }.set();
}

pub(crate) fn libraries() -> String {
    format!("libtorch {}, tch 0.24.0", libtorch::version())
}

/// For a CUDA device, the versions of NVIDIA's driver and of cuDNN; else nothing.
pub(crate) fn drivers(device: Device) -> String {
    if !device.is_cuda() {
        return String::new();
    }
    let driver = fs::read_to_string("/proc/driver/nvidia/version").ok().and_then(|text| driver_version(&text));
    let unknown = || "of an unknown version".to_owned();
    format!("NVIDIA driver {}, cuDNN {}", driver.unwrap_or_else(unknown), libtorch::cudnn_version().unwrap_or_else(unknown))
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:16:06 UTC 2025`
fn driver_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.contains('.') && word.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    text.lines().next()?.split_whitespace().find(is_version).map(str::to_owned)
}

/// The folder of the libtorch that this process runs with: the one it was built with, or where that is gone one of LD_LIBRARY_PATH.
pub(crate) fn libtorch_folder() -> Option<PathBuf> {
    let loaded = fs::read_to_string("/proc/self/maps").ok().and_then(|maps| mapped_folder(&maps, "libtorch_cpu.so"));
    // macOS has no such file; there, nothing but the built-in path is ever used.
    loaded.or_else(|| option_env!("LIBTORCH_LIB").map(PathBuf::from).filter(|folder| folder.exists()))
}

fn mapped_folder(maps: &str, library: &str) -> Option<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.into_iter().find(|path| path.file_name().is_some_and(|name| name == library))?.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() -> anyhow::Result<()> {
        for choice in [Choice::Auto, Choice::Cpu, Choice::Cuda(0), Choice::Cuda(7), Choice::Mps] {
            assert_eq!(choice.to_string().parse::<Choice>()?, choice);
        }
        assert_eq!("cuda".parse::<Choice>()?, Choice::Cuda(0));
        for wrong in ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:99999999999999999999", "cuda 1"] {
            let message = wrong.parse::<Choice>().unwrap_err().to_string();
            assert!(message.contains(&format!("'{wrong}'")) && message.contains("auto, cpu, cuda, cuda:N"), "{message}");
        }
        Ok(())
    }

    #[test]
    fn the_cpu_is_always_there() -> anyhow::Result<()> {
        assert_eq!(select(Choice::Cpu)?, Device::Cpu);
        let line = describe(Device::Cpu);
        assert!(line.starts_with("cpu (") && line.ends_with(" threads)") && !line.contains("(,"), "{line}");
        assert_eq!(memory(Device::Cpu), None);
        Ok(())
    }

    #[test]
    fn a_gpu_that_cannot_be_used_is_an_error_with_cause_and_remedy() {
        // Whatever this machine has, it has no thousandth GPU.
        let message = select(Choice::Cuda(999)).unwrap_err().to_string();
        assert!(message.starts_with("device cuda:999: "), "{message}");
        match cuda() {
            Ok(driver) => assert!(message.contains(&format!("{} CUDA device", driver.gpus.len())), "{message}"),
            Err(cause) => assert!(message.contains(&cause.cause) && message.contains(&cause.remedy), "{message}"),
        }
    }

    #[test]
    fn auto_takes_the_cpu_where_there_is_no_gpu() {
        match (cuda(), select(Choice::Auto)) {
            (Ok(_), Ok(device)) => assert_eq!(device, Device::Cuda(0)),
            // Other tests of this process may have asked libtorch about CUDA before.
            (Err(cause), Err(error)) if cause.missing == Missing::InTime => assert!(error.to_string().contains("before"), "{error}"),
            (Err(_), Ok(device)) => assert!([Device::Cpu, Device::Mps].contains(&device), "{device:?}"),
            (found, selected) => panic!("{found:?}, but {selected:?}"),
        }
    }

    #[test]
    fn the_folder_of_a_library_is_read_from_the_memory_map() {
        let maps = "7f00-7f01 r--p 00000000 fe:00 1    [heap]\n\
                    7f01-7f02 r--p 00000000 fe:00 2    /a b/lib/libtorch_cpu.so.1\n\
                    7f02-7f03 r-xp 00001000 fe:00 3    /a b/lib/libtorch_cpu.so\n";
        assert_eq!(mapped_folder(maps, "libtorch_cpu.so"), Some(PathBuf::from("/a b/lib")));
        assert_eq!(mapped_folder(maps, "libtorch_cuda.so"), None);
        // Some tensor has to be used, else the linker may drop libtorch as a whole.
        assert_eq!(tch::Tensor::from(1.0).size(), [0; 0]);
        assert!(libtorch_folder().is_some_and(|folder| folder.exists()));
    }

    #[test]
    fn statuses_and_versions_of_the_driver() {
        assert_eq!(check("cuInit", 0), Ok(()));
        assert_eq!(check("cuInit", 100).unwrap_err().missing, Missing::Device);
        assert!(check("cuInit", 999).unwrap_err().cause.contains("cuInit: status 999"));
        assert_eq!(major_minor(13020), (13, 2));
        assert_eq!(major_minor(12080), (12, 8));
    }

    #[test]
    fn the_version_of_the_driver_is_read_from_its_line() {
        for (line, version) in [
            (
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:16:06 UTC 2025\nGCC version: gcc 12.2.0",
                Some("580.65.06"),
            ),
            ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build  (dvs-builder)", Some("570.124.06")),
            ("NVRM version", None),
        ] {
            assert_eq!(driver_version(line).as_deref(), version);
        }
    }

    /// It is for the whole process, and says nothing on the CPU: other tests do not notice.
    #[test]
    fn what_is_asked_of_cudas_arithmetic_is_set() {
        for tf32 in [true, false] {
            set_arithmetic(tf32);
            assert_eq!(Arithmetic::now(), (Arithmetic { tf32_convolutions: true, tf32_products: tf32, benchmark: true }, false));
        }
    }

    #[test]
    fn threads_are_set_to_cores_that_are_there() {
        let threads = set_threads();
        assert!(threads >= 1);
        if env::var_os("OMP_NUM_THREADS").is_none() {
            assert!(threads as usize <= num_cpus::get());
        }
        assert_eq!(tch::get_num_threads(), threads);
    }
}
