//! Binaries find libtorch where the build found it: torch-sys hands its library folder on, and it becomes their rpath.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rustc-env=SOURCE_DIGEST={:016x}", source_digest(Path::new("src")));
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo:warning=torch-sys did not say where libtorch is; set LD_LIBRARY_PATH to its lib folder to run");
        return;
    };
    // torch-sys passes LIBTORCH on as the user wrote it; an rpath has to be absolute to hold in every folder.
    let folder = std::fs::canonicalize(&folder).unwrap_or_else(|_| folder.into());
    println!("cargo:rustc-env=LIBTORCH_LIB={}", folder.display());
    if folder.to_str().is_none_or(|text| text.contains([':', '\n'])) {
        println!(
            "cargo::error=no rpath can hold libtorch's folder {folder:?}, for its ':', line break or bytes that are no UTF-8: move it"
        );
    }
    if std::env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("unix") {
        // An argument of its own: the path may have a comma, which separates arguments in -Wl.
        println!("cargo:rustc-link-arg=-Xlinker\ncargo:rustc-link-arg=-rpath");
        println!("cargo:rustc-link-arg=-Xlinker\ncargo:rustc-link-arg={}", folder.display());
    }
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // The older kind of rpath, which is searched before LD_LIBRARY_PATH: another libtorch there would not fit. Where this folder is gone,
        // on another machine, LD_LIBRARY_PATH is searched still.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    }
}

/// What decides the outcome of training, beside the resolved experiment; changes elsewhere (plots, tables, flags) leave kept results valid.
const DECISIVE: [&str; 8] = ["seed.rs", "architecture.rs", "data", "layers", "loss.rs", "model", "optim", "train"];

/// A digest of the code that decides a result, so that a kept one is not taken for one of changed code. Tests at a file's foot decide
/// nothing.
fn source_digest(source: &Path) -> u64 {
    let mut files = Vec::new();
    DECISIVE.iter().for_each(|name| collect(source.join(name), &mut files));
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (&file, text.split("#[cfg(test)]").next()).hash(&mut hasher);
    }
    hasher.finish()
}

fn collect(path: PathBuf, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        std::fs::read_dir(path).into_iter().flatten().flatten().for_each(|entry| collect(entry.path(), files));
    } else {
        files.push(path);
    }
}
