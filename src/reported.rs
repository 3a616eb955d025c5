//! The report's numbers and published curves. Nothing that trains may import this.

use crate::points::{Origin, Point, REPORT_DATA};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// `experiments/reported.toml`: the numbers printed in the report, and how exactly its curves could be read.
#[derive(Debug, Deserialize)]
pub struct Reported {
    pub number: Vec<Number>,
    /// Figure, panel, largest error of a digitised point.
    pub reading_error: BTreeMap<String, BTreeMap<String, f64>>,
}

/// Numbers printed in one place. Accuracies are fractions.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Number {
    #[serde(rename = "where")]
    pub place: String,
    pub parameters: Option<i64>,
    /// After how many epochs, where the report says so.
    pub epochs: Option<i64>,
    pub train: Option<f64>,
    pub validation: Option<f64>,
    pub test: Option<f64>,
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
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// What the report prints in `place`.
    pub fn number(&self, place: &str) -> Result<&Number> {
        let found = self.number.iter().find(|number| number.place == place);
        found.with_context(|| format!("reported.toml has no number where = \"{place}\""))
    }
}

impl Figure {
    /// Reads `<experiments>/reported/fig<number>.csv`.
    pub fn read(experiments: &Path, number: u32) -> Result<Figure> {
        let name = format!("fig{number}");
        let path = experiments.join("reported").join(format!("{name}.csv"));
        let mut reader = csv::Reader::from_path(&path).with_context(|| format!("cannot read the published curves {}", path.display()))?;
        let rows = reader.deserialize().collect::<Result<Vec<Row>, _>>().with_context(|| format!("in {}", path.display()))?;
        let reading_error = Reported::read(experiments)?.reading_error.remove(&name);
        let reading_error = reading_error.with_context(|| format!("reported.toml has no [reading_error.{name}]"))?;
        Ok(Figure { name, rows, reading_error })
    }

    /// The published curves of `panel` to lay over `ours`, in the panel `to`; none where our data are not the report's, whole. Series are renamed to this crate's words (`valid` is `validation`).
    ///
    /// # Errors
    /// If the figure has no such panel.
    pub fn over(&self, ours: &[Point], panel: &str, to: &str) -> Result<Vec<Point>> {
        if ours.iter().any(|point| point.data != REPORT_DATA) {
            return Ok(Vec::new());
        }
        let error = *self.reading_error.get(panel).with_context(|| format!("the published {} has no panel `{panel}`", self.name))?;
        let point = |row: &Row| Point {
            panel: to.to_owned(),
            series: series(&row.series).to_owned(),
            origin: Origin::Reported,
            x: row.x,
            y: row.y,
            deviation: None,
            resolution: Some(error),
            seeds: Some(1),
            data: REPORT_DATA.to_owned(),
            device: String::new(),
        };
        Ok(self.rows.iter().filter(|row| row.panel == panel).map(point).collect())
    }
}

/// This crate's word for a series of the digitised curves.
fn series(name: &str) -> &str {
    match name {
        "valid" => "validation",
        "max_difference" => "report",
        name => name,
    }
}
