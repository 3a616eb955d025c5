//! Groups to which images are assigned by hand, for Figure 16.

use super::line::one_line;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Images that have something in common.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    /// The ends of the paths by which a data set knows them, for example `Cat/12.Cat.jpg`.
    pub images: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    group: Vec<Group>,
}

impl Group {
    /// Reads the groups of the file `path`.
    ///
    /// # Errors
    /// If the file is not a list of `[[group]]`, or files an image twice.
    pub fn read_all(path: &Path) -> Result<Vec<Group>> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the groups {}", path.display()))?;
        Group::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    fn parse(text: &str) -> Result<Vec<Group>> {
        let Groups { group: groups } = toml::from_str(text).map_err(one_line)?;
        let mut seen = BTreeMap::new();
        for Group { name, images } in &groups {
            for image in images {
                ensure!(!image.is_empty(), "the group \"{name}\" holds an empty name, expected the end of an image's path");
                if let Some(other) = seen.insert(image, name) {
                    bail!("{image} is filed under \"{other}\" and under \"{name}\", expected one of them");
                }
            }
        }
        Ok(groups)
    }

    /// Whether the image with this path is filed here.
    pub fn holds(&self, path: &str) -> bool {
        self.images.iter().any(|image| path.strip_suffix(image.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_the_ends_of_their_paths() -> Result<()> {
        let groups =
            Group::parse("[[group]]\nname = \"a hand\"\nimages = [\"Cat/12.Cat.jpg\"]\n[[group]]\nname = \"clutter\"\nimages = []")?;
        assert_eq!(groups.len(), 2);
        assert!(groups[0].holds("trainset/Cat/12.Cat.jpg") && groups[0].holds("Cat/12.Cat.jpg"));
        assert!(!groups[0].holds("trainset/Cat/112.Cat.jpg") && !groups[0].holds("trainset/BigCat/12.Cat.jpg"));
        assert!(!groups[1].holds("trainset/Cat/12.Cat.jpg"));
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| format!("{:#}", Group::parse(text).expect_err(text));
        assert!(
            error("[[group]]\nname = \"a\"\nimages = [\"x\"]\n[[group]]\nname = \"b\"\nimages = [\"x\"]")
                .contains("x is filed under \"a\" and under \"b\"")
        );
        assert!(error("[[group]]\nname = \"a\"\nimages = [\"\"]").contains("empty name"));
        assert!(error("[[group]]\nname = \"a\"\nimage = []").contains("unknown field `image`"));
    }
}
