//! The search for a data set: `--data`, its environment variable, its folder in the project, its mirrors; drawn stand-ins, with a notice,
//! only where no mirror can be reached.

use super::download::{self, Fetched, Patience};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The place to read a data set from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Location {
    /// The path in the data set's environment variable (`MNIST_DIR`, `CATS_DOGS`); without it the data set's folder below `data` in the
    /// project, downloaded where it is missing; without a network the drawn stand-ins.
    #[default]
    Search,
    /// This and nothing else: for MNIST a folder, for cats and dogs a folder or a zip.
    Path(PathBuf),
    /// The stand-ins that are drawn here.
    Embedded,
}

impl FromStr for Location {
    type Err = anyhow::Error;

    /// `embedded`, or else a path (one of this name is `./embedded`).
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" => bail!("found nothing, expected the path of the data set, or \"embedded\""),
            "embedded" => Ok(Self::Embedded),
            path => Ok(Self::Path(path.into())),
        }
    }
}

/// The surroundings of one data set.
#[derive(Clone, Debug)]
pub(super) struct Places<'a> {
    /// The environment variable that names the data set, and what it is set to.
    pub variable: &'static str,
    pub named: Option<PathBuf>,
    /// The project's own folder for it.
    pub folder: PathBuf,
    pub mirrors: &'a [&'a str],
    pub patience: Patience,
}

impl<'a> Places<'a> {
    /// `root` is the project's folder.
    pub fn new(root: &Path, folder: &str, variable: &'static str, mirrors: &'a [&'a str]) -> Self {
        // Set to nothing means not set, as for other programs' variables.
        let named = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        Places { variable, named, folder: root.join("data").join(folder), mirrors, patience: Patience::default() }
    }
}

/// A data set that is looked for in its [`Places`].
pub(super) trait Finder {
    type Found;

    /// The data set's name in a sentence, its size, and the notice where it cannot be downloaded.
    const NAME: &'static str;
    const SIZE: &'static str;
    const NOTICE: &'static str;

    fn places(&self) -> &Places<'_>;

    /// The path in the project's own folder that has the whole data set, if there is one.
    fn own(&self) -> Result<Option<PathBuf>>;

    /// Reads `path`, the project's own or one that somebody named.
    fn read(&self, path: &Path, is_own: bool) -> Result<Self::Found>;

    /// Describes the data set at such a path, in a few words.
    fn describe(&self, path: &Path, is_own: bool) -> Result<String>;

    /// The files that are missing from the project's own folder: names, and lengths in bytes where they are known.
    fn missing(&self) -> Vec<(String, Option<u64>)>;

    /// Whether a file that was downloaded is the one it should be.
    fn verify(&self, name: &str, contents: &File) -> Result<()>;

    /// The stand-in that is drawn here.
    fn drawn(&self) -> Result<Self::Found>;

    fn find(&self, location: &Location) -> Result<Self::Found> {
        let Places { variable, named, .. } = self.places();
        match (location, named) {
            (Location::Embedded, _) => self.drawn(),
            (Location::Path(path), _) => self.read(path, false).context("cannot use the path given as data (--data)"),
            (Location::Search, Some(path)) => {
                self.read(path, false).with_context(|| format!("cannot use the path that the environment variable {variable} names"))
            }
            (Location::Search, None) => match self.own()? {
                Some(path) => self.read(&path, true),
                None => self.download(),
            },
        }
    }

    fn download(&self) -> Result<Self::Found> {
        let Places { folder, mirrors, patience, .. } = self.places();
        let missing = self.missing();
        let files: Vec<(&str, Option<u64>)> = missing.iter().map(|(name, length)| (name.as_str(), *length)).collect();
        let outcome = download::fetch(&files, folder, mirrors, *patience, |name, contents| self.verify(name, contents))
            .with_context(|| format!("cannot get {}; {}", Self::NAME, self.by_hand()))?;
        if let Fetched::Unreachable(reasons) = outcome {
            tell!("{}", self.notice(&reasons));
            return self.drawn();
        }
        let gone = || format!("{}: files are gone from it as soon as they were downloaded; run again", folder.display());
        self.read(&self.own()?.with_context(gone)?, true)
    }

    fn by_hand(&self) -> String {
        let (Places { variable, folder, mirrors, .. }, missing) = (self.places(), self.missing());
        let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        let (names, mirrors, folder) = (names.join(", "), mirrors.join(" or "), folder.display());
        format!("to do it by hand, put {names} from {mirrors} into {folder}, or name a path in {variable} or with --data")
    }

    /// The notice that drawn stand-ins are used instead of the data set: between rules, so that nobody overlooks it in a log, with the
    /// reasons below.
    fn notice(&self, reasons: &[String]) -> String {
        let (rule, notice, by_hand, reasons) = ("=".repeat(100), Self::NOTICE, self.by_hand(), reasons.join("\n  "));
        format!(
            "\n{rule}\n{notice}\n{rule}\nTo use {}, run where there is an internet connection; {by_hand}.\n\
             To use synthetic images without this notice: --data embedded\nNo mirror can be reached:\n  {reasons}\n\n",
            Self::NAME
        )
    }

    /// One line for each place, in the order in which they are tried: whether it has the data set, and what to do if not.
    fn survey(&self) -> Vec<(bool, String)> {
        let Places { variable, named, folder, .. } = self.places();
        let mut lines = Vec::new();
        if let Some(path) = named {
            lines.push(match self.describe(path, false) {
                Ok(text) => (true, format!("{variable}: {text}")),
                Err(error) => (false, format!("{variable}: {error:#}; or unset {variable}")),
            });
        }
        let kept: u64 = self.missing().iter().map(|(name, _)| download::unfinished_bytes(name, folder)).sum();
        lines.push(match self.own().and_then(|path| path.map(|path| self.describe(&path, true)).transpose()) {
            Ok(Some(text)) => (true, text),
            Ok(None) => {
                let (folder, count, size) = (folder.display(), self.missing().len(), Self::SIZE);
                let rest = format!("{size}, of which {} MB are here", kept / 1_000_000);
                (false, format!("{folder}: files missing: {count}; the first run downloads them ({rest}); {}", self.by_hand()))
            }
            Err(error) => (false, format!("{error:#}")),
        });
        lines.push((true, format!("pictures drawn by this program, not {}: always there, --data embedded", Self::NAME)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_from_flags() {
        assert_eq!("embedded".parse::<Location>().expect("a location"), Location::Embedded);
        assert_eq!("./embedded".parse::<Location>().expect("a location"), Location::Path("./embedded".into()));
        assert!("".parse::<Location>().is_err());
        assert_eq!(Location::default(), Location::Search);
    }
}
