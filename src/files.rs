//! Files that are whole or not there.

use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;

/// Writes `bytes` to a temporary name in the same folder, syncs, and renames it to `path`: a reader, a crash or a full disk never sees
/// half of it, and what was there before stays until the new file is complete. Missing folders are made.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Makes `folder` and tries whether files can be written there, so that a long run does not find out at its end.
pub fn ensure_writable(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| new_in(folder).map(drop))
        .with_context(|| format!("cannot write into {}; choose another folder or mend its permissions", folder.display()))
}

/// A temporary file with the permissions of an ordinary new one, not the private ones that temporary files have.
fn new_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".partial-").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a/b.csv");
        write_whole(&path, b"first")?;
        write_whole(&path, b"second")?;
        assert_eq!(std::fs::read(&path)?, b"second");
        assert_eq!(std::fs::read_dir(folder.path().join("a"))?.count(), 1);
        let blocked = path.join("c.csv");
        let error = format!("{:#}", write_whole(&blocked, b"").expect_err("a file is no folder"));
        assert!(error.contains(&blocked.display().to_string()), "{error}");
        assert!(ensure_writable(&path).is_err());
        Ok(())
    }
}
