//! The system's limits on this process: virtual memory (`ulimit -v`), processes and threads (`ulimit -u`, or a container's own).
//!
//! Beyond them libtorch throws in C++, ends the process or, for want of threads, waits forever: hence looked at first.

use anyhow::{Result, bail, ensure};
use rlimit::Resource;
use std::sync::Mutex;
use std::thread::Builder;

/// Bytes that the smallest training takes beside the libraries.
const LEAST_MEMORY: u64 = 256 << 20;

/// Whether this process may have the memory and the threads of a small training.
///
/// # Errors
/// The first limit that is too low.
pub fn check() -> Result<()> {
    memory(limit(Resource::AS), mapped())?;
    // libtorch makes a pool of threads, the trials have theirs, and images are decoded by one for each logical core.
    let cores = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(num_cpus::get_physical());
    threads(2 * cores.clamp(1, num_cpus::get()) + num_cpus::get())
}

fn memory(limit: Option<u64>, mapped: u64) -> Result<()> {
    let needed = mapped + LEAST_MEMORY;
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        let (limit, libraries, needed) = (gigabytes(limit), gigabytes(mapped), gigabytes(needed));
        bail!(
            "virtual memory is limited to {limit} GB, of which libraries take {libraries} GB; {needed} GB is the least; \
             raise the limit: ulimit -v unlimited"
        );
    }
    Ok(())
}

fn threads(needed: usize) -> Result<()> {
    // All at a time: each waits until the last is started.
    let gate = Mutex::new(());
    let started = std::thread::scope(|scope| {
        let _closed = gate.lock();
        let start = |_: &usize| Builder::new().stack_size(1 << 16).spawn_scoped(scope, || drop(gate.lock())).is_ok();
        (0..needed).take_while(start).count()
    });
    ensure!(started == needed, "only {started} more threads can be started, {needed} are needed ({}); {THREADS_REMEDY}", in_words());
    Ok(())
}

/// The remedy when threads cannot be started.
pub(crate) const THREADS_REMEDY: &str = "raise the limit (ulimit -u, or the container's), end other programs, or set OMP_NUM_THREADS=1";

/// The limits that are set: `limits: 4096 processes and threads of the user (ulimit -u), 2.00 GB of virtual memory (ulimit -v)`.
pub(crate) fn in_words() -> String {
    let container = std::fs::read_to_string("/sys/fs/cgroup/pids.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let limits = [
        limit(Resource::NPROC).map(|count| format!("{count} processes and threads of the user (ulimit -u)")),
        container.map(|count| format!("{count} in this container")),
        limit(Resource::AS).map(|bytes| format!("{} GB of virtual memory (ulimit -v)", gigabytes(bytes))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "no limits are set".into() } else { format!("limits: {}", limits.join(", ")) }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e9)
}

/// Virtual memory of this process in bytes, its libraries included; 0 where the system does not tell.
fn mapped() -> u64 {
    // `VmSize:  123456 kB`
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    size.map_or(0, |kilobytes| 1024 * kilobytes)
}

/// The limit on `resource` that is in force, if there is one.
fn limit(resource: Resource) -> Option<u64> {
    resource.get_soft().ok().filter(|limit| *limit != rlimit::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_limit_counts_what_the_libraries_take() {
        assert!(memory(None, u64::MAX / 2).is_ok());
        assert!(memory(Some(LEAST_MEMORY + 100), 100).is_ok());
        let error = memory(Some(500_000_000), 450_000_000).unwrap_err().to_string();
        assert!(error.contains("0.50 GB") && error.contains("0.72 GB") && error.contains("ulimit -v"), "{error}");
        assert!(mapped() > 0 || cfg!(not(target_os = "linux")));
    }
}
