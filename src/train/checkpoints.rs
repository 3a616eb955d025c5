//! The checkpoints of a training run: where it stood, as files from which it goes on to the last bit.
//!
//! A checkpoint is one file in the format safetensors, written under a temporary name, synced and renamed. Its name says where training
//! stood and ends with the first 16 digits of the file's SHA-256: what is not as it was written is noticed before it is read. The last
//! two are kept, so that one can be lost.

use super::parameters::{partial, read_tensors};
use super::state::{RunIdentity, State};
use crate::experiment::Training;
use crate::files::{remove_partial, sha256_of};
use crate::model::Parameter;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::PathBuf;

/// How many are kept.
const KEPT: usize = 2;
/// Digits of the checksum in a name.
const DIGITS: usize = 16;

/// A folder of checkpoints of one trial. Who writes it holds the trial's lock.
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
        Ok(self.list()?.pop().map(|found| found.path))
    }

    /// Writes where training stands, and removes the oldest beyond those that are kept.
    ///
    /// # Errors
    /// If it cannot be written; those that were there still are.
    pub fn write(&self, state: &State, values: &[Parameter], identity: &RunIdentity) -> Result<PathBuf> {
        let write = || -> Result<PathBuf> {
            let file = partial(&state.to_tensors(values, identity)?, &self.folder)?;
            let checksum = sha256_of(File::open(file.path())?)?;
            let name = format!("epoch{}-minibatch{}-{}.safetensors", state.epoch + 1, state.minibatch, &checksum[..DIGITS]);
            let path = self.folder.join(name);
            file.rename(&path)?;
            Ok(path)
        };
        let path = write().with_context(|| {
            let last =
                self.newest().ok().flatten().map_or("there is none yet".to_owned(), |path| format!("the last one is {}", path.display()));
            format!(
                "cannot write a checkpoint into {}; {last}; make room or mend the permissions, then go on with --resume",
                self.folder.display()
            )
        })?;
        let mut all = self.list()?;
        all.truncate(all.len().saturating_sub(KEPT));
        for Found { path, .. } in all {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}, which is no longer needed", path.display()))?;
        }
        Ok(path)
    }

    /// Goes on from the newest checkpoint that is whole, and sets the network's `values` to those in it; none if there is no checkpoint.
    ///
    /// # Errors
    /// If none of those that are there is whole, or it is of another training than `identity`'s.
    pub fn resume(&self, training: &Training, values: &mut [Parameter], identity: &RunIdentity) -> Result<Option<Resumed>> {
        remove_partial(&self.folder)?;
        let (mut notices, mut damaged) = (Vec::new(), Vec::new());
        for found in self.list()?.into_iter().rev() {
            let Found { path, .. } = &found;
            if let Err(damage) = found.check() {
                notices.push(format!("the checkpoint {} is damaged ({damage:#})", path.display()));
                damaged.push(found.path);
                continue;
            }
            let read = read_tensors(path).and_then(|saved| State::of_tensors(&saved, training, values, identity));
            let (state, machine) = read.with_context(|| format!("the checkpoint {}", path.display()))?;
            if !machine.is_empty() {
                let what = machine.join(", ");
                notices.push(format!("{what}: from here on the result is that of an uninterrupted run to rounding, not to the last bit"));
            }
            for path in damaged {
                // Out of the way of those that come, and there for who wants to look.
                let _ = fs::rename(&path, path.with_extension("damaged"));
            }
            return Ok(Some(Resumed { state, path: found.path, notices }));
        }
        match notices.is_empty() {
            true => Ok(None),
            false => bail!("no checkpoint in {} is whole: {}; --fresh trains anew", self.folder.display(), notices.join("; ")),
        }
    }

    /// Removes all of them, when they are no longer needed.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}, which is no longer needed", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Every checkpoint, the oldest first.
    fn list(&self) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten() {
            all.extend(Found::new(entry?.path()));
        }
        all.sort_by_key(|found| (found.epoch, found.minibatch));
        Ok(all)
    }
}

/// A file with a checkpoint's name.
#[derive(Debug)]
struct Found {
    epoch: i64,
    minibatch: i64,
    checksum: String,
    path: PathBuf,
}

impl Found {
    fn new(path: PathBuf) -> Option<Found> {
        let name = path.file_name()?.to_str()?.to_owned();
        let mut parts = name.strip_suffix(".safetensors")?.split('-');
        let mut part = |start: &str| parts.next()?.strip_prefix(start);
        let (epoch, minibatch, checksum) = (part("epoch")?, part("minibatch")?, part("")?.to_owned());
        let (epoch, minibatch) = (epoch.parse().ok()?, minibatch.parse().ok()?);
        Some(Found { epoch, minibatch, checksum, path }).filter(|_| parts.next().is_none())
    }

    fn check(&self) -> Result<()> {
        let length = fs::metadata(&self.path)?.len();
        ensure!(length > 0, "it is empty");
        let found = &sha256_of(File::open(&self.path)?)?[..DIGITS];
        ensure!(found == self.checksum, "its {length} bytes have the SHA-256 {found}..., expected {}...", self.checksum);
        Ok(())
    }
}
