//! The report's numbers and published curves. Nothing that trains may import this.

use crate::files::read_csv;
use crate::points::{Origin, Panel, Point, is_report_data};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `experiments/reported.toml`: the numbers printed in the report, and how exactly its curves could be read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    pub number: Vec<Number>,
    /// The figures whose first epoch is called 0.
    epochs_from_zero: Vec<u32>,
    /// Figure, panel, largest error of a digitised point.
    reading_error: BTreeMap<String, BTreeMap<String, f64>>,
    #[serde(skip)]
    experiments: PathBuf,
}

/// Numbers printed in one place. Accuracies are fractions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    #[serde(rename = "where")]
    pub place: String,
    pub kind: Kind,
    pub parameters: Option<i64>,
    /// After how many epochs, where the report says so.
    pub epochs: Option<i64>,
    pub train: Option<f64>,
    pub validation: Option<f64>,
    /// After the best epoch, where the report means that.
    pub best_validation: Option<f64>,
    pub test: Option<f64>,
    /// Accuracy of the submission on Kaggle's public leaderboard. Only Kaggle has the labels to compare with.
    pub leaderboard: Option<f64>,
    #[serde(default)]
    pub layers: BTreeMap<String, i64>,
    /// The share of the parameters that are in fully connected layers.
    pub fully_connected_share: Option<f64>,
    /// Half a unit of the last digit printed, where that is not the fourth.
    pub resolution: Option<f64>,
}

/// The origin of a printed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Exact,
    /// One training run of the authors, no spread given.
    Run,
    Text,
}

/// A point of a published curve, as digitised.
#[derive(Debug, Deserialize)]
struct Row {
    panel: String,
    series: String,
    x: f64,
    y: f64,
}

/// The published curves of one figure.
#[derive(Debug)]
pub struct Figure {
    name: String,
    rows: Vec<Row>,
    reading_error: BTreeMap<String, f64>,
}

impl Reported {
    /// Reads `<experiments>/reported.toml`.
    pub fn read(experiments: &Path) -> Result<Reported> {
        let path = experiments.join("reported.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read the report's numbers {}", path.display()))?;
        let reported: Reported = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        Ok(Reported { experiments: experiments.to_owned(), ..reported })
    }

    /// The number that the report prints in `place`.
    pub fn number(&self, place: &str) -> Result<&Number> {
        let found = self.number.iter().find(|number| number.place == place);
        found.with_context(|| format!("reported.toml has no number where = \"{place}\""))
    }

    /// The published curves of a figure, from `<experiments>/reported/fig<number>.csv`, with epochs from 1. Where a panel shows losses and
    /// accuracies together, its series `train_loss` becomes the series `train` of the panel `main_loss`.
    pub fn figure(&self, number: u32) -> Result<Figure> {
        let name = format!("fig{number}");
        let path = self.experiments.join("reported").join(format!("{name}.csv"));
        let rows: Vec<Row> = read_csv(&path, "the published curves")?;
        let shift = f64::from(u8::from(self.epochs_from_zero.contains(&number)));
        let in_our_terms = |row: Row| {
            let (panel, series) = match row.series.rsplit_once('_') {
                Some((split, metric @ ("loss" | "accuracy"))) => (format!("{}_{metric}", row.panel), split.to_owned()),
                _ => (row.panel, row.series),
            };
            Row { panel, series, x: row.x + shift, y: row.y }
        };
        let reading_error = self.reading_error.get(&name).cloned();
        let reading_error = reading_error.with_context(|| format!("reported.toml has no [reading_error.{name}]"))?;
        Ok(Figure { name, rows: rows.into_iter().map(in_our_terms).collect(), reading_error })
    }
}

impl Figure {
    /// The published curves of `panel` to lay over `ours`, in the panel `to`; none where our data are not the report's, whole.
    ///
    /// # Errors
    /// If the figure has no such panel.
    pub fn over(&self, ours: &[Point], panel: &str, to: &Panel) -> Result<Vec<Point>> {
        if !ours.iter().all(|point| is_report_data(&point.data)) {
            return Ok(Vec::new());
        }
        let data = ours.first().map_or(String::new(), |point| point.data.clone());
        let error = *self.reading_error.get(panel).with_context(|| format!("the published {} has no panel `{panel}`", self.name))?;
        let point = |row: &Row| Point {
            panel: to.clone(),
            series: match row.series.as_str() {
                "valid" => "validation".to_owned(),
                "max_difference" => "report".to_owned(),
                name => name.to_owned(),
            },
            origin: Origin::Reported,
            x: row.x,
            y: row.y,
            resolution: Some(error),
            seeds: Some(1),
            data: data.clone(),
            ..Point::default()
        };
        Ok(self.rows.iter().filter(|row| row.panel == panel).map(point).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiments() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")
    }

    #[test]
    fn published_curves_come_in_this_crates_terms() -> Result<()> {
        let (ours, to) = ([], Panel::default());
        let first = |number, panel: &str, series: &str| {
            let points = Reported::read(&experiments())?.figure(number)?.over(&ours, panel, &to)?;
            let point = points.iter().find(|point| point.series == series).context("the series")?;
            assert_eq!(point.panel, to);
            anyhow::Ok((point.x, point.y))
        };
        assert_eq!(first(3, "main", "validation")?.0, 1.0, "counted from 1 in the report");
        assert_eq!(first(9, "main", "train")?, (1.0, 0.80120), "counted from 0 in the report");
        assert_eq!(first(10, "main_loss", "validation")?, (1.0, 2.28974));
        assert_eq!(first(10, "main_accuracy", "train")?, (1.0, 0.11985));
        assert!(Reported::read(&experiments())?.figure(10)?.over(&ours, "main", &to).is_err(), "losses and accuracies are apart");
        Ok(())
    }

    #[test]
    fn printed_numbers_have_their_resolution() -> Result<()> {
        let reported = Reported::read(&experiments())?;
        let small = reported.number("Section 2.d, small CNN")?;
        assert_eq!((small.parameters, small.test, small.resolution), (Some(2_066), Some(0.971), Some(5e-4)));
        assert!(reported.number("Section 9").is_err());
        let vgg = reported.number("Section 3, VGG")?;
        assert_eq!((vgg.kind, vgg.leaderboard), (Kind::Run, Some(0.94397)));
        Ok(())
    }

    #[test]
    fn a_key_that_nobody_reads_is_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let text = std::fs::read_to_string(experiments().join("reported.toml"))?;
        for (known, unknown) in
            [("leaderboard =", "leader_board ="), ("epochs_from_zero", "epochs_from_nought"), ("kind = \"text\"", "kind = \"hearsay\"")]
        {
            std::fs::write(folder.path().join("reported.toml"), text.replacen(known, unknown, 1))?;
            let error = format!("{:#}", Reported::read(folder.path()).expect_err(unknown));
            assert!(
                error.contains("reported.toml") && error.contains(unknown.trim_start_matches("kind = ").trim_matches(['"', '=', ' '])),
                "{error}"
            );
        }
        Ok(())
    }
}
