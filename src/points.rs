//! The points of a figure. Its CSV has a row for each; nothing else is needed to draw the figure again or to compare it.

use crate::files;
use crate::history::{History, Metric};
use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::path::Path;

/// The source of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    #[default]
    Reproduced,
    Reported,
    /// A reference line: theory, or a target.
    Guide,
}

/// The names of the report's data sets in [`Point::data`].
pub const REPORT_DATA: [&str; 3] = ["MNIST", "cats and dogs, 19998 + 4999 images", "cats and dogs, 19998 + 4999 images, own test split"];

/// Whether `data` is one of the report's data sets, whole; otherwise nothing is compared.
pub fn is_report_data(data: &str) -> bool {
    REPORT_DATA.contains(&data)
}

/// The y axis of a panel, and the x axis that goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantity {
    #[default]
    Loss,
    Accuracy,
    TwiceSoftmaxedLoss,
    /// Generalization gap: validation minus training loss.
    LossGap,
    /// Generalization gap: training minus validation accuracy.
    AccuracyGap,
    /// Wall time of training with evaluation, at the last epoch.
    Seconds,
    AccuracyBySeed,
    SecondsBySeed,
    /// Accuracy against seconds; only drawn, in no CSV.
    AccuracyBySeconds,
    /// Accuracy after the last epoch against the number of parameters, a point for each network.
    AccuracyByParameters,
    /// The largest difference between a gradient and its finite difference, against N = 1 / epsilon.
    DifferenceByN,
    DifferenceByEpsilon,
}

/// Name in CSV files, labels of the x and y axis, name in sentences. Longer names stand before their own suffixes, so that the longest is found.
const QUANTITIES: [(Quantity, &str, &str, &str, &str); 12] = [
    (Quantity::TwiceSoftmaxedLoss, "twice_softmaxed_loss", "epoch", TWICE_SOFTMAXED, TWICE_SOFTMAXED),
    (Quantity::AccuracyBySeconds, "accuracy_by_seconds", "seconds", "accuracy (%)", "accuracy"),
    (Quantity::AccuracyByParameters, "accuracy_by_parameters", "parameters", "test accuracy (%)", "test accuracy by parameters"),
    (Quantity::Loss, "loss", "epoch", "cross-entropy", "cross-entropy"),
    (Quantity::Accuracy, "accuracy", "epoch", "accuracy (%)", "accuracy"),
    (Quantity::LossGap, "loss_gap", "epoch", "validation - training loss", "cross-entropy, validation minus training"),
    (Quantity::AccuracyGap, "accuracy_gap", "epoch", "train - validation (% points)", "accuracy, training minus validation"),
    (Quantity::Seconds, "seconds", "epoch", "seconds", "seconds of training"),
    (Quantity::AccuracyBySeed, "accuracy_by_seed", "seed", "accuracy (%)", "accuracy by seed"),
    (Quantity::SecondsBySeed, "seconds_by_seed", "seed", "seconds", "seconds of training by seed"),
    (Quantity::DifferenceByN, "n", "N = 1 / epsilon", "largest difference", "largest difference"),
    (Quantity::DifferenceByEpsilon, "epsilon", "epsilon", "largest difference", "largest difference"),
];
const TWICE_SOFTMAXED: &str = "cross-entropy of softmax outputs";

impl Quantity {
    fn names(self) -> [&'static str; 4] {
        QUANTITIES.iter().find(|(quantity, ..)| *quantity == self).map_or([""; 4], |(_, name, x, y, words)| [name, x, y, words])
    }

    pub fn x_label(self) -> &'static str {
        self.names()[1]
    }

    pub fn y_label(self) -> &'static str {
        self.names()[2]
    }

    pub(crate) fn words(self) -> &'static str {
        self.names()[3]
    }

    /// Generalization gap in this accuracy or loss.
    pub fn gap(self) -> Quantity {
        if self == Quantity::Accuracy { Quantity::AccuracyGap } else { Quantity::LossGap }
    }
}

impl From<Metric> for Quantity {
    fn from(metric: Metric) -> Quantity {
        match metric {
            Metric::Loss => Quantity::Loss,
            Metric::Accuracy => Quantity::Accuracy,
            Metric::TwiceSoftmaxedLoss => Quantity::TwiceSoftmaxedLoss,
        }
    }
}

/// One pair of axes: `<variant>_<quantity>` in CSV files, with `_seed_<k>` behind it where it is of one run of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Panel {
    pub variant: String,
    pub quantity: Quantity,
    pub seed: Option<u64>,
}

impl Panel {
    pub fn new(variant: &str, quantity: impl Into<Quantity>) -> Panel {
        Panel { variant: variant.to_owned(), quantity: quantity.into(), seed: None }
    }
}

impl Display for Panel {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let seed = self.seed.map_or(String::new(), |seed| format!("_seed_{seed}"));
        write!(formatter, "{}_{}{seed}", self.variant, self.quantity.names()[0])
    }
}

impl From<Panel> for String {
    fn from(panel: Panel) -> String {
        panel.to_string()
    }
}

impl TryFrom<String> for Panel {
    type Error = anyhow::Error;

    fn try_from(name: String) -> Result<Panel> {
        let of_seed = name.rsplit_once("_seed_").and_then(|(rest, seed)| Some((rest, seed.parse().ok()?)));
        let (rest, seed) = of_seed.map_or((name.as_str(), None), |(rest, seed)| (rest, Some(seed)));
        let panel = |(quantity, suffix, ..): &(Quantity, &str, _, _, _)| {
            let variant = rest.strip_suffix(suffix)?.strip_suffix('_')?.to_owned();
            Some(Panel { variant, quantity: *quantity, seed })
        };
        let names = || QUANTITIES.map(|(_, name, ..)| name).join(", ");
        QUANTITIES.iter().find_map(panel).ok_or_else(|| anyhow!("panel `{name}`, expected <variant>_ and one of {}", names()))
    }
}

/// One point of one curve. `y` is a mean over `seeds` runs, `deviation` their standard deviation (n - 1 in the denominator).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub panel: Panel,
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

impl Point {
    /// The mean of `values`, one for each of several runs, with their deviation.
    pub(crate) fn of_runs(panel: Panel, series: &str, x: f64, values: &[f64], data: &str, device: &str) -> Point {
        let (y, deviation) = mean_and_deviation(values);
        let (series, data, device) = (series.to_owned(), data.to_owned(), device.to_owned());
        Point { panel, series, x, y, deviation, seeds: Some(values.len() as u32), data, device, ..Point::default() }
    }
}

/// The variants that have points of `metric`, in the order of the points.
pub fn variants(points: &[Point], metric: Metric) -> Vec<String> {
    let of_metric = points.iter().filter(|point| point.panel.quantity == metric.into() && point.panel.seed.is_none());
    distinct(of_metric.map(|point| point.panel.variant.clone()))
}

/// The curve of mean and standard deviation over runs of `value(run, epoch)`. Runs of unequal length are cut to the shortest.
pub fn mean_over_seeds(
    panel: &Panel,
    series: &str,
    histories: &[&History],
    value: impl Fn(&History, i64) -> Option<f64>,
    data: &str,
    device: &str,
) -> Vec<Point> {
    let epochs = histories.iter().map(|history| history.epochs()).min().unwrap_or(0);
    let point = |epoch| {
        let values: Option<Vec<f64>> = histories.iter().map(|history| value(history, epoch)).collect();
        Some(Point::of_runs(panel.clone(), series, epoch as f64, &values?, data, device))
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

/// A value with its deviation, if it has one: "0.9751 ± 0.0004".
pub fn with_deviation(y: f64, deviation: Option<f64>, decimals: usize) -> String {
    let deviation = deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.decimals$}"));
    format!("{y:.decimals$}{deviation}")
}

/// Reads the CSV of a figure's points.
pub fn read_csv(path: &Path) -> Result<Vec<Point>> {
    let points: Vec<Point> = files::read_csv(path, "the figure's points from")?;
    ensure!(!points.is_empty(), "{} holds no points, expected one row per point; run without --redraw to make it", path.display());
    Ok(points)
}

/// Each of `all` once, in order.
pub(crate) fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    all.into_iter().fold(Vec::new(), |mut kept, one| {
        if !kept.contains(&one) {
            kept.push(one);
        }
        kept
    })
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
        let panel = Panel::new("glorot", Metric::Loss);
        let points = mean_over_seeds(&panel, "s", &[&a, &b], loss, "MNIST", "cpu");
        let read: Vec<_> = points.iter().map(|point| (point.x, point.y, point.deviation)).collect();
        assert_eq!(read, [(1.0, 2.0, Some(2.0_f64.sqrt())), (2.0, 2.0, Some(0.0))], "two epochs: the shorter run has no third");
        assert_eq!(mean_over_seeds(&panel, "s", &[&a], loss, "", "")[0].deviation, None);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("points.csv");
        std::fs::write(&path, files::to_csv(&points)?)?;
        assert_eq!(read_csv(&path)?, points);
        Ok(())
    }

    #[test]
    fn a_panel_is_known_by_its_name() -> Result<()> {
        let all = QUANTITIES.iter().flat_map(|(quantity, ..)| [None, Some(12)].map(|seed| (*quantity, seed)));
        for (quantity, seed) in all {
            let panel = Panel { variant: "as_published".to_owned(), quantity, seed };
            assert_eq!(Panel::try_from(panel.to_string())?, panel);
        }
        assert_eq!(Panel::try_from("zero_twice_softmaxed_loss".to_owned())?, Panel::new("zero", Metric::TwiceSoftmaxedLoss));
        let error = Panel::try_from("zero_speed".to_owned()).expect_err("no quantity").to_string();
        assert!(error.starts_with("panel `zero_speed`, expected <variant>_ and one of twice_softmaxed_loss,"), "{error}");
        Ok(())
    }
}
