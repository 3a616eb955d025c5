//! Programs started in odd surroundings: another libtorch, another folder, little memory, few processes.
#![cfg(target_os = "linux")]

mod common;

use common::{Scratch, example};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Python environments and HPC modules put libtorches of other versions into LD_LIBRARY_PATH.
#[test]
fn the_libtorch_that_it_was_built_with_wins() {
    let scratch = Scratch::new();
    for file in ["libtorch_cpu.so", "libtorch.so", "libc10.so"] {
        std::fs::write(scratch.path(file), "not a library").expect("written");
    }
    let output = example("doctor").env("LD_LIBRARY_PATH", scratch.path("")).output().expect("starts");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(env!("LIBTORCH_LIB")), "{output:?}");
}

/// On a machine without the folder that it was built with.
#[test]
fn a_program_that_was_carried_elsewhere_takes_the_libtorch_of_the_library_path() {
    let scratch = Scratch::new();
    let mut program = std::fs::read(example("doctor").get_program()).expect("the example");
    let built_with = env!("LIBTORCH_LIB").as_bytes();
    for start in (0..program.len() - built_with.len()).filter(|start| program[*start..].starts_with(built_with)).collect::<Vec<_>>() {
        program[start + 1] = b'_';
    }
    let carried = scratch.path("doctor");
    std::fs::write(&carried, program).expect("written");
    std::fs::set_permissions(&carried, std::fs::Permissions::from_mode(0o755)).expect("set");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let alone = Command::new(&carried).current_dir(root).env_remove("LD_LIBRARY_PATH").output().expect("starts");
    assert_eq!(alone.status.code(), Some(127), "{alone:?}");
    let output = Command::new(&carried).current_dir(root).env("LD_LIBRARY_PATH", env!("LIBTORCH_LIB")).output().expect("starts");
    assert!(output.status.success(), "{output:?}");
}

/// `experiments/` is a common name.
#[test]
fn a_folder_of_another_project_is_not_taken_for_this_one() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("experiments")).expect("made");
    std::fs::write(scratch.path("experiments/fig8_cnn_architecture.toml"), "theirs = true").expect("written");
    let mut command = example("fig8_cnn_architecture");
    let output = scratch.in_here(command.current_dir(scratch.path(""))).output().expect("starts");
    assert!(output.status.success(), "{output:?}");
    // A copy of the project's own is.
    scratch.experiments(&[("fig8_cnn_architecture", "theirs = true")]);
    let output = command.output().expect("starts");
    assert!(common::error_of(&output).contains("`run` is missing"), "{output:?}");
}

/// `program` with a limit of the shell's, as a user without special rights: limits on processes do not hold for root.
fn limited(limit: &str, program: &Command) -> Option<std::process::Output> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let mut command = Command::new("timeout");
    command.arg("60");
    if is_root && limit.starts_with("-u") {
        command.args(["setpriv", "--reuid", "61237", "--clear-groups", "--inh-caps=-all"]);
    }
    let line = format!("ulimit {limit} && ulimit -c 0 && exec \"$0\" \"$@\"");
    command.args(["bash", "-c"]).arg(line).arg(program.get_program()).args(program.get_args());
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("OMP_NUM_THREADS").env_remove("RUST_BACKTRACE");
    // There may be no setpriv, and that user may not be allowed to reach the program.
    command.output().ok().filter(|output| ![Some(126), Some(127)].contains(&output.status.code()))
}

/// libtorch would wait forever for its threads, or end the process.
#[test]
fn too_few_threads_are_told_in_one_line() {
    let scratch = Scratch::new();
    std::fs::set_permissions(scratch.path(""), std::fs::Permissions::from_mode(0o777)).expect("set");
    for name in ["doctor", "fig8_cnn_architecture"] {
        let mut program = example(name);
        if name != "doctor" {
            scratch.in_here(&mut program);
        }
        let Some(output) = limited("-u 1", &program) else { return eprintln!("left out: there is no other user here") };
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("0 more threads can be started") && said.contains("(ulimit -u)"), "{said}");
        assert!(said.lines().any(|line| line.starts_with("Error: ")) && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn too_little_virtual_memory_is_told_in_one_line() {
    let scratch = Scratch::new();
    let output = limited("-v 500000", scratch.in_here(&mut example("fig8_cnn_architecture"))).expect("bash");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("0.51 GB") && said.contains("ulimit -v"), "{said}");
}

/// Not a test: what the next one runs.
#[test]
#[ignore = "panics on purpose"]
fn a_bug() {
    reproduction::run::explain_panics();
    let other = std::thread::spawn(|| panic!("the sky fell\\nframe #0: c10::sky()"));
    other.join().expect("a thread that panics makes others panic");
}

#[test]
fn a_panic_is_told_once_and_as_a_bug() {
    let run = |backtrace: &str| {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "a_bug", "--ignored", "--nocapture"]).env("RUST_BACKTRACE", backtrace);
        let output = command.output().expect("starts");
        assert_eq!(output.status.code(), Some(101), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = run("0");
    assert_eq!(said.trim().lines().count(), 3, "{said}");
    assert!(
        said.contains("this is a bug in this program at tests/surroundings.rs") && said.contains("the sky fell\nPlease report"),
        "{said}"
    );
    assert!(run("1").contains("stack backtrace"));
}
