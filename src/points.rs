//! The points of a figure: what a plot draws, what its CSV holds and what a comparison reads.
//!
//! A figure's CSV is a long table with one row per point drawn; nothing else is needed to draw the figure again or to compare it.

use crate::history::{History, Metric};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Who a curve is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// This crate.
    #[default]
    Reproduced,
    /// The report.
    Reported,
    /// Theory, drawn for orientation.
    Guide,
}

/// What [`Point::data`] begins with where the data are the report's.
pub const REPORT_DATA: [&str; 3] = ["MNIST", "cats and dogs, 19998 + 4999 images", "cats and dogs, 19998 + 4999 images, own test split"];

/// Whether `data` are the report's, whole: only then is there anything to compare.
pub fn is_report_data(data: &str) -> bool {
    REPORT_DATA.contains(&data)
}

/// One point of one curve. `y` is a mean over `seeds` runs, `deviation` their standard deviation (n - 1 in the denominator).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub panel: String,
    pub series: String,
    pub origin: Origin,
    pub x: f64,
    pub y: f64,
    pub deviation: Option<f64>,
    /// How exactly a reported value is known: half a unit of its last digit, or the error of reading it off a picture.
    pub resolution: Option<f64>,
    pub seeds: Option<u32>,
    /// The data set and what of it was used.
    pub data: String,
    /// The machine, for reproduced points.
    pub device: String,
}

/// The variants that have points of `metric`, in the order of the points: panels are named `<variant>_<metric>`.
pub fn variants(points: &[Point], metric: Metric) -> Vec<String> {
    let suffix = format!("_{}", metric.name());
    let mut variants: Vec<String> = points.iter().filter_map(|point| point.panel.strip_suffix(&suffix)).map(str::to_owned).collect();
    variants.dedup();
    variants
}

/// After how many epochs our curves end.
pub fn epochs(points: &[Point]) -> f64 {
    points.iter().filter(|point| point.origin == Origin::Reproduced).map(|point| point.x).fold(0.0, f64::max)
}

/// Mean and standard deviation over runs of what `value` takes from each, epoch by epoch, as the points of one curve. Runs of unequal
/// length are cut to the shortest. One run has no deviation.
pub fn mean_over_seeds(
    panel: &str,
    series: &str,
    histories: &[&History],
    value: impl Fn(&History, i64) -> Option<f64>,
    data: &str,
    device: &str,
) -> Vec<Point> {
    let epochs = histories.iter().map(|history| history.epochs()).min().unwrap_or(0);
    let point = |epoch| {
        let values: Option<Vec<f64>> = histories.iter().map(|history| value(history, epoch)).collect();
        let (mean, deviation) = mean_and_deviation(&values?);
        Some(Point {
            panel: panel.to_owned(),
            series: series.to_owned(),
            origin: Origin::Reproduced,
            x: epoch as f64,
            y: mean,
            deviation,
            resolution: None,
            seeds: Some(histories.len() as u32),
            data: data.to_owned(),
            device: device.to_owned(),
        })
    };
    (1..=epochs).filter_map(point).collect()
}

/// The mean, and the standard deviation with n - 1 in the denominator where there are at least two values.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

/// The points as CSV.
pub fn to_csv(points: &[Point]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for point in points {
        writer.serialize(point)?;
    }
    Ok(writer.into_inner()?)
}

/// Reads what [`to_csv`] made.
pub fn read_csv(path: &Path) -> Result<Vec<Point>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot read the figure's points from {}", path.display()))?;
    let points: Vec<Point> = reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("in {}", path.display()))?;
    if points.is_empty() {
        bail!("{} holds no points, expected one row per point; run without --redraw to make it", path.display());
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Record, Split};

    fn history(values: &[f64]) -> History {
        let record =
            |(index, value): (usize, &f64)| Record { epoch: index as i64 + 1, split: Split::Test, metric: Metric::Loss, value: *value };
        History { records: values.iter().enumerate().map(record).collect() }
    }

    #[test]
    fn points_are_means_with_the_sample_deviation_and_survive_their_csv() -> Result<()> {
        let (a, b) = (history(&[1.0, 2.0, 9.0]), history(&[3.0, 2.0]));
        let loss = |history: &History, epoch| history.get(epoch, Split::Test, Metric::Loss);
        let points = mean_over_seeds("p", "s", &[&a, &b], loss, "MNIST", "cpu");
        let read: Vec<_> = points.iter().map(|point| (point.x, point.y, point.deviation)).collect();
        assert_eq!(read, [(1.0, 2.0, Some(2.0_f64.sqrt())), (2.0, 2.0, Some(0.0))], "two epochs: the shorter run has no third");
        assert_eq!(mean_over_seeds("p", "s", &[&a], loss, "", "")[0].deviation, None);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("points.csv");
        std::fs::write(&path, to_csv(&points)?)?;
        assert_eq!(read_csv(&path)?, points);
        Ok(())
    }
}
