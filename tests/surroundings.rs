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
