//! Functions of libtorch that tch lacks, through `shim.cpp`: fused updates, the arithmetic of CUDA, the profiler, the version that is loaded.

use anyhow::{Result, ensure};
use std::ffi::{CStr, c_char, c_void};
use tch::{Device, Tensor};

type Tensors = *const *const c_void;

unsafe extern "C" {
    fn shim_fused_sgd(parameters: Tensors, gradients: Tensors, velocities: Tensors, count: usize, step: &SgdStep) -> *mut c_char;
    fn shim_lerp(means: Tensors, values: Tensors, count: usize, weight: f64) -> *mut c_char;
    fn shim_set_deterministic() -> *mut c_char;
    fn shim_set_arithmetic(arithmetic: &Arithmetic) -> *mut c_char;
    fn shim_arithmetic(arithmetic: &mut Arithmetic) -> bool;
    fn shim_no_tf32() -> *mut c_void;
    fn shim_end_no_tf32(guard: *mut c_void);
    fn shim_start_profile(on_gpu: bool) -> *mut c_char;
    fn shim_end_profile(on_gpu: bool, lines: *mut *mut c_char) -> *mut c_char;
    fn shim_config() -> *mut c_char;
    fn shim_cudnn_version() -> i64;
}

/// One step of stochastic gradient descent, in place for all parameters at once: a few kernel launches on a GPU, one pass over memory.
/// With g = gradient + weight_decay w: v = momentum v + g and w = w - learning_rate v; without momentum, w = w - learning_rate g, and
/// `velocities` are not looked at. All tensors of a parameter have its shape and its kind, and its velocity has its strides.
pub(crate) fn fused_sgd(parameters: &[&Tensor], gradients: &[&Tensor], velocities: &[&Tensor], step: SgdStep) {
    assert!(
        parameters.len() == gradients.len() && (step.momentum == 0.0 || parameters.len() == velocities.len()),
        "one for each parameter"
    );
    // libtorch walks through the memory of each, so they have to lie in it alike. Autograd's gradients mostly do.
    let alike = |(gradient, parameter): (&&Tensor, &&Tensor)| in_layout_of(gradient, parameter);
    let gradients: Vec<Tensor> = gradients.iter().zip(parameters).map(alike).collect();
    debug_assert!(velocities.iter().zip(parameters).all(|(velocity, parameter)| velocity.stride() == parameter.stride()));
    let (count, parameters) = (parameters.len(), pointers(parameters.iter().copied()));
    let (gradients, velocities) = (pointers(&gradients), pointers(velocities.iter().copied()));
    // SAFETY: the pointers are those of tensors that live as long as the call; each list has as many as are said.
    unsafe { well(shim_fused_sgd(parameters.as_ptr(), gradients.as_ptr(), velocities.as_ptr(), count, &step)) };
}

/// The hyperparameters of [`fused_sgd`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct SgdStep {
    pub learning_rate: f64,
    pub momentum: f64,
    pub weight_decay: f64,
}

/// `means += weight * (values - means)`, in place for all tensors at once.
pub(crate) fn lerp(means: &[&Tensor], values: &[&Tensor], weight: f64) {
    assert_eq!(means.len(), values.len(), "one value for each mean");
    let (means, values) = (pointers(means.iter().copied()), pointers(values.iter().copied()));
    // SAFETY: as above.
    unsafe { well(shim_lerp(means.as_ptr(), values.as_ptr(), means.len(), weight)) };
}

/// `tensor` with the strides of `model`, which has its shape: itself, or a copy.
fn in_layout_of(tensor: &Tensor, model: &Tensor) -> Tensor {
    if tensor.stride() == model.stride() {
        return tensor.shallow_clone();
    }
    let mut copy = model.empty_like();
    copy.copy_(tensor);
    copy
}

/// Arithmetic of libtorch on CUDA; without effect on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Arithmetic {
    /// Convolutions of single-precision values round these to 10 bits of mantissa (TF32).
    pub tf32_convolutions: bool,
    /// Matrix products do.
    pub tf32_products: bool,
    /// cuDNN tries its algorithms for each new shape, and takes the fastest.
    pub benchmark: bool,
}

impl Arithmetic {
    /// Sets it for the whole process.
    pub fn set(self) {
        // SAFETY: plain settings of libtorch's global context.
        unsafe { well(shim_set_arithmetic(&self)) };
    }

    /// As it is set, and whether libtorch uses only deterministic operations.
    pub fn now() -> (Arithmetic, bool) {
        let mut arithmetic = Arithmetic { tf32_convolutions: false, tf32_products: false, benchmark: false };
        // SAFETY: it writes the three values.
        let is_deterministic = unsafe { shim_arithmetic(&mut arithmetic) };
        (arithmetic, is_deterministic)
    }
}

/// Has libtorch use only deterministic operations, or fail.
///
/// # Errors
/// If libtorch was told so and is not.
pub(crate) fn set_deterministic() -> Result<()> {
    // SAFETY: plain settings of libtorch's global context.
    unsafe { well(shim_set_deterministic()) };
    ensure!(Arithmetic::now().1, "libtorch was told to be deterministic, and is not; leave --deterministic out");
    Ok(())
}

/// Runs `compute` with matrix products in full single precision in this thread, whatever [`Arithmetic`] says.
pub(crate) fn without_tf32<T>(compute: impl FnOnce() -> T) -> T {
    struct Guard(*mut c_void);
    impl Drop for Guard {
        fn drop(&mut self) {
            // SAFETY: the guard of this thread, ended once.
            unsafe { shim_end_no_tf32(self.0) };
        }
    }
    // SAFETY: it sets a variable of this thread.
    let _guard = Guard(unsafe { shim_no_tf32() });
    compute()
}

/// A kernel of a GPU, a copy or fill of its memory, or an operation on the CPU, in a [`profile`].
#[derive(Clone, Debug)]
pub struct Kernel {
    pub name: String,
    /// Number of launches
    pub count: u64,
    /// All runs together; on the CPU with the operations that it called itself
    pub seconds: f64,
}

/// The kernels that `work` launches on `device`, by libtorch's profiler, the longest first; on the CPU the operations that it calls.
/// `work` waits for the device before it ends, or later kernels are missing.
pub fn profile(device: Device, work: impl FnOnce()) -> Vec<Kernel> {
    let (on_gpu, mut lines) = (device.is_cuda(), std::ptr::null_mut());
    // SAFETY: the second call ends what the first began, and leaves a string of strdup's.
    let lines = unsafe {
        well(shim_start_profile(on_gpu));
        work();
        well(shim_end_profile(on_gpu, &mut lines));
        owned(lines)
    };
    let kernel = |line: &str| {
        let (count, rest) = line.split_once('\t')?;
        let (nanoseconds, name) = rest.split_once('\t')?;
        Some(Kernel { name: name.to_owned(), count: count.parse().ok()?, seconds: nanoseconds.parse::<f64>().ok()? / 1e9 })
    };
    let mut kernels: Vec<Kernel> = lines.lines().filter_map(kernel).collect();
    kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    kernels
}

/// The version of the libtorch that is loaded, as it says itself: `2.11.0`.
pub(crate) fn version() -> String {
    // SAFETY: a string of strdup's.
    let config = unsafe { owned(shim_config()) };
    let found = config.split_once("TORCH_VERSION=").map(|(_, rest)| rest.split([',', ' ', '\n']).next().unwrap_or_default().to_owned());
    found.unwrap_or_else(|| "of an unknown version".to_owned())
}

/// The version of cuDNN, `9.19.0`; none where libtorch's CUDA half is not loaded.
pub(crate) fn cudnn_version() -> Option<String> {
    // SAFETY: a plain query.
    let number = unsafe { shim_cudnn_version() };
    (number > 0).then(|| format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100))
}

fn pointers<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<*const c_void> {
    tensors.into_iter().map(|tensor| tensor.as_ptr().cast()).collect()
}

/// Fails as tch's own operations do, with libtorch's message.
///
/// # Safety
/// `message` is null or a string of strdup's, not used after.
unsafe fn well(message: *mut c_char) {
    if !message.is_null() {
        // SAFETY: as promised.
        panic!("libtorch: {}", unsafe { owned(message) });
    }
}

/// # Safety
/// `text` is a string of strdup's, not used after.
unsafe fn owned(text: *mut c_char) -> String {
    // SAFETY: as promised.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        libc::free(text.cast());
        copy
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};
    use std::sync::Mutex;
    use tch::Kind;

    unsafe extern "C" {
        fn shim_count_transfers() -> u64;
        fn shim_end_count(handle: u64) -> i64;
        fn shim_is_without_tf32() -> bool;
    }

    /// The number of times that `compute`, in this thread, reads a value of a tensor, makes a tensor of values that the host has, or waits
    /// for the size of a result: synchronizations with a GPU, as far as they show on the CPU. All values of a tensor read at once are none.
    pub fn transfers<T>(compute: impl FnOnce() -> T) -> (T, i64) {
        static ONE: Mutex<()> = Mutex::new(());
        let _one_at_a_time = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: it registers a callback for this thread, and removes it.
        unsafe {
            let handle = shim_count_transfers();
            let result = compute();
            (result, shim_end_count(handle))
        }
    }

    #[test]
    fn what_makes_the_host_wait_is_counted() {
        let tensor = Tensor::ones([4], (Kind::Float, Device::Cpu));
        assert_eq!(transfers(|| (&tensor * 2.0 + &tensor).sum(Kind::Float)).1, 0);
        assert_eq!(transfers(|| tensor.double_value(&[0])).1, 1, "a value is read");
        assert_eq!(transfers(|| Tensor::from_slice(&[1.0, 2.0])).1, 1, "values come from the host");
        assert!(transfers(|| tensor.masked_select(&tensor.gt(0.5))).1 > 0, "a size depends on values");
    }

    #[test]
    fn the_fused_step_is_that_of_its_formula_whatever_the_layout() {
        let options = (Kind::Double, Device::Cpu);
        let random = |position| draw(1, Purpose::Embedded, position, || Tensor::randn([5, 3, 4, 2], options));
        let last = |tensor: &Tensor| tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        for momentum in [0.0, 0.9] {
            let (weight, gradient, velocity) = (last(&random(0)), random(1), last(&random(2)));
            let g = &gradient + &weight * 0.2;
            let v = if momentum == 0.0 { g } else { &velocity * momentum + g };
            let expected = &weight - &v * 0.1;
            let step = SgdStep { learning_rate: 0.1, momentum, weight_decay: 0.2 };
            let (other, still) = (random(3), random(4) * 0.0);
            let other_before = other.copy();
            fused_sgd(&[&other, &weight], &[&still, &gradient], &[&still.copy(), &velocity], step);
            assert!(weight.allclose(&expected, 1e-12, 1e-12, false), "momentum {momentum}");
            assert!(other.allclose(&(&other_before - &other_before * 0.02), 1e-12, 1e-12, false), "each has its own gradient");
            assert!(momentum == 0.0 || velocity.allclose(&v, 1e-12, 1e-12, false));
        }
    }

    #[test]
    fn lerp_goes_part_of_the_way_for_every_tensor() {
        let tensors = [2.0, -1.0].map(|value| Tensor::full([3], value, (Kind::Double, Device::Cpu)));
        let values = tensors.each_ref().map(|tensor| tensor + 4.0);
        lerp(&tensors.each_ref(), &values.each_ref(), 0.25);
        assert_eq!(tensors.map(|tensor| tensor.double_value(&[2])), [3.0, 0.0]);
    }

    #[test]
    fn a_profile_has_what_ran_in_it_and_nothing_else() {
        let tensor = Tensor::ones([64, 64], (Kind::Float, Device::Cpu));
        let kernels = profile(Device::Cpu, || {
            for _ in 0..3 {
                let _ = tensor.matmul(&tensor);
            }
        });
        let times = |name| kernels.iter().find(|kernel| kernel.name == name).map_or(0, |kernel| kernel.count);
        assert_eq!((times("aten::matmul"), times("aten::mm"), times("aten::ones")), (3, 3, 0), "{kernels:?}");
        assert!(kernels[0].seconds > 0.0 && kernels.is_sorted_by(|a, b| a.seconds >= b.seconds));
    }

    #[test]
    fn full_precision_ends_with_its_scope_even_by_a_panic() {
        // SAFETY: a plain query.
        let is_on = || unsafe { shim_is_without_tf32() };
        assert!(without_tf32(is_on) && !is_on());
        assert!(std::panic::catch_unwind(|| without_tf32(|| panic!("on purpose"))).is_err() && !is_on());
    }

    #[test]
    fn libtorch_says_its_version() {
        assert!(version().starts_with("2.11.0"), "{}", version());
    }
}
