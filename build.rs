//! Binaries find libtorch where the build found it: torch-sys hands its library folder on, and it becomes their rpath. An rpath reaches
//! this package's own binaries only, so the folder is handed on to the build scripts of those that depend on it.

#[path = "src/source_digest.rs"]
mod source_digest;

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src");
    let digest = source_digest::source_digest(Path::new("src")).unwrap_or_else(|error| panic!("cannot read the sources in src/: {error}"));
    println!("cargo:rustc-env=SOURCE_DIGEST={digest}");
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        panic!("torch-sys did not say where libtorch is; run ./setup, or set LIBTORCH to a folder with its include/ and lib/");
    };
    // torch-sys passes LIBTORCH on as the user wrote it; an rpath has to be absolute to hold in every folder.
    let folder = std::fs::canonicalize(&folder).unwrap_or_else(|_| folder.into());
    compile_shim(&folder);
    println!("cargo:rustc-env=LIBTORCH_LIB={0}\ncargo:libtorch_lib={0}", folder.display());
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

/// What tch does not reach of libtorch, against the headers and with the ABI that torch-sys takes.
fn compile_shim(libtorch_lib: &Path) {
    for name in ["LIBTORCH", "LIBTORCH_INCLUDE", "LIBTORCH_CXX11_ABI"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let named = ["LIBTORCH_INCLUDE", "LIBTORCH"].into_iter().find_map(std::env::var_os);
    let folder = named.map_or_else(|| libtorch_lib.join(".."), PathBuf::from);
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(folder.join("include"))
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .file("src/libtorch/shim.cpp")
        .compile("shim");
}
