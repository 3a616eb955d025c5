//! Figure 16: the validation images that the VGG misclassifies most confidently, in the groups in which experiments/fig16_errors.toml has
//! them. Reads its predictions, which kaggle_vgg writes: plots/kaggle_vgg_validation.csv; writes plots/fig16_errors.png and .csv.

use anyhow::Context;
use reproduction::data::photographs::to_picture;
use reproduction::experiment::Group;
use reproduction::plot::{Section, Tile, draw_grid};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::say;
use reproduction::submission::{Prediction, read_predictions};
use serde::Serialize;

/// As wide as the report's.
const COLUMNS: u32 = 8;
/// How many are shown of each group, and of those in none.
const SHOWN_OF_GROUP: usize = 8;
const SHOWN: usize = 24;

/// A misclassified validation image: a line of the CSV.
#[derive(Serialize)]
struct Misclassified {
    file: String,
    label: String,
    prediction: String,
    /// The probability that the network gives its prediction.
    confidence: f64,
    /// The group in which a person has filed it, or nothing.
    group: String,
}

fn main() -> ExitCode {
    run::main(Run::start("fig16_errors"), make)
}

fn make(run: &Run) -> Result<()> {
    let photographs = run.cats_dogs()?;
    let groups = Group::read_all(&run.experiment_path())?;
    let all = read_predictions(&run.out(), "kaggle_vgg")?;
    let count = all.len();
    let group = |file: &str| groups.iter().find(|group| group.holds(file)).map_or(String::new(), |group| group.name.clone());
    let row = |Prediction { file, label, prediction, confidence }| {
        let group = group(&file);
        Misclassified { file, label, prediction, confidence, group }
    };
    let mut wrong: Vec<Misclassified> = all.into_iter().filter(|row| row.label != row.prediction).map(row).collect();
    wrong.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    for Misclassified { file, label, prediction, confidence, .. } in wrong.iter().take(5) {
        say!("{file}: a {label} taken for a {prediction} with {:.2} %", 100.0 * confidence);
    }

    let tile = |row: &Misclassified| -> Result<Tile> {
        let place = photographs.names.iter().position(|name| *name == row.file);
        let place = place.with_context(|| format!("kaggle_vgg_validation.csv lists {}, which is not in this data set", row.file))?;
        let caption = format!("{} → {}, {:.0} %", row.label, row.prediction, 100.0 * row.confidence);
        Ok(Tile { image: to_picture(&photographs.data.train.images.get(place as i64))?, caption })
    };
    let section = |heading: &str, group: &str, shown| -> Result<Section> {
        let tiles = wrong.iter().filter(|row| row.group == group).take(shown).map(tile).collect::<Result<_>>()?;
        Ok(Section { heading: heading.to_owned(), tiles })
    };
    let mut sections = groups.iter().map(|group| section(&group.name, &group.name, SHOWN_OF_GROUP)).collect::<Result<Vec<_>>>()?;
    sections.retain(|section| !section.tiles.is_empty());
    let heading = if sections.is_empty() { "The most confident" } else { "Of the others, the most confident" };
    sections.push(section(heading, "", SHOWN)?);

    let title = "Figure 16: images that the VGG misclassifies";
    let share = 100.0 * wrong.len() as f64 / count as f64;
    let subtitle = format!("{} of {count} validation images ({share:.1} %): label → prediction", wrong.len());
    run.write_picture(title, &draw_grid(title, &subtitle, &sections, COLUMNS)?, &wrong)
}
