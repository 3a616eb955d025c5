//! Panics: told in a few lines instead of thirty frames of C++.

use super::{project_root, provenance};
use crate::limits;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

/// Has a panic of this process told as what it is: too little memory, too few threads, or a bug in this program. The exit code stays Rust's,
/// 101; with `RUST_BACKTRACE=1` Rust's own message, with its backtrace, comes first.
pub fn explain_panics() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let of_rust = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            of_rust(info);
        }
        // The first only: a thread that has panicked makes others do so.
        if !TOLD.swap(true, Ordering::SeqCst) {
            let place = info.location().map_or(String::new(), |location| format!(" at {location}"));
            // Standard error may be closed, and this is no place to panic.
            let _ = writeln!(std::io::stderr(), "\n{}", explanation(&message(info), &place));
        }
    }));
}

fn message(info: &PanicHookInfo) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn explanation(message: &str, place: &str) -> String {
    let cause = without_frames(message);
    let lower = cause.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    if has(&["failed to spawn thread", "threadpoolbuilderror"]) {
        let (limits, remedy) = (limits::in_words(), limits::THREADS_REMEDY);
        return format!("Error: the system starts no more threads for this program ({limits}): {remedy}");
    }
    if has(&["out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "alloc_failed"]) {
        let (whose, limits) = if has(&["cuda", "cublas", "cudnn", "mps backend"]) {
            ("the GPU's memory", String::new())
        } else {
            ("memory", format!(" ({})", limits::in_words()))
        };
        return format!(
            "Error: {whose} does not suffice{limits}: {cause}\nUse fewer examples (--limit 1000) or a smaller minibatch (in the experiment's file), \
             end other programs that take memory, or raise the limit"
        );
    }
    let commit = project_root().map_or("unknown".to_owned(), |root| provenance::commit(&root));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "Error: this is a bug in this program{place}: {cause}\nPlease report it with these lines: version {version}, commit {commit}, command {}\n\
         The same command with RUST_BACKTRACE=1 tells more",
        provenance::command()
    )
}

/// An error of libtorch without the C++ frames that follow it; within an error of tch, its lines are separated by `\n` as Rust quotes it.
fn without_frames(message: &str) -> &str {
    let ends = ["\\nException raised from", "\nException raised from", "\\nframe #", "\nframe #"];
    let end = ends.iter().filter_map(|end| message.find(end)).min().unwrap_or(message.len());
    message[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_explained_by_its_cause() {
        let cpu = r#"called `Result::unwrap()` on an `Err` value: Torch("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 1792000 bytes. Error code 12 (Cannot allocate memory)\nframe #0: c10::ThrowEnforceNotMet(char const*) + 0x6a (0x7ffb6) in /x/libc10.so\nframe #1: y")"#;
        let gpu = r#"called `Result::unwrap()` on an `Err` value: Torch("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has\nException raised from malloc at CUDACachingAllocator.cpp\nframe #0: z")"#;
        let thread = r#"failed to spawn thread: Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" }"#;
        let pool = "The global thread pool has not been initialized.: ThreadPoolBuildError { kind: IOError(Os { code: 11 }) }";
        for (message, words) in [
            (cpu, vec!["memory does not suffice", "1792000 bytes", "--limit", "limit"]),
            (gpu, vec!["the GPU's memory", "20.00 GiB", "--limit", "minibatch"]),
            (thread, vec!["no more threads", "ulimit -u", "OMP_NUM_THREADS=1"]),
            (pool, vec!["no more threads"]),
            (
                "index out of bounds: the len is 3",
                vec!["bug", "at src/x.rs:1:2", "the len is 3", env!("CARGO_PKG_VERSION"), "commit", "RUST_BACKTRACE=1"],
            ),
        ] {
            let told = explanation(message, " at src/x.rs:1:2");
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
            assert!(told.starts_with("Error: ") && told.lines().count() <= 3 && !told.contains("frame #"), "{told}");
        }
    }
}
