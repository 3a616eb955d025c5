//! Reported beside reproduced, with a verdict and its rule.
//!
//! The report gives one run without a spread. If a run of ours is one draw from a normal distribution of standard deviation s, known
//! from n seeds, and the report's run is another, then with probability 95 % it lies within t s sqrt(1 + 1/n) of our mean, t being the
//! 0.975 quantile of Student's distribution with n - 1 degrees of freedom (a prediction interval). So our seed-to-seed deviation stands
//! for theirs too. To this comes half a unit of the reported value's last digit. Where every seed gives the same value the rule asks
//! for equality to that digit.
//!
//! One run of ours against the report's one has no such spread. There the sampling error of an accuracy is known: of n1 and n2 images the
//! fractions p1 and p2 differ by less than 1.96 sqrt(p1 (1 - p1) / n1 + p2 (1 - p2) / n2) in 95 % of all cases where both networks are
//! equally good (normal approximation for two proportions). A larger difference has no verdict, as training adds a spread of its own.

use crate::history::Metric;
use crate::points::{Origin, Panel, Point, Quantity, REPORT_DATA, is_report_data, mean_and_deviation};
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
    pub reproduced: f64,
    /// Standard deviation over seeds; none for a single run.
    pub deviation: Option<f64>,
    /// 0 where no run is needed: it follows from the architecture or the data.
    pub seeds: u32,
    /// Images behind our accuracy and behind the report's, where both are known.
    pub images: Option<[f64; 2]>,
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
}

/// The rule, for people.
pub const RULE: &str = "reproduced: the reported run lies within the 95 % prediction interval of a further run of ours, \
     mean ± t(0.975, n-1) · sd · sqrt(1 + 1/n); a single published run has no spread, so ours stands for both; two proportions: where ours \
     is one run, too, an accuracy lies within the 95 % interval of the difference of two proportions, \
     1.96 · sqrt(p1 (1 - p1) / n1 + p2 (1 - p2) / n2) for n1 and n2 images; beyond it there is no verdict";

impl Comparison {
    /// Reproduced minus reported.
    pub fn difference(&self) -> f64 {
        self.reproduced - self.reported
    }

    /// The largest difference that still counts as reproduced; none for one seed, but for an accuracy of known numbers of images.
    pub fn allowance(&self) -> Option<f64> {
        if let (1, Some([ours, theirs])) = (self.seeds, self.images) {
            let variance = |p: f64, n: f64| p * (1.0 - p) / n;
            return Some(self.resolution + 1.96 * (variance(self.reproduced, ours) + variance(self.reported, theirs)).sqrt());
        }
        let n = f64::from(self.seeds);
        let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
        Some(self.resolution + t * self.deviation? * (1.0 + 1.0 / n).sqrt())
    }

    /// Where the reported run falls among further runs of ours: the share of them that would be lower, by the same distribution as
    /// [`Comparison::allowance`]. None where there is no spread.
    pub fn quantile(&self) -> Option<f64> {
        let n = f64::from(self.seeds);
        let spread = self.deviation.filter(|deviation| *deviation > 0.0)? * (1.0 + 1.0 / n).sqrt();
        Some(StudentsT::new(0.0, 1.0, n - 1.0).ok()?.cdf(-self.difference() / spread))
    }

    pub fn verdict(&self) -> Verdict {
        let difference = self.difference().abs();
        match self.allowance() {
            _ if difference <= self.resolution && self.deviation.unwrap_or(0.0) <= self.resolution => Verdict::Equal,
            None if self.seeds == 0 => Verdict::Differs,
            None => Verdict::OneSeed,
            Some(allowance) if self.seeds == 1 && difference <= allowance => Verdict::WithinSampling,
            Some(_) if self.seeds == 1 => Verdict::OneSeed,
            Some(allowance) if difference <= allowance => Verdict::Reproduced,
            Some(_) => Verdict::Differs,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.pad(match self {
            Verdict::Equal => "equal",
            Verdict::Reproduced => "reproduced",
            Verdict::WithinSampling => "reproduced: two proportions",
            Verdict::Differs => "differs",
            Verdict::OneSeed => "no verdict: one seed",
        })
    }
}

/// Images behind the validation accuracy of `ours` on cats and dogs and behind the report's: the text holds out 20 % of 19,998, which is ours;
/// the report's curves are multiples of 1/2,999, the 15 % of its code, as in the variant `as_published`.
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
        let curve = format!("{}, {}", ours.panel.to_string().replace('_', " "), ours.series);
        comparisons.retain(|earlier| !earlier.what.starts_with(&format!("{curve}, epoch ")));
        comparisons.push(Comparison {
            what: format!("{curve}, epoch {}", ours.x),
            reported: theirs.y,
            resolution: theirs.resolution.unwrap_or(0.0),
            reproduced: ours.y,
            deviation: ours.deviation,
            seeds: ours.seeds.unwrap_or(1),
            images: images(ours),
        });
    }
    comparisons
}

/// For every accuracy that the report prints in `number`: ours in the accuracy panel of `variant` after as many epochs. Nothing where
/// our data or our last epoch are not the report's. Where the report means its best epoch, so do we.
pub fn with_number(points: &[Point], variant: &str, number: &Number) -> Vec<Comparison> {
    let printed = [("train", number.train), ("validation", number.validation), ("test", number.test)];
    let accuracy = Panel::new(variant, Metric::Accuracy);
    let compared = |(split, reported): (&str, Option<f64>)| {
        let series = split.trim_start_matches("best ");
        let is_curve = |point: &&Point| {
            let is_ours = point.origin == Origin::Reproduced && is_report_data(&point.data);
            is_ours && point.panel == accuracy && point.series == series
        };
        let mut ours = points.iter().rfind(is_curve)?;
        if number.epochs.is_some_and(|epochs| ours.x != epochs as f64) {
            return None;
        }
        if series != split {
            ours = points.iter().filter(is_curve).max_by(|one, other| one.y.total_cmp(&other.y))?;
        }
        let parameters = number.parameters.map_or(String::new(), |count| format!(" ({count} parameters)"));
        Some(Comparison {
            what: format!("{}{parameters}, {split}", variant.replace('_', " ")),
            reported: reported?,
            resolution: number.resolution.unwrap_or(PRINTED_RESOLUTION),
            reproduced: ours.y,
            deviation: ours.deviation,
            seeds: ours.seeds.unwrap_or(1),
            images: images(ours),
        })
    };
    let best = number.best_validation.and_then(|reported| compared(("best validation", Some(reported))));
    printed.into_iter().filter_map(compared).chain(best).collect()
}

/// The accuracies that the report prints in `number`, as levels beside ours of `variant`; none where our data are not the report's, whole.
pub fn levels(points: &[Point], variant: &str, number: &Number) -> Vec<Point> {
    let panel = Panel::new(variant, Metric::Accuracy);
    let ours = || points.iter().filter(|point| point.panel == panel && is_report_data(&point.data));
    let ends = [ours().map(|point| point.x).reduce(f64::min), ours().map(|point| point.x).reduce(f64::max)];
    let printed = [("train", number.train), ("validation", number.validation.or(number.best_validation)), ("test", number.test)];
    let level = |(series, y): (&str, Option<f64>)| {
        let point =
            |x| Some(Point { panel: panel.clone(), series: series.to_owned(), origin: Origin::Reported, x: x?, y: y?, ..Point::default() });
        ends.map(point)
    };
    printed.into_iter().flat_map(level).flatten().collect()
}

/// Where the published curve levels off, beside ours over the seeds: at the largest N of both.
pub fn plateau(points: &[Point]) -> Vec<Comparison> {
    let published = Panel::new("as_published", Quantity::DifferenceByN);
    let panel = || points.iter().filter(|point| point.panel == published);
    let Some(theirs) = panel().filter(|point| point.origin == Origin::Reported).max_by(|a, b| a.x.total_cmp(&b.x)) else {
        return Vec::new();
    };
    let ours: Vec<f64> = panel().filter(|point| point.origin == Origin::Reproduced && point.x == theirs.x).map(|point| point.y).collect();
    let (mean, deviation) = mean_and_deviation(&ours);
    vec![Comparison {
        what: format!("largest difference, softmax taken twice, N = {}", theirs.x),
        reported: theirs.y,
        resolution: theirs.resolution.unwrap_or(0.0),
        reproduced: mean,
        deviation,
        seeds: ours.len() as u32,
        images: None,
    }]
}

/// For every layer, the whole network and the share of its fully connected layers (named FC1, FC2, ...): the number of parameters that the
/// report prints.
pub fn parameters(layers: &[LayerRow], number: &Number) -> Vec<Comparison> {
    let comparison = |what: String, reported: f64, resolution: f64, reproduced: f64| Comparison {
        what,
        reported,
        resolution,
        reproduced,
        deviation: None,
        seeds: 0,
        images: None,
    };
    let count = |what: &str, reported: i64, ours: i64| comparison(what.to_owned(), reported as f64, 0.5, ours as f64);
    let sum = |rows: &[&LayerRow]| rows.iter().map(|row| row.parameters).sum::<i64>();
    let fully_connected: Vec<&LayerRow> = layers.iter().filter(|row| row.layer.starts_with("FC")).collect();
    let all = sum(&layers.iter().collect::<Vec<_>>());
    let each = layers.iter().filter_map(|row| Some(count(&row.layer, *number.layers.get(&row.layer)?, row.parameters)));
    let total = number.parameters.map(|reported| count("Total", reported, all));
    let share = number.fully_connected_share;
    let share = share.map(|reported| comparison("share of FC".to_owned(), reported, 5e-4, sum(&fully_connected) as f64 / all as f64));
    each.chain(total).chain(share).collect()
}

/// Half a unit of the last digit of an accuracy printed as per cent with two decimals.
const PRINTED_RESOLUTION: f64 = 5e-5;

/// What is compared, reported, reproduced, the difference, the largest one allowed and the verdict, for people.
pub fn words(comparison: &Comparison) -> [String; 6] {
    let decimals = (-(2.0 * comparison.resolution).log10()).ceil().clamp(0.0, 7.0) as usize;
    let reproduced = match comparison.deviation {
        Some(deviation) => format!("{:.decimals$} ± {deviation:.decimals$} (n = {})", comparison.reproduced, comparison.seeds),
        None if comparison.seeds == 0 => format!("{:.decimals$}", comparison.reproduced),
        None => format!("{:.decimals$} (n = 1)", comparison.reproduced),
    };
    [
        comparison.what.clone(),
        format!("{:.decimals$}", comparison.reported),
        reproduced,
        format!("{:+.decimals$}", comparison.difference()),
        comparison.allowance().map_or(String::new(), |allowance| format!("{allowance:.decimals$}")),
        comparison.verdict().to_string(),
    ]
}

/// Prints the comparisons as a table, how many of the report's numbers were met, and by which rule.
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
        "\n{} equal, {} reproduced, {} differ, {} without verdict (one seed).",
        count(Verdict::Equal),
        count(Verdict::Reproduced) + count(Verdict::WithinSampling),
        count(Verdict::Differs),
        count(Verdict::OneSeed),
    );
    if count(Verdict::Equal) < comparisons.len() {
        say!("Rule: {RULE}.");
    }
}

/// The comparisons as a table for a terminal.
pub fn table(comparisons: &[Comparison]) -> Table {
    let mut table = table::new(["", "reported", "reproduced", "difference", "allowed", "verdict"]);
    for comparison in comparisons {
        table.add_row(words(comparison));
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
        Comparison { what: String::new(), reported: 0.97, resolution: 5e-5, reproduced, deviation, seeds, images: None }
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
    fn printed_numbers_are_levels_beside_ours_on_the_same_data() -> anyhow::Result<()> {
        let number: Number = toml::from_str("where = \"here\"\nkind = \"run\"\nbest_validation = 0.93\ntest = 0.9")?;
        let point = |x, data: &str| Point { panel: Panel::new("vgg", Metric::Accuracy), x, data: data.to_owned(), ..Point::default() };
        let drawn = |data| levels(&[point(1.0, data), point(60.0, data)], "vgg", &number);
        let read: Vec<_> = drawn("MNIST").into_iter().map(|point| (point.series, point.x, point.y)).collect();
        let level = |series: &str, y| [(series.to_owned(), 1.0, y), (series.to_owned(), 60.0, y)];
        assert_eq!(read, [level("validation", 0.93), level("test", 0.9)].concat());
        assert!(drawn("drawn digits").is_empty() && levels(&[], "vgg", &number).is_empty());
        Ok(())
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
        assert_eq!(compared.iter().map(|one| (one.reported, one.reproduced)).collect::<Vec<_>>(), [(0.93, 0.934)]);
        assert_eq!(compared[0].what, "vgg, best validation");
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
        let edge = comparison(0.97, Some(0.001), 3).allowance().expect("a spread") - 5e-5;
        assert!((quantile(0.97 - edge) - 0.975).abs() < 1e-6, "the edge of the interval");
        assert_eq!([comparison(0.97, None, 1), comparison(0.97, Some(0.0), 3)].map(|one| one.quantile()), [None; 2]);
    }

    #[test]
    fn verdicts_follow_the_rule() {
        // n = 3: t(0.975, 2) = 4.3027, so 0.001 of deviation allows 0.00497 and half a digit.
        let allowance = comparison(0.97, Some(0.001), 3).allowance().expect("three seeds have a spread");
        assert!((allowance - (4.302_65 * 0.001 * (4.0_f64 / 3.0).sqrt() + 5e-5)).abs() < 1e-7, "{allowance}");
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
        let one = |reproduced, images| Comparison { images, ..comparison(reproduced, None, 1) };
        let images = Some([3_999.0, 2_999.0]);
        // 1.96 sqrt(0.98 · 0.02 / 3999 + 0.97 · 0.03 / 2999)
        let allowance = one(0.98, images).allowance().expect("numbers of images");
        assert!((allowance - 5e-5 - 0.007_491).abs() < 1e-6, "{allowance}");
        assert_eq!(one(0.977, images).verdict(), Verdict::WithinSampling);
        assert_eq!(one(0.98, images).verdict(), Verdict::OneSeed, "beyond it there is no verdict");
        assert_eq!(one(0.977, None).verdict(), Verdict::OneSeed, "a loss");
        assert_eq!(one(0.97, images).verdict(), Verdict::Equal);
        assert_eq!(words(&one(0.977, images))[5], "reproduced: two proportions");
        let seeds = Comparison { images, ..comparison(0.9751, Some(0.001), 3) };
        assert_eq!(seeds.verdict(), Verdict::Differs, "several seeds have their spread");
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
