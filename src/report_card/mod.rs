//! The report and this crate side by side: every figure and table, every claim of the text, where the report is vague, and what goes
//! beyond it.
//!
//! The pairs to compare are listed in `experiments/report_card.toml`; every number comes from the CSVs of `plots/` and from the report's.

mod beyond;
mod charts;
mod claims;
mod made;
mod page;

pub use beyond::{Beyond, BeyondResult};

use crate::compare::{self, Comparison, Verdict};
use crate::files::write_whole;
use crate::history::Metric;
use crate::points::{self, Origin, Panel, Point, is_report_data};
use crate::reported::Reported;
use crate::table::{LayerRow, read_layers};
use anyhow::{Context, Result};
use charts::Names;
use claims::{ClaimResult, NoteResult};
use made::Made;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `experiments/report_card.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Opens the card: each of the report's problems in a sentence.
    #[serde(default)]
    problem: Vec<claims::Note>,
    item: Vec<Item>,
    /// By example, what its variants are called.
    #[serde(default)]
    names: BTreeMap<String, Names>,
    #[serde(default)]
    beyond: Vec<Beyond>,
    #[serde(default)]
    claim: Vec<claims::Claim>,
    #[serde(default)]
    note: Vec<claims::Note>,
}

/// The figures and tables that one example reproduces.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The figures and tables, as people name them.
    pub report: String,
    /// Which of the report's problems it belongs to, from 1.
    #[serde(default = "one")]
    problem: u32,
    pub what: String,
    pub example: String,
    compare: Compare,
    #[serde(default)]
    numbers: Vec<Printed>,
    /// How many figures and tables of the report it stands for.
    #[serde(default = "one")]
    figures: u32,
    #[serde(default)]
    tables: u32,
    /// Duration of the whole run on two cores.
    minutes: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub example: String,
    /// Figures and tables that it makes, in the report's numbering.
    pub of: String,
    pub what: String,
    /// Duration of the whole run on two cores.
    pub minutes: f64,
}

fn one() -> u32 {
    1
}

/// How an example's CSV is compared with the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Compare {
    Curves,
    Layers,
    Plateau,
    Picture,
}

/// A number that the report prints for a variant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Printed {
    variant: String,
    place: String,
}

/// The verdict on an item, a claim or an aim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Reproduced,
    Differs,
    /// There is a result that does not suffice for a verdict: one seed, fewer epochs, other data, or too wide an interval.
    #[serde(rename = "no verdict")]
    Undecided,
    /// A picture, which has no number.
    Shown,
    #[default]
    #[serde(rename = "not run")]
    NotRun,
    /// An aim beyond the report.
    Reached,
    Short,
}

impl std::fmt::Display for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        self.serialize(formatter)
    }
}

impl State {
    /// The verdict on several numbers together: as long as most have one, some may be too wide to tell.
    fn of(verdicts: &[Verdict]) -> State {
        let count = |verdict| verdicts.iter().filter(|one| **one == verdict).count();
        match verdicts {
            _ if count(Verdict::Differs) > 0 => State::Differs,
            all if count(Verdict::OneSeed) > 0 || 2 * count(Verdict::TooWide) >= all.len() => State::Undecided,
            _ => State::Reproduced,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct ItemResult {
    #[serde(flatten)]
    pub item: Item,
    pub state: State,
    /// Where some of its verdicts are from few seeds.
    mark: &'static str,
    /// Why there is no verdict, where there is none.
    reason: String,
    /// In words: quantity, reported, reproduced, difference, detectable, where the reported run falls among ours, verdict.
    comparisons: Vec<[String; 7]>,
    /// Where the reported runs fall among further runs of ours, as shares.
    #[serde(skip)]
    quantiles: Vec<f64>,
    sides: Option<String>,
    made: Made,
}

/// Two-sided sign test of the reported numbers below our means. None for fewer than 6 numbers, which even all on one side have more than 5 %.
fn sides(quantiles: &[f64]) -> Option<String> {
    let (numbers, below) = (quantiles.len(), quantiles.iter().filter(|quantile| **quantile < 0.5).count());
    let fewer = Binomial::new(0.5, numbers as u64).ok()?.cdf(below.min(numbers - below) as u64);
    let probability = (2.0 * fewer).min(1.0);
    (numbers >= 6).then(|| format!("{below} of {numbers} reported numbers lie below our mean (two-sided sign test: p = {probability:.2}"))
}

#[derive(Debug, Serialize)]
pub struct ReportCard {
    /// Notice at the top of a card that is not made of whole runs.
    pub mark: String,
    pub date: String,
    pub commit: String,
    rules: [(&'static str, &'static str); 5],
    problems: Vec<NoteResult>,
    /// State, how many figures and tables have it, how many claims.
    counts: Vec<(State, u32, u32)>,
    /// How many numbers have a spread of ours beside them, and how many of these fall into its middle half and middle 95 %.
    luck: [usize; 3],
    pub items: Vec<ItemResult>,
    claims: Vec<ClaimResult>,
    pub beyond: Vec<BeyondResult>,
    beyond_shown: Vec<Made>,
    notes: Vec<NoteResult>,
}

/// The folder of results, with the points of every CSV that holds points.
struct Results<'a> {
    plots: &'a Path,
    names: BTreeMap<String, Names>,
    points: BTreeMap<String, Vec<Point>>,
}

impl Contents {
    /// Reads `<experiments>/report_card.toml`.
    pub fn read(experiments: &Path) -> Result<Contents> {
        let path = experiments.join("report_card.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// The examples to run, each once, the cheapest first.
    pub fn programs(&self) -> Vec<Program> {
        let items = self.item.iter().map(|item| (&item.example, item.report.as_str(), &item.what, Some(item.minutes)));
        let beyond = self.beyond.iter().map(|entry| (&entry.example, "Beyond the report", &entry.what, entry.minutes));
        let mut programs: Vec<Program> = Vec::new();
        for (example, of, what, minutes) in items.chain(beyond) {
            if let Some(earlier) = programs.iter_mut().find(|earlier| earlier.example == *example) {
                earlier.what = format!("{}; {what}", earlier.what);
            } else if let Some(minutes) = minutes {
                programs.push(Program { example: example.clone(), of: of.to_owned(), what: what.clone(), minutes });
            }
        }
        programs.sort_by(|one, other| one.minutes.total_cmp(&other.minutes));
        programs
    }
}

impl ReportCard {
    /// Sets the results in `plots` beside the report, below `mark`, if there is one. An example without results is not run.
    pub fn read(experiments: &Path, plots: &Path, date: String, commit: String, mark: &str) -> Result<ReportCard> {
        let Contents { problem, item, names, beyond, claim, note } = Contents::read(experiments)?;
        let reported = Reported::read(experiments)?;
        let results = Results::read(plots, names)?;
        let items = item.into_iter().map(|item| ItemResult::read(item, &reported, &results)).collect::<Result<Vec<_>>>()?;
        let claims: Vec<ClaimResult> = claim.into_iter().map(|claim| claim.judge(&results)).collect();
        let beyond_shown = beyond::shown(&beyond, |name| items.iter().any(|result| result.item.example == name), &results)?;
        let show = |notes: Vec<claims::Note>| notes.into_iter().map(|note| note.show(&results)).collect();
        let quantiles: Vec<f64> = items.iter().flat_map(|result| &result.quantiles).copied().collect();
        let within = |width: f64| quantiles.iter().filter(|quantile| (*quantile - 0.5).abs() <= width / 2.0).count();
        let states = [State::Reproduced, State::Differs, State::Undecided, State::Shown, State::NotRun];
        let count = |state: State| {
            let of_items = items.iter().filter(|result| result.state == state).map(|result| result.item.figures + result.item.tables).sum();
            (state, of_items, claims.iter().filter(|claim| claim.state == state).count() as u32)
        };
        Ok(ReportCard {
            mark: mark.to_owned(),
            date: date.chars().take(10).collect(),
            commit,
            rules: compare::RULES,
            problems: show(problem),
            counts: states.into_iter().map(count).filter(|(_, items, claims)| items + claims > 0).collect(),
            luck: [quantiles.len(), within(0.5), within(0.95)],
            beyond: beyond.into_iter().map(|entry| entry.judge(&results)).collect(),
            notes: show(note),
            items,
            claims,
            beyond_shown,
        })
    }

    pub fn summary(&self) -> String {
        let count =
            |(state, items, claims): &(State, u32, u32)| format!("{state}: {items} of the figures and tables, {claims} of the claims");
        self.counts.iter().map(count).collect::<Vec<_>>().join("\n")
    }

    /// Writes `<folder>/report_card.md` and `<folder>/report_card.html`, which shows the pictures that lie beside it; their paths.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2]> {
        let paths = ["md", "html"].map(|extension| folder.join("report_card").with_extension(extension));
        write_whole(&paths[0], page::markdown(self)?.as_bytes())?;
        write_whole(&paths[1], page::html(self)?.as_bytes())?;
        Ok(paths)
    }
}

impl Results<'_> {
    fn read(plots: &Path, names: BTreeMap<String, Names>) -> Result<Results<'_>> {
        let mut points = BTreeMap::new();
        // Where there is no folder yet, there is no result.
        for path in std::fs::read_dir(plots).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.extension().is_none_or(|extension| extension != "csv") {
                continue;
            }
            let header = csv::Reader::from_path(&path).and_then(|mut reader| reader.headers().cloned());
            if header.with_context(|| format!("cannot read {}", path.display()))?.get(0) == Some("panel") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                points.insert(name, points::read_csv(&path)?);
            }
        }
        Ok(Results { plots, names, points })
    }

    fn points(&self, example: &str) -> &[Point] {
        self.points.get(example).map_or(&[], Vec::as_slice)
    }

    fn names(&self, example: &str) -> Names {
        self.names.get(example).cloned().unwrap_or_default()
    }

    fn path(&self, example: &str, extension: &str) -> PathBuf {
        self.plots.join(format!("{example}.{extension}"))
    }
}

impl ItemResult {
    fn read(item: Item, reported: &Reported, results: &Results) -> Result<ItemResult> {
        let (names, points) = (&results.names(&item.example), results.points(&item.example));
        let made = Made::read(&item.example, false, results)?;
        let comparisons = item.comparisons(points, reported, &results.path(&item.example, "csv"))?;
        let verdicts: Vec<Verdict> = comparisons.iter().map(Comparison::verdict).collect();
        let (state, reason) = match &made.picture {
            None => (State::NotRun, "no result yet".to_owned()),
            Some(_) if item.compare == Compare::Picture => (State::Shown, String::new()),
            Some(picture) => {
                (State::of(&verdicts), what_is_open(points, &verdicts, picture.text.get("Experiment").map_or("", String::as_str), names))
            }
        };
        let row = |comparison: &Comparison| {
            let [reported, reproduced, difference, detectable, verdict] = compare::words(comparison);
            let what = match comparison.ours.panel.variant.as_str() {
                "" => comparison.what.clone(),
                variant => format!("{}: {}", charts::name(variant, names), comparison.what),
            };
            let falls_at = comparison.quantile().map_or(String::new(), |quantile| format!("{:.0} %", 100.0 * quantile));
            [what, reported, reproduced, difference, detectable, falls_at, verdict]
        };
        let rows: Vec<_> = comparisons.iter().map(row).collect();
        let is_marked = state != State::Undecided && rows.iter().any(|row| row[6].ends_with('*'));
        let quantiles: Vec<f64> = comparisons.iter().filter_map(Comparison::quantile).collect();
        let (mark, sides) = (if is_marked { "*" } else { "" }, sides(&quantiles));
        Ok(ItemResult { item, state, mark, reason, comparisons: rows, quantiles, sides, made })
    }
}

/// Why not all is reproduced: missing variants or epochs, other data, numbers that differ, too wide an interval, one seed.
fn what_is_open(points: &[Point], verdicts: &[Verdict], experiment: &str, names: &Names) -> String {
    let last = |variant: &str, origin| {
        let of = points.iter().filter(|point| point.origin == origin && point.panel.variant == variant);
        of.map(|point| point.x).fold(0.0, f64::max)
    };
    let epochs = |variant: &String| match (last(variant, Origin::Reproduced), last(variant, Origin::Reported)) {
        (0.0, _) => Some(format!("{} is not trained", charts::name(variant, names))),
        (ours, theirs) if ours < theirs => Some(match stopped_early(points, variant, ours, experiment) {
            Some(most) => format!("early stopping after epoch {ours} of at most {most}"),
            None => format!("{ours} epochs, the report's run {theirs}"),
        }),
        _ => None,
    };
    let mut reasons: Vec<String> = points::variants(points, Metric::Accuracy).iter().filter_map(epochs).collect();
    if points.iter().any(|point| point.origin == Origin::Reproduced && !is_report_data(&point.data)) {
        reasons.push("not the report's data, whole".to_owned());
    }
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    if count(Verdict::Differs) > 0 {
        reasons.push(format!("{} of {}; by chance alone it would be one in twenty", count(Verdict::Differs), verdicts.len()));
    }
    if count(Verdict::TooWide) > 0 {
        reasons.push(format!("too wide to tell: {} of {}", count(Verdict::TooWide), verdicts.len()));
    }
    if verdicts.contains(&Verdict::OneSeed) {
        reasons.push("one seed has no spread to judge by".to_owned());
    }
    reasons.join("; ")
}

/// The most epochs that `experiment` allows, if early stopping ended training at `last`: its patience after the least validation loss.
fn stopped_early(points: &[Point], variant: &str, last: f64, experiment: &str) -> Option<i64> {
    let training = toml::from_str::<toml::Table>(experiment).ok()?.remove("training")?;
    let patience = training.get("early_stopping")?.get("patience")?.as_integer()?;
    let loss = Panel::new(variant, Metric::Loss);
    let ours = points.iter().filter(|point| point.origin == Origin::Reproduced && point.panel == loss && point.series == "validation");
    let best = ours.min_by(|one, other| one.y.total_cmp(&other.y))?;
    (best.x + patience as f64 == last).then(|| training.get("epochs")?.as_integer())?
}

impl Item {
    fn comparisons(&self, points: &[Point], reported: &Reported, csv: &Path) -> Result<Vec<Comparison>> {
        let mut found = match self.compare {
            Compare::Picture => return Ok(Vec::new()),
            Compare::Layers => {
                let rows: Vec<LayerRow> = if csv.exists() { read_layers(csv)? } else { return Ok(Vec::new()) };
                let of = |Printed { place, .. }: &Printed| Ok(compare::parameters(&rows, reported.number(place)?));
                return Ok(self.numbers.iter().map(of).collect::<Result<Vec<_>>>()?.concat());
            }
            Compare::Curves => compare::last_points(points),
            Compare::Plateau => compare::plateau(points),
        };
        for Printed { variant, place } in &self.numbers {
            found.extend(compare::with_number(points, variant, reported.number(place)?));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uneven_split_is_as_probable_as_the_sign_test_says() {
        // Table 2: 11 of 15 below. 2 P(X <= 4) = 2 (1 + 15 + 105 + 455 + 1365) / 2^15.
        let sides = |below: usize, numbers: usize| {
            let quantiles: Vec<f64> = (0..numbers).map(|at| if at < below { 0.1 } else { 0.9 }).collect();
            super::sides(&quantiles)
        };
        let said = |split, p| Some(format!("{split} reported numbers lie below our mean (two-sided sign test: p = {p}"));
        assert_eq!(sides(11, 15), said("11 of 15", "0.12"));
        assert_eq!(sides(4, 15), said("4 of 15", "0.12"));
        assert_eq!(sides(4, 8), said("4 of 8", "1.00"));
        assert_eq!(sides(5, 5), None, "2 / 2^5 is above 5 %, however they fall");
    }

    #[test]
    fn a_run_that_early_stopping_ended_is_not_called_unfinished() {
        let point = |panel: &str, origin, x: f64, y: f64| Point {
            panel: Panel::try_from(panel.to_owned()).expect(panel),
            series: "validation".to_owned(),
            origin,
            x,
            y,
            data: "MNIST".to_owned(),
            ..Point::default()
        };
        let ours = |best: f64| {
            let loss = |x| point("vgg_loss", Origin::Reproduced, x, if x == best { 0.1 } else { 0.2 });
            let mut points: Vec<Point> = [42.0, 50.0, 82.0].map(loss).to_vec();
            points.push(point("vgg_accuracy", Origin::Reported, 100.0, 0.9));
            points.push(point("other_accuracy", Origin::Reported, 100.0, 0.9));
            points
        };
        let experiment = "[training]\nepochs = 100\nearly_stopping = { patience = 40 }";
        let said = |best, experiment| what_is_open(&ours(best), &[], experiment, &[("other".to_owned(), "B".to_owned())].into());
        assert_eq!(said(42.0, experiment), "early stopping after epoch 82 of at most 100; B is not trained");
        assert_eq!(said(50.0, experiment), "82 epochs, the report's run 100; B is not trained");
        assert_eq!(said(42.0, "[training]\nepochs = 100"), "82 epochs, the report's run 100; B is not trained");
    }

    #[test]
    fn an_item_has_the_verdict_of_most_of_its_numbers() {
        use Verdict::{Differs, Equal, OneSeed, Reproduced, TooWide};
        assert_eq!(State::of(&[Equal, Reproduced, TooWide]), State::Reproduced);
        assert_eq!(State::of(&[Reproduced, TooWide]), State::Undecided);
        assert_eq!(State::of(&[Reproduced, Reproduced, Reproduced, OneSeed]), State::Undecided);
        assert_eq!(State::of(&[TooWide, OneSeed, Differs]), State::Differs);
        assert_eq!(State::of(&[]), State::Undecided);
        let open = what_is_open(&[], &[Equal, Differs, TooWide], "", &Names::new());
        assert_eq!(open, "1 of 3; by chance alone it would be one in twenty; too wide to tell: 1 of 3");
    }
}
