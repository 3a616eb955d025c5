//! The version of the code that decides what training comes to. Its digest is part of a trial's id, so that a finished trial of other code
//! is not taken for one of this. `build.rs` compiles this file too.

use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// Files and folders in `src/` that decide, beside the resolved experiment and the data, what a trial comes to. What reads data does not:
/// the data's own checksum is in the id.
pub const SOURCES: [&str; 14] = [
    "architecture.rs",
    "data/augmentation",
    "data/mod.rs",
    "data/splits.rs",
    "device.rs",
    "experiment",
    "history.rs",
    "layers",
    "libtorch",
    "loss.rs",
    "model",
    "optim",
    "seed.rs",
    "train",
];

/// The first 16 hexadecimal digits of the SHA-256 of names and contents of all [`SOURCES`] below the folder `source`: the same on every
/// machine and with every compiler.
///
/// # Errors
/// If one of them is missing or cannot be read.
pub fn source_digest(source: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    SOURCES.iter().try_for_each(|name| collect(source.join(name), &mut files))?;
    let mut hasher = Sha256::new();
    for file in files {
        let named = |error| io::Error::other(format!("{}: {error}", file.display()));
        let text = std::fs::read_to_string(&file).map_err(named)?.replace("\r\n", "\n");
        let name = file.strip_prefix(source).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        for part in [name, text] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The file `path`, or all sources that are below the folder of that name, in the order of their names: editors leave other files.
pub fn collect(path: PathBuf, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        if path.extension().is_some_and(|ending| ending == "rs" || ending == "cpp") {
            files.push(path);
        }
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    entries.into_iter().try_for_each(|entry| collect(entry, files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn another_line_in_any_source_or_another_file_is_another_digest() -> io::Result<()> {
        let (own, scratch) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), tempfile::tempdir()?);
        let (mut sources, mut all) = (Vec::new(), Vec::new());
        SOURCES.iter().try_for_each(|name| collect(own.join(name), &mut sources))?;
        collect(own.clone(), &mut all)?;
        let copy_of = |file: &Path| scratch.path().join(file.strip_prefix(&own).expect("below src"));
        for file in &all {
            fs::create_dir_all(copy_of(file).parent().expect("a folder"))?;
            fs::copy(file, copy_of(file))?;
        }
        let digest = || source_digest(scratch.path());
        let original = digest()?;
        assert_eq!(original, source_digest(&own)?, "wherever the sources lie");
        assert_eq!(original, env!("SOURCE_DIGEST"));
        for file in all {
            let (text, path) = (fs::read_to_string(&file)?, copy_of(&file));
            // The last line, below the tests that most files end with.
            fs::write(&path, format!("{text}// another line\n"))?;
            assert_eq!(digest()? != original, sources.contains(&file), "{}", file.display());
            fs::write(&path, text.replace('\n', "\r\n"))?;
            assert_eq!(digest()?, original, "{}: as Git for Windows checks it out", file.display());
            fs::write(&path, text)?;
        }
        fs::write(scratch.path().join("layers/another.rs"), "")?;
        assert_ne!(digest()?, original, "a new layer");
        fs::remove_file(scratch.path().join("layers/another.rs"))?;
        fs::write(scratch.path().join("layers/.DS_Store"), [0xff])?;
        assert_eq!(digest()?, original, "no source");
        fs::remove_file(scratch.path().join("loss.rs"))?;
        assert!(digest().is_err(), "a source is missing");
        Ok(())
    }
}
