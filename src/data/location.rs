//! Where to take a data set from: the same choice for each of them.

use anyhow::{Result, bail};
use std::path::PathBuf;
use std::str::FromStr;

/// Where to take the data set from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Location {
    /// What the data set's environment variable names (`MNIST_DIR`, `CATS_DOGS`); without it the data set's folder below `data` in the
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
