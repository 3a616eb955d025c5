//! The checkpoints of a training run: files from which it resumes to the last bit.
//!
//! A checkpoint is one file in the format safetensors, written under a temporary name, synced and renamed. Its name has epoch and
//! minibatch, and ends with the first 16 digits of the file's SHA-256: damage is noticed before the file is read. The last two are kept,
//! so that one can be lost.

use super::parameters::{partial, read_tensors};
use super::state::{RunIdentity, State};
use crate::experiment::Training;
use crate::files::{list, remove_partial, sha256_of};
use crate::model::Parameter;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Number of checkpoints kept.
const KEPT: usize = 2;
/// Digits of the checksum in a name.
const DIGITS: usize = 16;

/// The checkpoint folder of one trial. A writer must hold the trial's lock.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Resumed {
    pub state: State,
    pub path: PathBuf,
    /// Notices for the user: newer checkpoints that are damaged, another machine.
    pub notices: Vec<String>,
}

impl Checkpoints {
    pub fn new(folder: PathBuf) -> Checkpoints {
        Checkpoints { folder }
    }

    /// The newest one, damaged or not.
    pub fn newest(&self) -> Result<Option<PathBuf>> {
        Ok(self.list()?.pop())
    }

    /// Writes a checkpoint, and removes the oldest beyond those that are kept.
    ///
    /// # Errors
    /// If it cannot be written; those that were there still are.
    pub fn write(&self, state: &State, values: &[Parameter], identity: &RunIdentity) -> Result<PathBuf> {
        let write = || -> Result<PathBuf> {
            let file = partial(&state.to_tensors(values, identity)?, &self.folder)?;
            let checksum = sha256_of(File::open(file.path())?)?;
            // Numbers of so many digits that names are in the order of training.
            let name = format!("epoch{:07}-minibatch{:09}-{}.safetensors", state.epoch + 1, state.minibatch, &checksum[..DIGITS]);
            let path = self.folder.join(name);
            file.rename(&path)?;
            Ok(path)
        };
        let path = write().with_context(|| {
            let last =
                self.newest().ok().flatten().map_or("there is none yet".to_owned(), |path| format!("the last one is {}", path.display()));
            format!(
                "cannot write a checkpoint into {}; {last}; free disk space or fix the permissions, then continue with --resume",
                self.folder.display()
            )
        })?;
        let mut all = self.list()?;
        all.truncate(all.len().saturating_sub(KEPT));
        for path in all {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}, which is no longer needed", path.display()))?;
        }
        Ok(path)
    }

    /// Loads the newest undamaged checkpoint: sets the network's `values`, and returns the state; `None` if there is no checkpoint.
    ///
    /// # Errors
    /// If every checkpoint is damaged, or the newest undamaged one belongs to another run than `identity`.
    pub fn resume(&self, training: &Training, values: &mut [Parameter], identity: &RunIdentity) -> Result<Option<Resumed>> {
        remove_partial(&self.folder)?;
        let (mut notices, mut damaged) = (Vec::new(), Vec::new());
        for path in self.list()?.into_iter().rev() {
            if let Err(damage) = check(&path) {
                notices.push(format!("the checkpoint {} is damaged ({damage:#})", path.display()));
                damaged.push(path);
                continue;
            }
            let read = read_tensors(&path).and_then(|saved| State::of_tensors(&saved, training, values, identity));
            let (state, machine) = read.with_context(|| format!("the checkpoint {}", path.display()))?;
            if !machine.is_empty() {
                let what = machine.join(", ");
                notices.push(format!("{what}: from here on the result is that of an uninterrupted run to rounding, not to the last bit"));
            }
            for path in damaged {
                // Out of the way of those that come, and there for who wants to look.
                let _ = fs::rename(&path, path.with_extension("damaged"));
            }
            return Ok(Some(Resumed { state, path, notices }));
        }
        ensure!(
            notices.is_empty(),
            "no checkpoint in {} is whole: {}; --fresh trains from scratch",
            self.folder.display(),
            notices.join("; ")
        );
        Ok(None)
    }

    pub(crate) fn exist(&self) -> bool {
        self.folder.exists()
    }

    /// Removes all of them, when they are no longer needed.
    pub fn remove(&self) -> Result<()> {
        if self.exist() {
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("cannot remove {}, which is no longer needed", self.folder.display()))?;
        }
        Ok(())
    }

    /// Every checkpoint, the oldest first.
    fn list(&self) -> Result<Vec<PathBuf>> {
        let mut all = list(&self.folder)?;
        all.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
        Ok(all)
    }
}

/// Checks the file's SHA-256 against the digits in its name.
fn check(path: &Path) -> Result<()> {
    let length = fs::metadata(path)?.len();
    ensure!(length > 0, "it is empty");
    let (name, found) = (path.file_stem().unwrap_or_default().to_string_lossy(), &sha256_of(File::open(path)?)?[..DIGITS]);
    let expected = name.rsplit('-').next().unwrap_or_default();
    ensure!(found == expected, "its {length} bytes have the SHA-256 {found}..., expected {expected}...");
    Ok(())
}
