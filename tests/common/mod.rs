//! Running the examples themselves.

#![allow(dead_code, reason = "tests share it, and each uses a part")]

use reproduction::data::{Examples, embedded};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example binary that `cargo test` has built, with a surrounding that names no data set. It trains with one thread: tests run side by
/// side, and a team of threads, one of which waits for a core, takes many times as long for a step.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the test's own path");
    let binary = test.parent().and_then(Path::parent).expect("target/<profile>/deps").join("examples").join(name);
    assert!(binary.exists(), "{} is not there: `cargo test` without --test builds the examples", binary.display());
    let mut command = Command::new(binary);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("MNIST_DIR").env_remove("CATS_DOGS");
    command.env("OMP_NUM_THREADS", "1").env("RUST_BACKTRACE", "1");
    command
}

/// A folder with 10,300 training and 300 test digits as raw IDX files, written once and kept below target/: a program reads these in no
/// time, where drawing the 70,000 that stand in for MNIST takes it longer than a short training.
pub fn few_digits() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("few-digits");
    if folder.exists() {
        return folder;
    }
    let partial = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("made");
    let (train, test) = embedded::digits(10_300, 300, 0);
    for (prefix, Examples { images, labels }) in [("train", train), ("t10k", test)] {
        let count = labels.size()[0] as u32;
        let write = |name: &str, sizes: &[u32], values: Vec<u8>| {
            // Two zero bytes, 8 for unsigned bytes, the number of dimensions; each as a big-endian number.
            let sizes_as_bytes = sizes.iter().flat_map(|size| size.to_be_bytes());
            let bytes: Vec<u8> = [0, 0, 8, sizes.len() as u8].into_iter().chain(sizes_as_bytes).chain(values).collect();
            std::fs::write(partial.path().join(format!("{prefix}-{name}-ubyte")), bytes).expect("written");
        };
        write("images-idx3", &[count, 28, 28], Vec::try_from(images.flatten(0, -1)).expect("bytes"));
        write("labels-idx1", &[count], Vec::<i64>::try_from(labels).expect("labels").into_iter().map(|label| label as u8).collect());
    }
    // Another test may have been faster; its files are the same.
    let _ = std::fs::rename(partial.keep(), &folder);
    folder
}

/// Images for a short run of this example: few digits in files, or cats and dogs that it draws itself.
pub fn few_images(example: &str) -> PathBuf {
    let of_photographs = ["kaggle", "ablation", "fig12", "fig13", "fig15", "fig16"];
    if of_photographs.iter().any(|start| example.starts_with(start)) { "embedded".into() } else { few_digits() }
}

/// An empty folder for a run's outputs.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Scratch {
        Scratch(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes this folder one with `experiments/`: those of the project, but for these, by name.
    pub fn experiments(&self, own: &[(&str, &str)]) {
        let folder = self.path("experiments");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments"), &folder);
        for (name, text) in own {
            std::fs::write(folder.join(format!("{name}.toml")), text).expect("written");
        }
    }

    /// `command` with its outputs in this folder.
    pub fn in_here<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.arg("--out").arg(self.path("plots")).arg("--runs").arg(self.path("runs"))
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed").flatten() {
        match entry.path() {
            path if path.is_dir() => copy(&path, &to.join(entry.file_name())),
            path => drop(std::fs::copy(path, to.join(entry.file_name())).expect("copied")),
        }
    }
}

/// The only line that a failing program may print beside notices: the whole chain of causes.
pub fn error_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked") && !text.contains("stack backtrace"), "{text}");
    let line = text.lines().find(|line| line.starts_with("Error: ") || line.starts_with("error: "));
    line.unwrap_or_else(|| panic!("no line starts with Error: in\n{text}")).to_owned()
}
