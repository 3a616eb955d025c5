//! Binaries find libtorch where the build found it: torch-sys hands its library folder on, and it becomes their rpath.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo:warning=torch-sys did not say where libtorch is; set LD_LIBRARY_PATH to its lib folder to run");
        return;
    };
    // torch-sys passes LIBTORCH on as the user wrote it; an rpath has to be absolute to hold in every folder.
    let folder = std::fs::canonicalize(&folder).unwrap_or_else(|_| folder.into());
    println!("cargo:rustc-env=LIBTORCH_LIB={}", folder.display());
    if std::env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("unix") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
