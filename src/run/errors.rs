//! The images that a network gets wrong, in the groups in which a person has filed them.

use super::Run;
use super::photographs::Prediction;
use crate::data::cats_dogs::CatsDogs;
use crate::data::photographs::to_picture;
use crate::experiment::Group;
use crate::plot::{Section, Tile};
use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// Pictures of wrong images, and what they are.
pub struct Errors {
    pub subtitle: String,
    pub sections: Vec<Section>,
    pub rows: Vec<Wrong>,
}

/// One wrongly classified validation image.
#[derive(Debug, Serialize)]
pub struct Wrong {
    pub file: String,
    pub label: String,
    pub prediction: String,
    /// The probability that the network gives its prediction.
    pub confidence: f64,
    /// The group in which it is filed, or nothing.
    pub group: String,
}

/// How many of those not filed are shown, and of each group.
const SHOWN: usize = 24;
const SHOWN_OF_GROUP: usize = 8;

/// See [`Run::errors`].
pub(super) fn errors(run: &Run, photographs: &CatsDogs, of: &str) -> Result<Errors> {
    let groups = Group::read_all(&run.root.join("experiments").join(format!("{}.toml", run.name)))?;
    let path = run.out().join(format!("{of}_validation.csv"));
    let how = || format!("cannot read the predictions {}; {of} writes them", path.display());
    let mut reader = csv::Reader::from_path(&path).with_context(how)?;
    let all = reader.deserialize().collect::<Result<Vec<Prediction>, _>>().with_context(|| format!("in {}", path.display()))?;
    let group = |file: &str| groups.iter().find(|group| group.holds(file)).map_or(String::new(), |group| group.name.clone());
    let wrong = all.iter().filter(|row| row.label != row.prediction);
    let mut rows: Vec<Wrong> = wrong
        .map(|Prediction { file, label, prediction, confidence }| Wrong {
            file: file.clone(),
            label: label.clone(),
            prediction: prediction.clone(),
            confidence: *confidence,
            group: group(file),
        })
        .collect();
    rows.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let tile = |row: &Wrong| {
        let place = photographs.names.iter().position(|name| *name == row.file);
        let place = place.with_context(|| format!("{} tells of {}, which these data do not have", path.display(), row.file))?;
        let caption = format!("{} → {}, {:.0} %", row.label, row.prediction, 100.0 * row.confidence);
        Ok(Tile { image: to_picture(&photographs.train.images.get(place as i64))?, caption })
    };
    let mut sections = Vec::new();
    for Group { name, .. } in &groups {
        let tiles = rows.iter().filter(|row| row.group == *name).take(SHOWN_OF_GROUP).map(tile).collect::<Result<Vec<_>>>()?;
        if !tiles.is_empty() {
            sections.push(Section { heading: name.clone(), tiles });
        }
    }
    let others = rows.iter().filter(|row| row.group.is_empty()).take(SHOWN).map(tile).collect::<Result<Vec<_>>>()?;
    let heading = if sections.is_empty() { "Those it was surest of" } else { "Of the others, those it was surest of" };
    sections.push(Section { heading: heading.to_owned(), tiles: others });
    ensure!(!all.is_empty(), "{} holds no predictions; run {of} again", path.display());
    let share = 100.0 * rows.len() as f64 / all.len() as f64;
    Ok(Errors {
        subtitle: format!("{} of {} validation images ({share:.1} %): label → prediction", rows.len(), all.len()), sections, rows
    })
}
