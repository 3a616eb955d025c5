//! Reported beside reproduced, with a verdict by [`RULES`].
//!
//! The report gives one run without a spread. If its run and ours are samples of one normal distribution, the 95 % prediction interval from n
//! seeds contains its number with probability 0.95 (t is the 0.975 quantile of Student's distribution with n - 1 degrees of freedom),
//! widened by half a unit of the number's last digit. One run against one has only the binomial sampling error of an accuracy (normal
//! approximation for two proportions), without the variance between seeds.

use crate::history::Metric;
use crate::plot::thousands;
use crate::points::{Origin, Panel, Point, Quantity, REPORT_DATA, is_report_data, with_deviation};
use crate::reported::Number;
use crate::table::{self, LayerRow};
use comfy_table::Table;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// One number of the report beside ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub what: String,
    pub reported: f64,
    /// Half a unit of the last digit reported.
    pub resolution: f64,
    /// No seeds where no run is needed: it follows from the architecture or the data.
    pub ours: Point,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reported value to its last digit, or to the error of reading it, with a spread that is no larger.
    Equal,
    /// Within the 95 % prediction interval.
    Reproduced,
    /// One run of each, within the 95 % interval of the difference of two proportions.
    WithinSampling,
    Differs,
    /// One seed has no spread to judge by.
    OneSeed,
    /// The interval contains the reported number, but is too wide to be informative.
    TooWide,
}

pub const RULES: [(&str, &str); 5] = [
    ("equal", "the reported number to its last digit, or to the error of reading it off a curve, with a spread that is no larger"),
    (
        "reproduced",
        "the reported run lies within the 95 % prediction interval of one more run of ours, mean ± t(0.975, n-1) · sd · sqrt(1 + 1/n); \
         the report has one run without a spread, so ours stands for both",
    ),
    (
        "reproduced: two proportions",
        "one run of each, and the accuracies differ by at most 1.96 · sqrt(p1 (1 - p1) / n1 + p2 (1 - p2) / n2) for n1 and n2 images; \
         beyond it there is no verdict",
    ),
    (
        "too wide to tell",
        "the interval contains the reported number, but its half-width is larger than that number itself (of an accuracy: than its \
         distance from 0 or 100 %)",
    ),
    ("*", "fewer than 5 seeds: the interval is wide (t = 12.7 with 2 seeds, 4.3 with 3, 2.8 with 5) and its width itself uncertain"),
];

impl Comparison {
    pub(crate) fn new(what: String, reported: f64, resolution: f64, ours: &Point) -> Comparison {
        Comparison { what, reported, resolution, ours: ours.clone() }
    }

    fn seeds(&self) -> u32 {
        self.ours.seeds.unwrap_or(1)
    }

    /// Reproduced minus reported.
    pub fn difference(&self) -> f64 {
        self.ours.y - self.reported
    }

    /// Half the width of the interval: the smallest detectable difference. None for one seed, unless both numbers of images are known.
    pub fn half_width(&self) -> Option<f64> {
        if let (1, Some([ours, theirs])) = (self.seeds(), images(&self.ours)) {
            let variance = |p: f64, n: f64| p * (1.0 - p) / n;
            return Some(self.resolution + 1.96 * (variance(self.ours.y, ours) + variance(self.reported, theirs)).sqrt());
        }
        let n = f64::from(self.seeds());
        let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
        Some(self.resolution + t * self.ours.deviation? * (1.0 + 1.0 / n).sqrt())
    }

    /// Probability that one more run of ours falls below the reported value, by the t-distribution of [`Comparison::half_width`]; None
    /// without a standard deviation above 0.
    pub fn quantile(&self) -> Option<f64> {
        let n = f64::from(self.seeds());
        let spread = self.ours.deviation.filter(|deviation| *deviation > 0.0)? * (1.0 + 1.0 / n).sqrt();
        Some(StudentsT::new(0.0, 1.0, n - 1.0).ok()?.cdf(-self.difference() / spread))
    }

    pub fn verdict(&self) -> Verdict {
        let difference = self.difference().abs();
        let is_accuracy = self.ours.panel.quantity == Quantity::Accuracy;
        let room = if is_accuracy { self.reported.min(1.0 - self.reported) } else { self.reported.abs() };
        // A number below its own resolution has no digit that could be met.
        let has_digits = self.resolution < self.reported.abs();
        match self.half_width() {
            _ if has_digits && difference <= self.resolution && self.ours.deviation.unwrap_or(0.0) <= self.resolution => Verdict::Equal,
            None if self.seeds() == 0 => Verdict::Differs,
            None => Verdict::OneSeed,
            Some(half_width) if difference > half_width && self.seeds() > 1 => Verdict::Differs,
            Some(half_width) if difference > half_width => Verdict::OneSeed,
            Some(half_width) if half_width > room => Verdict::TooWide,
            Some(_) if self.seeds() == 1 => Verdict::WithinSampling,
            Some(_) => Verdict::Reproduced,
        }
    }

    pub(crate) fn verdict_in_words(&self) -> String {
        let verdict = self.verdict();
        let is_open = matches!(verdict, Verdict::OneSeed | Verdict::TooWide);
        format!("{verdict}{}", if is_open { "" } else { mark(self.seeds()) })
    }
}

pub(crate) fn mark(seeds: u32) -> &'static str {
    if (1..5).contains(&seeds) { "*" } else { "" }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.pad(match self {
            Verdict::Equal => "equal",
            Verdict::Reproduced => "reproduced",
            Verdict::WithinSampling => "reproduced: two proportions",
            Verdict::Differs => "differs",
            Verdict::OneSeed => "no verdict: one seed",
            Verdict::TooWide => "too wide to tell",
        })
    }
}

/// The factor and the unit in which people read values: accuracies are fractions in files and per cent for readers.
pub(crate) fn scale_and_unit(quantity: Quantity) -> (f64, &'static str) {
    match quantity {
        Quantity::Accuracy | Quantity::AccuracyBySeed | Quantity::AccuracyBySeconds => (100.0, " %"),
        Quantity::AccuracyGap => (100.0, " points"),
        _ => (1.0, ""),
    }
}

/// A value with its deviation and number of seeds, for people: "97.51 ± 0.04 % (n = 3)".
pub(crate) fn in_words(point: &Point, decimals: usize) -> String {
    let (scale, unit) = scale_and_unit(point.panel.quantity);
    let y = scale * point.y;
    let number = match point.deviation {
        None if y.abs() < 1e-3 && y != 0.0 => format!("{y:.2e}"),
        deviation => with_deviation(y, deviation.map(|deviation| scale * deviation), decimals),
    };
    let seeds = point.seeds.filter(|seeds| *seeds > 0 && point.origin == Origin::Reproduced);
    format!("{number}{unit}{}", seeds.map_or(String::new(), |seeds| format!(" (n = {seeds})")))
}

/// The size of a difference, where there is one, for people: "0.26 points" of an accuracy.
pub(crate) fn difference_in_words(difference: Option<f64>, quantity: Quantity, decimals: usize) -> String {
    let (scale, unit) = scale_and_unit(quantity);
    let points = if unit.is_empty() { "" } else { " points" };
    difference.map_or(String::new(), |difference| format!("{:.decimals$}{points}", scale * difference))
}

/// Validation images of cats and dogs, ours and the report's: its text holds out 20 % of 19,998, as we do; its curves are multiples of 1/2,999,
/// the 15 % of its code, as in the variant `as_published`.
pub(crate) fn images(ours: &Point) -> Option<[f64; 2]> {
    let is_validation = ours.panel.quantity == Quantity::Accuracy && ours.series == "validation" && ours.data == REPORT_DATA[1];
    let held_out = if ours.panel.variant.starts_with("as_published") { 2_999.0 } else { 3_999.0 };
    is_validation.then_some([held_out, 2_999.0])
}

/// For every curve that both the report and we have: its last common point, in the order of the points.
pub fn last_points(points: &[Point]) -> Vec<Comparison> {
    let mut comparisons: Vec<Comparison> = Vec::new();
    for ours in points.iter().filter(|point| point.origin == Origin::Reproduced) {
        let same = |theirs: &&Point| {
            theirs.origin == Origin::Reported && (&theirs.panel, &theirs.series, theirs.x) == (&ours.panel, &ours.series, ours.x)
        };
        let Some(theirs) = points.iter().find(same) else { continue };
        comparisons.retain(|earlier| (&earlier.ours.panel, &earlier.ours.series) != (&ours.panel, &ours.series));
        let what = format!("{} {}, epoch {}", split_in_words(&ours.series), ours.panel.quantity.words(), ours.x);
        comparisons.push(Comparison::new(what, theirs.y, theirs.resolution.unwrap_or(0.0), ours));
    }
    comparisons
}

pub(crate) fn split_in_words(series: &str) -> &str {
    if series == "train" { "training" } else { series }
}

/// For every accuracy that the report prints in `number`: ours of `variant` after as many epochs, or after the best one where the report means
/// that. Nothing where our data or our last epoch are not the report's.
pub fn with_number(points: &[Point], variant: &str, number: &Number) -> Vec<Comparison> {
    let (panel, resolution) = (Panel::new(variant, Metric::Accuracy), number.resolution.unwrap_or(PRINTED_RESOLUTION));
    let parameters = number.parameters.map_or(String::new(), |count| format!("{} parameters, ", thousands(count)));
    let is_ours = |point: &&Point| point.origin == Origin::Reproduced && point.panel == panel && is_report_data(&point.data);
    let compared = |(best, series, reported): (&str, &str, Option<f64>)| {
        let curve: Vec<&Point> = points.iter().filter(is_ours).filter(|point| point.series == series).collect();
        let last = *curve.last().filter(|last| number.epochs.is_none_or(|epochs| last.x == epochs as f64))?;
        let highest = curve.into_iter().max_by(|one, other| one.y.total_cmp(&other.y))?;
        let what = format!("{parameters}{best}{} accuracy", split_in_words(series));
        Some(Comparison::new(what, reported?, resolution, if best.is_empty() { last } else { highest }))
    };
    let Number { train, validation, test, best_validation, .. } = *number;
    let printed = [("", "train", train), ("", "validation", validation), ("", "test", test), ("best ", "validation", best_validation)];
    printed.into_iter().filter_map(compared).collect()
}

/// Horizontal lines at the accuracies that the report prints in `number`, over the epochs of our `variant`; none unless our data are the
/// report's full data set.
pub fn levels(points: &[Point], variant: &str, number: &Number) -> Vec<Point> {
    let panel = Panel::new(variant, Metric::Accuracy);
    let x = || points.iter().filter(|point| point.panel == panel && is_report_data(&point.data)).map(|point| point.x);
    let (Some(first), Some(last)) = (x().reduce(f64::min), x().reduce(f64::max)) else { return Vec::new() };
    let printed = [("train", number.train), ("validation", number.validation.or(number.best_validation)), ("test", number.test)];
    let level = |(series, y): (&str, Option<f64>)| {
        let level = Point { panel: panel.clone(), series: series.to_owned(), origin: Origin::Reported, y: y?, ..Point::default() };
        Some([first, last].map(|x| Point { x, ..level.clone() }))
    };
    printed.into_iter().filter_map(level).flatten().collect()
}

/// The largest gradient difference of Figure 5 at the report's largest N, beside the mean over our seeds at that N.
pub fn plateau(points: &[Point]) -> Vec<Comparison> {
    let published = &Panel::new("as_published", Quantity::DifferenceByN);
    let of = |origin| points.iter().filter(move |point| point.panel == *published && point.origin == origin);
    let Some(theirs) = of(Origin::Reported).max_by(|a, b| a.x.total_cmp(&b.x)) else { return Vec::new() };
    let ours: Vec<f64> = of(Origin::Reproduced).filter(|point| point.x == theirs.x).map(|point| point.y).collect();
    if ours.is_empty() {
        return Vec::new();
    }
    let ours = Point::of_runs(Panel::default(), "", 0.0, &ours, "", "");
    let what = format!("largest difference, softmax taken twice, N = {}", theirs.x);
    vec![Comparison::new(what, theirs.y, theirs.resolution.unwrap_or(0.0), &ours)]
}

/// Parameters of every layer, of the whole network, and the share of its fully connected layers (FC1, FC2, ...).
pub fn parameters(layers: &[LayerRow], number: &Number) -> Vec<Comparison> {
    let comparison = |what: &str, reported, resolution, y| {
        Comparison::new(what.to_owned(), reported, resolution, &Point { y, seeds: Some(0), ..Point::default() })
    };
    let count = |what: &str, reported: i64, ours: i64| comparison(what, reported as f64, 0.5, ours as f64);
    let all: i64 = layers.iter().map(|row| row.parameters).sum();
    let fully_connected: i64 = layers.iter().filter(|row| row.layer.starts_with("FC")).map(|row| row.parameters).sum();
    let each = layers.iter().filter_map(|row| Some(count(&row.layer, *number.layers.get(&row.layer)?, row.parameters)));
    let total = number.parameters.map(|reported| count("Total", reported, all));
    let share = number.fully_connected_share.map(|reported| comparison("share of FC", reported, 5e-4, fully_connected as f64 / all as f64));
    each.chain(total).chain(share).collect()
}

/// Half a unit of the last digit of an accuracy printed as per cent with two decimals.
const PRINTED_RESOLUTION: f64 = 5e-5;

/// Reported, reproduced, the difference, the smallest one that could have been seen, and the verdict, for people.
pub fn words(comparison: &Comparison) -> [String; 5] {
    let (scale, unit) = scale_and_unit(comparison.ours.panel.quantity);
    let decimals = (-(2.0 * scale * comparison.resolution).log10()).ceil().clamp(0.0, 7.0) as usize;
    let finer = if unit.is_empty() { decimals } else { decimals.max(2) };
    [
        format!("{:.decimals$}{unit}", comparison.reported * scale),
        in_words(&comparison.ours, finer),
        format!("{:+.finer$}", comparison.difference() * scale),
        difference_in_words(comparison.half_width(), comparison.ours.panel.quantity, finer),
        comparison.verdict_in_words(),
    ]
}

/// Prints the comparisons as a table, and their summary.
pub fn print(comparisons: &[Comparison]) {
    if !comparisons.is_empty() {
        say!("\n{}", table(comparisons));
    }
    print_summary(comparisons);
}

/// Prints how many of the report's numbers were met, and by which rule.
pub fn print_summary(comparisons: &[Comparison]) {
    if comparisons.is_empty() {
        say!("\nNothing here can be compared with the report: this was not its data set in full, or not its epochs.");
        return;
    }
    let count = |verdict| comparisons.iter().filter(|comparison| comparison.verdict() == verdict).count();
    say!(
        "\n{} equal, {} reproduced, {} differ, {} without verdict.",
        count(Verdict::Equal),
        count(Verdict::Reproduced) + count(Verdict::WithinSampling),
        count(Verdict::Differs),
        count(Verdict::OneSeed) + count(Verdict::TooWide),
    );
    let verdicts: Vec<String> = comparisons.iter().map(Comparison::verdict_in_words).collect();
    let is_used =
        |name: &str| verdicts.iter().any(|verdict| verdict.trim_end_matches('*') == name || (name == "*" && verdict.ends_with('*')));
    for (name, rule) in RULES.iter().filter(|(name, _)| *name != "equal" && is_used(name)) {
        say!("{name}: {rule}.");
    }
}

pub fn table(comparisons: &[Comparison]) -> Table {
    let mut table = table::new(["", "reported", "reproduced", "difference", "detectable", "verdict"]);
    for comparison in comparisons {
        let variant = comparison.ours.panel.variant.replace('_', " ");
        let what = [variant.as_str(), &comparison.what].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        table.add_row([what].into_iter().chain(words(comparison)));
    }
    table::align_right(&mut table, 1..5);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reported::Kind;
    use std::collections::BTreeMap;

    fn comparison(reproduced: f64, deviation: Option<f64>, seeds: u32) -> Comparison {
        let ours = Point { panel: Panel::new("cnn", Metric::Accuracy), y: reproduced, deviation, seeds: Some(seeds), ..Point::default() };
        Comparison::new(String::new(), 0.97, 5e-5, &ours)
    }

    #[test]
    fn a_plateau_that_was_not_reached_is_not_compared() {
        let published = Point { panel: Panel::new("as_published", Quantity::DifferenceByN), x: 50.0, y: 0.0113, ..Point::default() };
        let theirs = Point { origin: Origin::Reported, ..published.clone() };
        let ours = |x| Point { origin: Origin::Reproduced, x, ..published.clone() };
        assert!(plateau(&[theirs.clone(), ours(10.0)]).is_empty());
        assert_eq!(plateau(&[theirs, ours(50.0)]).len(), 1);
    }

    #[test]
    fn a_printed_number_is_compared_only_after_its_epochs_on_its_data() {
        let number = |epochs| Number {
            place: String::new(),
            kind: Kind::Run,
            leaderboard: None,
            parameters: None,
            epochs,
            train: None,
            validation: None,
            test: Some(0.97),
            best_validation: None,
            layers: BTreeMap::new(),
            fully_connected_share: None,
            resolution: None,
        };
        let point = |x: f64, data: &str| Point {
            panel: Panel::new("best", Metric::Accuracy),
            series: "test".to_owned(),
            origin: Origin::Reproduced,
            x,
            y: 0.9,
            deviation: None,
            resolution: None,
            seeds: Some(1),
            data: data.to_owned(),
            device: String::new(),
        };
        let compared = |points: &[Point], epochs| with_number(points, "best", &number(epochs)).len();
        assert_eq!(compared(&[point(59.0, "MNIST"), point(60.0, "MNIST")], Some(60)), 1);
        assert_eq!(compared(&[point(59.0, "MNIST")], Some(60)), 0, "a shortened run");
        assert_eq!(compared(&[point(60.0, "MNIST"), point(61.0, "MNIST")], Some(60)), 0, "a longer one");
        assert_eq!(compared(&[point(60.0, "MNIST, first 100 training examples")], Some(60)), 0);
        assert_eq!(compared(&[point(7.0, "MNIST")], None), 1, "where the report names no epoch");
        let resolution = |resolution| with_number(&[point(7.0, "MNIST")], "best", &Number { resolution, ..number(None) })[0].resolution;
        assert_eq!((resolution(None), resolution(Some(5e-3))), (5e-5, 5e-3));
    }

    #[test]
    fn the_best_epoch_is_compared_where_the_report_means_it() -> anyhow::Result<()> {
        let text = "where = \"here\"\nkind = \"run\"\nepochs = 3\nbest_validation = 0.93\nresolution = 5e-3";
        let number: Number = toml::from_str(text)?;
        let curve = |accuracies: &[f64]| -> Vec<Point> {
            let row = |(epoch, y): (usize, &f64)| {
                format!(
                    "panel = \"vgg_accuracy\"\nseries = \"validation\"\norigin = \"reproduced\"\nx = {:.1}\ny = {y}\ndata = \"MNIST\"\ndevice = \"\"",
                    epoch + 1
                )
            };
            accuracies.iter().enumerate().map(|row_of| toml::from_str(&row(row_of)).expect("a point")).collect()
        };
        let compared = with_number(&curve(&[0.8, 0.934, 0.9]), "vgg", &number);
        assert_eq!(compared.iter().map(|one| (one.reported, one.ours.y)).collect::<Vec<_>>(), [(0.93, 0.934)]);
        assert_eq!(compared[0].what, "best validation accuracy");
        assert!(with_number(&curve(&[0.8, 0.934]), "vgg", &number).is_empty(), "not after fewer epochs");
        Ok(())
    }

    #[test]
    fn a_reported_run_falls_where_its_distribution_has_it() {
        // t with 2 degrees of freedom is below 1.8856 with probability 0.9, and below 0 with 0.5.
        let spread = 0.001 * (4.0_f64 / 3.0).sqrt();
        let quantile = |reproduced| comparison(reproduced, Some(0.001), 3).quantile().expect("a spread");
        assert!((quantile(0.97) - 0.5).abs() < 1e-9);
        assert!((quantile(0.97 - 1.885_618 * spread) - 0.9).abs() < 1e-6, "ours is lower, so most further runs are");
        assert!((quantile(0.97 + 1.885_618 * spread) - 0.1).abs() < 1e-6);
        let edge = comparison(0.97, Some(0.001), 3).half_width().expect("a spread") - 5e-5;
        assert!((quantile(0.97 - edge) - 0.975).abs() < 1e-6, "the edge of the interval");
        assert_eq!([comparison(0.97, None, 1), comparison(0.97, Some(0.0), 3)].map(|one| one.quantile()), [None; 2]);
    }

    #[test]
    fn verdicts_follow_the_rule() {
        // n = 3: t(0.975, 2) = 4.3027, so 0.001 of deviation allows 0.00497 and half a digit.
        let half_width = comparison(0.97, Some(0.001), 3).half_width().expect("three seeds have a spread");
        assert!((half_width - (4.302_65 * 0.001 * (4.0_f64 / 3.0).sqrt() + 5e-5)).abs() < 1e-7, "{half_width}");
        assert_eq!(comparison(0.9749, Some(0.001), 3).verdict(), Verdict::Reproduced);
        assert_eq!(comparison(0.9751, Some(0.001), 3).verdict(), Verdict::Differs);
        assert_eq!(comparison(0.9649, Some(0.001), 3).verdict(), Verdict::Differs);
        assert_eq!(comparison(0.97, Some(0.0), 3).verdict(), Verdict::Equal);
        assert_eq!(comparison(0.9701, Some(0.0), 3).verdict(), Verdict::Differs);
        assert_eq!(comparison(0.9749, None, 1).verdict(), Verdict::OneSeed);
        assert_eq!(comparison(0.97, None, 1).verdict(), Verdict::Equal);
        assert_eq!((comparison(0.97, None, 0).verdict(), comparison(0.9749, None, 0).verdict()), (Verdict::Equal, Verdict::Differs));
    }

    #[test]
    fn one_run_against_one_is_judged_by_the_sampling_error_of_an_accuracy() {
        let of_cats = |comparison: Comparison| {
            let (series, data) = ("validation".to_owned(), REPORT_DATA[1].to_owned());
            Comparison { ours: Point { series, data, ..comparison.ours }, ..comparison }
        };
        let one = |reproduced| of_cats(comparison(reproduced, None, 1));
        // 1.96 sqrt(0.98 · 0.02 / 3999 + 0.97 · 0.03 / 2999)
        let half_width = one(0.98).half_width().expect("numbers of images");
        assert!((half_width - 5e-5 - 0.007_491).abs() < 1e-6, "{half_width}");
        assert_eq!(one(0.977).verdict(), Verdict::WithinSampling);
        assert_eq!(one(0.98).verdict(), Verdict::OneSeed, "beyond it there is no verdict");
        assert_eq!(comparison(0.977, None, 1).verdict(), Verdict::OneSeed, "numbers of images that nobody knows");
        assert_eq!(one(0.97).verdict(), Verdict::Equal);
        let words = words(&one(0.977));
        assert_eq!(words, ["97.00 %", "97.70 % (n = 1)", "+0.70", "0.77 points", "reproduced: two proportions*"]);
        assert_eq!(of_cats(comparison(0.9751, Some(0.001), 3)).verdict(), Verdict::Differs, "several seeds have their spread");
    }

    #[test]
    fn an_interval_that_holds_nearly_everything_gives_no_verdict() {
        let panel = |name: &str| Panel::try_from(name.to_owned()).unwrap_or_default();
        let of = |name: &str, reported, resolution, reproduced, deviation, seeds| {
            let ours = Point { panel: panel(name), y: reproduced, deviation: Some(deviation), seeds: Some(seeds), ..Point::default() };
            Comparison::new(String::new(), reported, resolution, &ours).verdict()
        };
        // Figures 5 and 6: half a width of 0.072 about 0.019.
        assert_eq!(of("", 0.0113, 1.2e-6, 0.019_161, 0.014_576, 3), Verdict::TooWide);
        assert_eq!(of("", 0.0113, 1.2e-6, 0.012, 0.000_5, 3), Verdict::Reproduced);
        assert_eq!(of("large_loss", 0.000_36, 5e-4, 0.000_054, 2.2e-6, 2), Verdict::TooWide, "a sixth is not equal");
        assert_eq!(of("large_accuracy", 0.991_17, 1e-4, 0.991_17, 0.000_7, 2), Verdict::TooWide, "1.1 points about 0.9 of errors");
        assert_eq!(of("zero_accuracy", 0.1, 1e-4, 0.11, 0.04, 3), Verdict::TooWide, "the nearer end counts");
        assert_eq!(of("large_accuracy", 1.0, 1e-4, 1.0, 0.0, 2), Verdict::Equal, "to the last digit");
        assert_eq!(of("large_loss", 0.000_36, 1e-5, 0.5, 0.001, 2), Verdict::Differs, "outside is outside, however wide");
    }

    #[test]
    fn a_verdict_from_few_seeds_is_marked() {
        let of = |seeds| comparison(0.9701, Some(0.001), seeds).verdict_in_words();
        assert_eq!([2, 4, 5].map(of), ["reproduced*", "reproduced*", "reproduced"]);
        assert_eq!(comparison(0.9749, None, 1).verdict_in_words(), "no verdict: one seed");
        assert_eq!(comparison(0.97, None, 0).verdict_in_words(), "equal", "no run, no seeds");
    }

    #[test]
    fn the_images_behind_an_accuracy_are_those_of_the_split() -> anyhow::Result<()> {
        let point = |panel: &str, series: &str, data: &str| -> anyhow::Result<Point> {
            let text = "origin = \"reproduced\"\nx = 82.0\ny = 0.9\ndevice = \"\"\n";
            Ok(toml::from_str(&format!("{text}panel = \"{panel}\"\nseries = \"{series}\"\ndata = \"{data}\""))?)
        };
        let cats_dogs = REPORT_DATA[1];
        assert_eq!(images(&point("vgg_accuracy", "validation", cats_dogs)?), Some([3_999.0, 2_999.0]));
        assert_eq!(images(&point("as_published_accuracy", "validation", cats_dogs)?), Some([2_999.0, 2_999.0]));
        assert_eq!(images(&point("vgg_loss", "validation", cats_dogs)?), None);
        assert_eq!(images(&point("vgg_accuracy", "train", cats_dogs)?), None);
        assert_eq!(images(&point("cnn_accuracy", "validation", "MNIST")?), None);
        Ok(())
    }
}
