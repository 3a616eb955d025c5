//! The search for a data set: `--data`, its environment variable, its folder in the project, its mirrors; drawn stand-ins, with a notice,
//! only where no mirror can be reached.

use super::download::{self, Fetched, Patience};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where to read the data set from.
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

/// How one data set is read from the places where it may be.
pub(super) trait Finder {
    type Found;

    fn places(&self) -> &Places<'_>;

    /// From a path that somebody named.
    fn read_named(&self, path: &Path) -> Result<Self::Found>;

    /// From the project's own folder, if all of it is there.
    fn read_own(&self) -> Result<Option<Self::Found>>;

    /// The files that are missing from that folder: names, and lengths in bytes where they are known.
    fn missing(&self) -> Vec<(String, Option<u64>)>;

    /// Whether a file that was downloaded is the one it should be.
    fn verify(&self, name: &str, contents: &File) -> Result<()>;

    /// The stand-in that is drawn here.
    fn drawn(&self) -> Result<Self::Found>;

    /// The data set's name in a sentence; and what to say where it cannot be downloaded, in two lines.
    const NAME: &'static str;
    const NOTICE: [&'static str; 2];

    fn find(&self, location: &Location) -> Result<Self::Found> {
        let places = self.places();
        match (location, &places.named) {
            (Location::Embedded, _) => self.drawn(),
            (Location::Path(path), _) => self.read_named(path).context("cannot use the path given as data (--data)"),
            (Location::Search, Some(path)) => {
                let context = || format!("cannot use the path that the environment variable {} names", places.variable);
                self.read_named(path).with_context(context)
            }
            (Location::Search, None) => match self.read_own()? {
                Some(found) => Ok(found),
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
        match outcome {
            Fetched::Unreachable(reasons) => {
                tell!("{}", self.notice(&reasons));
                self.drawn()
            }
            Fetched::Complete => self
                .read_own()?
                .with_context(|| format!("{}: files are gone from it as soon as they were downloaded; run again", folder.display())),
        }
    }

    fn by_hand(&self) -> String {
        let (Places { variable, folder, .. }, missing) = (self.places(), self.missing());
        let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        format!("to do it by hand, put {} into {}, or name a path in {variable} or with --data", names.join(", "), folder.display())
    }

    /// The notice that drawn stand-ins are used instead of the data set: framed, so that nobody overlooks it in a log, with the reasons below.
    fn notice(&self, reasons: &[String]) -> String {
        let Places { variable, folder, mirrors, .. } = self.places();
        let mut lines: Vec<String> = Self::NOTICE.map(str::to_owned).into();
        lines.extend([String::new(), format!("To use {}, get on a machine with a network", Self::NAME)]);
        lines.extend(self.missing().into_iter().map(|(name, _)| format!("    {name}")));
        lines.extend(mirrors.iter().zip(["from", "or  "]).map(|(mirror, word)| format!("{word} {mirror}")));
        lines.extend([
            format!("into {}", folder.display()),
            format!("(or name the place of all its files in the variable {variable}, or with --data)."),
            "To use the drawn pictures without this notice: --data embedded".to_owned(),
        ]);
        let reasons: String = reasons.iter().map(|reason| format!("  {reason}\n")).collect();
        format!("\n{}{reasons}\n", framed(&lines))
    }

    /// One line for each place, in the order in which they are tried: whether it has the data set, and what to do if not.
    /// `named` describes what is at a path that somebody named, `own` what the project's own folder has, if it has all.
    fn survey(&self, named: impl Fn(&Path) -> Result<String>, own: Result<Option<String>>, unfinished: &str) -> Vec<(bool, String)> {
        let Places { variable, named: path, folder, .. } = self.places();
        let mut lines = Vec::new();
        lines.extend(path.as_ref().map(|path| match named(path) {
            Ok(text) => (true, format!("{variable}: {text}")),
            Err(error) => (false, format!("{variable}: {error:#}; or unset {variable}")),
        }));
        lines.push(match own {
            Ok(Some(text)) => (true, text),
            Ok(None) => (false, format!("{}: {unfinished}; {}", folder.display(), self.by_hand())),
            Err(error) => (false, format!("{error:#}")),
        });
        lines.push((true, format!("pictures drawn by this program, not {}: always there, --data embedded", Self::NAME)));
        lines
    }
}

fn framed(lines: &[String]) -> String {
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let rule = format!("+{}+\n", "=".repeat(width + 4));
    let rows: String = lines.iter().map(|line| format!("|  {line:width$}  |\n")).collect();
    format!("{rule}{rows}{rule}")
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

    #[test]
    fn the_frame_is_as_wide_as_its_longest_line() {
        let frame = framed(&["one".to_owned(), "longer, ü".to_owned()]);
        assert!(frame.lines().all(|line| line.chars().count() == "longer, ü".len() - 1 + 6), "{frame}");
    }
}
