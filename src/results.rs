//! Results of trials as lines of JSON: each worker appends to a file of its own, and all files are read together. So workers need nothing
//! of each other, on one machine or on many, and one that is killed loses at most the line that it was writing.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A result that can be told from others.
pub trait Identified {
    /// The same for the same trial of the same program, wherever and whenever it is run.
    fn id(&self) -> String;
}

/// The file of one worker.
#[derive(Debug)]
pub struct Appender {
    folder: PathBuf,
    /// Made with the first result.
    file: Option<(File, PathBuf)>,
}

impl Appender {
    pub fn new(folder: &Path) -> Appender {
        Appender { folder: folder.to_owned(), file: None }
    }

    /// Appends `result` and syncs it: once this returns, it is there whatever becomes of the worker.
    pub fn append(&mut self, result: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(result)?;
        line.push(b'\n');
        let (file, path) = self.file()?;
        // In one write: a line is there whole, or it is the last of its file and has no end.
        let append = |file: &mut File| file.write_all(&line).and_then(|()| file.sync_data());
        append(file).with_context(|| format!("cannot append to the results {}", path.display()))
    }

    fn file(&mut self) -> Result<&mut (File, PathBuf)> {
        if self.file.is_none() {
            fs::create_dir_all(&self.folder).with_context(|| format!("cannot make the folder {}", self.folder.display()))?;
            let host = gethostname::gethostname().to_string_lossy().into_owned();
            let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
            let path = self.folder.join(format!("{host}-{}-{time}.jsonl", std::process::id()));
            // Never one that is there: what another worker left, its last line torn perhaps, stays as it is.
            let file = File::options().append(true).create_new(true).open(&path);
            self.file = Some((file.with_context(|| format!("cannot make the results {}", path.display()))?, path));
        }
        self.file.as_mut().context("it was just made")
    }
}

/// The results in all files of `folder`, ordered by their ids, the first of each: from which worker they come makes no difference. None
/// where there is no such folder.
///
/// # Errors
/// If a line is no result, and not the last one of its file, which a killed worker may have left torn.
pub fn read_all<T: DeserializeOwned + Identified>(folder: &Path) -> Result<Vec<T>> {
    let entries = fs::read_dir(folder).into_iter().flatten().collect::<std::io::Result<Vec<_>>>();
    let entries = entries.with_context(|| format!("cannot list the results {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut results = BTreeMap::new();
    for path in files {
        let bytes = fs::read(&path).with_context(|| format!("cannot read the results {}", path.display()))?;
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            match serde_json::from_slice::<T>(line) {
                Ok(result) => {
                    results.entry(result.id()).or_insert(result);
                }
                Err(_) if lines.peek().is_none() => {}
                Err(error) => {
                    bail!("line {} of {} is no result ({error}); remove it, and its trial is run anew", index + 1, path.display())
                }
            }
        }
    }
    Ok(results.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Number {
        id: String,
        value: f64,
    }

    impl Identified for Number {
        fn id(&self) -> String {
            self.id.clone()
        }
    }

    fn number(id: u32) -> Number {
        Number { id: format!("{id:04}"), value: f64::from(id) / 3.0 }
    }

    #[test]
    fn results_come_back_in_order_whoever_wrote_them() -> Result<()> {
        let expected: Vec<Number> = (0..60).map(number).collect();
        for workers in [1, 3, 7] {
            let folder = tempfile::tempdir()?;
            let mut appenders: Vec<Appender> = (0..workers).map(|_| Appender::new(folder.path())).collect();
            for id in (0..60).rev() {
                appenders[id as usize % workers].append(&number(id))?;
            }
            // Twice by mistake: the first is taken.
            appenders[0].append(&number(7))?;
            assert_eq!(read_all::<Number>(folder.path())?, expected, "{workers} workers");
            assert_eq!(fs::read_dir(folder.path())?.count(), workers, "a file each");
        }
        assert_eq!(read_all::<Number>(Path::new("nowhere"))?, []);
        Ok(())
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_another_bad_one_is_named() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut appender = Appender::new(folder.path());
        (0..3).try_for_each(|id| appender.append(&number(id)))?;
        let (_, path) = appender.file()?;
        let whole = fs::read(&*path)?;
        let second = whole.iter().position(|byte| *byte == b'\n').context("a line")? + 1;
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').context("a line")? + 1;
        for cut in last..whole.len() - 1 {
            fs::write(&*path, &whole[..cut])?;
            assert_eq!(read_all::<Number>(folder.path())?, [number(0), number(1)], "cut at {cut}");
        }
        let mut bad = whole.clone();
        bad[second] = b'x';
        fs::write(&*path, &bad)?;
        let error = read_all::<Number>(folder.path()).expect_err("bad").to_string();
        assert!(error.contains("line 2 of ") && error.contains("is no result"), "{error}");
        Ok(())
    }

    /// More than any search has.
    #[test]
    fn a_hundred_thousand_results_are_read_in_two_seconds() -> Result<()> {
        let folder = tempfile::tempdir()?;
        for file in 0..100 {
            let line = |id: u32| serde_json::to_string(&number(id)).map(|line| line + "\n");
            let lines: String = (file * 1_000..(file + 1) * 1_000).map(line).collect::<std::result::Result<_, _>>()?;
            fs::write(folder.path().join(format!("{file}.jsonl")), lines)?;
        }
        let started = std::time::Instant::now();
        assert_eq!(read_all::<Number>(folder.path())?.len(), 10_000 * 10);
        assert!(started.elapsed().as_secs_f64() < 2.0, "{:?}", started.elapsed());
        Ok(())
    }
}
