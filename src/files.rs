//! Files that are whole or not there, what is in them, and who may write them.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;
use tempfile::NamedTempFile;

/// Files of this name were being written when a program was killed.
const PARTIAL: &str = ".partial-";

/// Writes `bytes` to `path`, whole or not at all (see [`Partial`]).
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> Result<()> {
        let mut file = Partial::new_in(folder_of(path))?;
        file.0.write_all(bytes)?;
        file.rename(path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A file that is being written, under a temporary name in the folder where it is to be: a reader, a crash or a full disk never sees half of
/// it, and an earlier file stays until the new one is complete and synced. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Partial(NamedTempFile);

impl Partial {
    pub(crate) fn new_in(folder: &Path) -> Result<Partial> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let mut builder = tempfile::Builder::new();
        // The permissions of an ordinary new file, not the private ones of a temporary file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        Ok(Partial(builder.prefix(PARTIAL).tempfile_in(folder)?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn rename(self, path: &Path) -> Result<()> {
        rename_synced(self.path(), path)?;
        self.0.keep()?;
        Ok(())
    }
}

/// Gives the file `from`, when all of it is on the disk, the name `to` in the same folder.
pub(crate) fn rename_synced(from: &Path, to: &Path) -> io::Result<()> {
    // Opened anew: what wrote the file may have had a handle of its own.
    File::open(from)?.sync_all()?;
    std::fs::rename(from, to)?;
    // The name is safe when the folder is. Where folders cannot be synced, that is all that can be done.
    let _ = File::open(folder_of(to)).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Removes what killed programs left half-written in `folder`. Only for who holds its [`Lock`].
pub(crate) fn remove_partial(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            std::fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Makes `folder` and tries whether files can be written there, so that a long run does not find out at its end.
pub(crate) fn ensure_writable(folder: &Path) -> Result<()> {
    let partial = Partial::new_in(folder);
    partial.with_context(|| format!("cannot write into {}; choose another folder or fix its permissions", folder.display())).map(drop)
}

/// The entries of `folder`, sorted by name; empty where it is no folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries: std::io::Result<Vec<PathBuf>> = match std::fs::read_dir(folder) {
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => return Ok(Vec::new()),
        entries => entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()),
    };
    let mut paths = entries.with_context(|| format!("cannot list {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}

/// A CSV with a line for each of `rows`, below the names of its columns.
pub(crate) fn to_csv(rows: &[impl Serialize]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| writer.serialize(row))?;
    Ok(writer.into_inner()?)
}

/// The rows of the CSV `path`, which holds `what`.
pub(crate) fn read_csv<T: DeserializeOwned>(path: &Path, what: &str) -> Result<Vec<T>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot read {what} {}", path.display()))?;
    reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("in {}", path.display()))
}

/// SHA-256 of what there is to read, in hexadecimal digits.
pub fn sha256_of(mut file: impl Read) -> std::io::Result<String> {
    let (mut state, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(state.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => state.update(&buffer[..read]),
        }
    }
}

/// The right to write a folder, which one process has at a time; given back when it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Takes the lock of `folder`, the file `lock` in it. Missing folders are made. On a file system without locks it says so, once, and
    /// goes on without.
    ///
    /// # Errors
    /// If another process has it, with what that process said of itself.
    pub(crate) fn take(folder: &Path) -> Result<Lock> {
        Lock::take_by(File::try_lock, folder)
    }

    fn take_by(try_lock: impl Fn(&File) -> Result<(), TryLockError>, folder: &Path) -> Result<Lock> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join("lock");
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| format!("cannot write {}", path.display()))?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let who = if holder.is_empty() { "another process" } else { holder.trim() };
                bail!("{} is in use by {who}; wait for it or end it, or choose another folder with --runs", folder.display());
            }
            Err(TryLockError::Error(error)) if lacks_locks(&error) => {
                static TELL: Once = Once::new();
                TELL.call_once(|| {
                    let folder = folder.display();
                    tell!("{folder} is on a file system without locks ({error}): see to it that no other process trains the same trials");
                });
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
        let host = gethostname::gethostname();
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "process {} on {}", std::process::id(), host.to_string_lossy())?;
        Ok(Lock(file))
    }
}

/// Whether a file cannot be locked because its file system does not know locks, as some network file systems do not.
pub(crate) fn lacks_locks(error: &io::Error) -> bool {
    let is_missing = |code| [libc::ENOLCK, libc::ENOTSUP, libc::EOPNOTSUPP, libc::ENOSYS].contains(&code);
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error().is_some_and(is_missing)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

    #[test]
    fn what_is_half_written_is_removed_and_nothing_else() -> Result<()> {
        let folder = tempfile::tempdir()?;
        write_whole(&folder.path().join("whole"), b"x")?;
        let (_, kept) = Partial::new_in(folder.path())?.0.keep()?;
        assert!(kept.exists());
        remove_partial(folder.path())?;
        assert!(!kept.exists() && folder.path().join("whole").exists());
        remove_partial(&folder.path().join("missing"))
    }

    #[test]
    fn a_file_is_hashed_as_its_contents_are() -> Result<()> {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256_of(&b"abc"[..])?, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        Ok(())
    }

    #[test]
    fn a_lock_is_held_by_one_and_names_its_holder() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("trial");
        let lock = Lock::take(&path)?;
        let error = Lock::take(&path).expect_err("it is held").to_string();
        assert!(error.contains(&format!("is in use by process {} on ", std::process::id())), "{error}");
        drop(lock);
        Lock::take(&path).map(drop)
    }

    #[test]
    fn a_file_system_without_locks_is_no_error() {
        let folder = tempfile::tempdir().expect("made");
        let take = |code| Lock::take_by(|_| Err(TryLockError::Error(io::Error::from_raw_os_error(code))), folder.path());
        for code in [libc::ENOLCK, libc::ENOTSUP, libc::EOPNOTSUPP, libc::ENOSYS] {
            assert!(take(code).is_ok(), "{}", io::Error::from_raw_os_error(code));
        }
        assert!(take(libc::EIO).expect_err("a broken disk").to_string().contains("cannot lock"));
    }
}
