//! The system's limit on processes and threads: `ulimit -u`, or a container's own.

use anyhow::{Result, ensure};
use std::sync::Mutex;
use std::thread::Builder;

/// Whether this process may start the threads of a training: for want of them libtorch waits forever.
pub fn check() -> Result<()> {
    // libtorch makes a pool of threads, the trials have theirs, and images are decoded by one for each logical core.
    let cores = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(num_cpus::get_physical());
    let needed = 2 * cores.clamp(1, num_cpus::get()) + num_cpus::get();
    // All at a time: each waits until the last is started.
    let gate = Mutex::new(());
    let started = std::thread::scope(|scope| {
        let _closed = gate.lock();
        let start = |_: &usize| Builder::new().stack_size(1 << 16).spawn_scoped(scope, || drop(gate.lock())).is_ok();
        (0..needed).take_while(start).count()
    });
    ensure!(started == needed, "only {started} more threads can be started, {needed} are needed: {THREADS_REMEDY}");
    Ok(())
}

/// The remedy when threads cannot be started.
pub(crate) const THREADS_REMEDY: &str =
    "raise the limit (ulimit -u, ulimit -v, or the container's), end other programs, or set OMP_NUM_THREADS=1";
