//! The report and this crate side by side: every figure and table, every claim of the text, where the report is vague, and what goes
//! beyond it.
//!
//! What is set beside what is written in `experiments/report_card.toml`; every number comes from the CSVs of `plots/` and from the report's.

mod beyond;
mod charts;
mod claims;
mod made;
mod page;

pub use beyond::BeyondResult;
pub use charts::Chart;
pub use claims::{ClaimResult, NoteResult};

use crate::compare::{self, Comparison, Verdict, variant_and_measure};
use crate::files::write_whole;
use crate::history::Metric;
use crate::points::{self, Origin, Point, is_report_data};
use crate::reported::Reported;
use crate::table::{LayerRow, read_layers};
use anyhow::{Context, Result};
use charts::Names;
use made::Made;
use serde::{Deserialize, Serialize, Serializer};
use statrs::distribution::{Binomial, DiscreteCDF};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `experiments/report_card.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// What comes first: each of the report's problems in a sentence.
    #[serde(default)]
    problem: Vec<claims::Note>,
    item: Vec<Item>,
    /// By example, what its variants are called.
    #[serde(default)]
    names: BTreeMap<String, Names>,
    #[serde(default)]
    beyond: Vec<beyond::Beyond>,
    #[serde(default)]
    claim: Vec<claims::Claim>,
    #[serde(default)]
    note: Vec<claims::Note>,
}

/// What one example makes of the report.
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
    /// What the whole run takes on two cores.
    minutes: f64,
}

/// An example to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub example: String,
    /// What it makes, as people name it.
    pub of: String,
    /// What the whole run takes on two cores.
    pub minutes: f64,
}

fn one() -> u32 {
    1
}

/// What of an example's CSV has a counterpart in the report.
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

/// How it stands with an item, a claim or an aim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    Reproduced,
    Differs,
    /// There is a result that does not suffice for a verdict: one seed, fewer epochs, other data, or too wide an interval.
    Undecided,
    /// A picture, which has no number.
    Shown,
    #[default]
    NotRun,
    /// An aim beyond the report.
    Reached,
    Short,
}

/// By its name.
impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl State {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            State::Reproduced => "reproduced",
            State::Differs => "differs",
            State::Undecided => "no verdict",
            State::Shown => "shown",
            State::NotRun => "not run",
            State::Reached => "reached",
            State::Short => "short",
        }
    }

    /// That of several numbers together: as long as most have a verdict, some may be too wide to tell.
    fn of(verdicts: &[Verdict]) -> State {
        let count = |verdict| verdicts.iter().filter(|one| **one == verdict).count();
        match verdicts {
            _ if count(Verdict::Differs) > 0 => State::Differs,
            all if count(Verdict::OneSeed) > 0 || 2 * count(Verdict::TooWide) >= all.len() => State::Undecided,
            _ => State::Reproduced,
        }
    }
}

/// An item with its result.
#[derive(Debug, Serialize)]
pub struct ItemResult {
    #[serde(flatten)]
    pub item: Item,
    pub state: State,
    /// Where some of its verdicts are from few seeds.
    mark: &'static str,
    /// Why there is no verdict, where there is none.
    reason: String,
    comparisons: Vec<Row>,
    #[serde(skip)]
    quantiles: Vec<f64>,
    sides: Option<Sides>,
    made: Made,
}

/// One number of the report beside ours, as words.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    reported: String,
    reproduced: String,
    difference: String,
    /// The smallest difference that would have been seen.
    detectable: String,
    /// Where the reported run falls among ours, in per cent.
    falls_at: String,
    verdict: String,
}

/// How many of the report's numbers are below our means, and how probable so uneven a split is where each side is as likely.
#[derive(Debug, Serialize)]
struct Sides {
    below: usize,
    numbers: usize,
    probability: String,
}

impl Sides {
    /// The two-sided sign test. None for fewer than 6 numbers, which even on one side all together have more than 5 %.
    fn of(quantiles: &[f64]) -> Option<Sides> {
        let (numbers, below) = (quantiles.len(), quantiles.iter().filter(|quantile| **quantile < 0.5).count());
        let fewer = Binomial::new(0.5, numbers as u64).ok()?.cdf(below.min(numbers - below) as u64);
        (numbers >= 6).then(|| Sides { below, numbers, probability: format!("{:.2}", (2.0 * fewer).min(1.0)) })
    }
}

/// The results of one commit on one machine.
#[derive(Debug, Serialize)]
struct Source {
    commit: String,
    device: String,
    examples: Vec<String>,
}

impl Source {
    /// In the order in which they are first seen.
    fn of<'a>(results: impl Iterator<Item = (&'a str, &'a Made)>) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        for (example, Made { picture, device, .. }) in results {
            let Some(picture) = picture else { continue };
            match sources.iter_mut().find(|source| source.commit == picture.commit && source.device == *device) {
                Some(source) => source.examples.push(example.to_owned()),
                None => {
                    let (commit, device, examples) = (picture.commit.clone(), device.clone(), vec![example.to_owned()]);
                    sources.push(Source { commit, device, examples });
                }
            }
        }
        sources
    }
}

/// Where the reported runs fall among ours, over all numbers that have a spread.
#[derive(Debug, Serialize)]
struct Luck {
    numbers: usize,
    in_middle_half: usize,
    in_middle_95: usize,
}

impl Luck {
    fn of(quantiles: &[f64]) -> Luck {
        let within = |width: f64| quantiles.iter().filter(|quantile| (*quantile - 0.5).abs() <= width / 2.0).count();
        Luck { numbers: quantiles.len(), in_middle_half: within(0.5), in_middle_95: within(0.95) }
    }
}

/// Everything side by side.
#[derive(Debug, Serialize)]
pub struct ReportCard {
    /// What is said on top of a card that is not made of whole runs.
    pub mark: String,
    pub date: String,
    pub commit: String,
    rules: [(&'static str, &'static str); 5],
    problems: Vec<NoteResult>,
    sources: Vec<Source>,
    /// The examples whose results are from changes that no commit has.
    uncommitted: Vec<String>,
    /// State, how many figures and tables have it, how many claims.
    counts: Vec<(&'static str, u32, u32)>,
    figures: u32,
    tables: u32,
    luck: Luck,
    pub items: Vec<ItemResult>,
    claims: Vec<ClaimResult>,
    pub beyond: Vec<BeyondResult>,
    beyond_shown: Vec<beyond::Shown>,
    notes: Vec<NoteResult>,
}

/// The points of every example's CSV, read when they are asked for.
struct Results<'a> {
    plots: &'a Path,
    names: BTreeMap<String, Names>,
    points: BTreeMap<String, Vec<Point>>,
}

impl Contents {
    /// Reads `<experiments>/report_card.toml`.
    ///
    /// # Errors
    /// If it is not there or not as it should be.
    pub fn read(experiments: &Path) -> Result<Contents> {
        let path = experiments.join("report_card.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let contents: Contents = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        contents.beyond.iter().try_for_each(beyond::Beyond::check).with_context(|| format!("in {}", path.display()))?;
        Ok(contents)
    }

    /// The examples to run, each once, the cheapest first.
    pub fn programs(&self) -> Vec<Program> {
        let of_item =
            |Item { example, report, minutes, .. }: &Item| Program { example: example.clone(), of: report.clone(), minutes: *minutes };
        let mut programs: Vec<Program> = Vec::new();
        for program in self.item.iter().map(of_item).chain(self.beyond.iter().filter_map(beyond::Beyond::program)) {
            if !programs.iter().any(|earlier| earlier.example == program.example) {
                programs.push(program);
            }
        }
        programs.sort_by(|one, other| one.minutes.total_cmp(&other.minutes));
        programs
    }
}

impl ReportCard {
    /// Sets what is in `plots` beside the report, below `mark`, if there is one. What is not there is not run.
    ///
    /// # Errors
    /// If a file that is there cannot be read.
    pub fn read(experiments: &Path, plots: &Path, date: String, commit: String, mark: &str) -> Result<ReportCard> {
        let Contents { problem, item, names, beyond, claim, note } = Contents::read(experiments)?;
        let reported = Reported::read(experiments)?;
        let mut results = Results { plots, names, points: BTreeMap::new() };
        let items = item.into_iter().map(|item| ItemResult::read(item, &reported, &mut results)).collect::<Result<Vec<_>>>()?;
        let claims = claim.into_iter().map(|claim| claim.judge(&mut results)).collect::<Result<Vec<_>>>()?;
        let is_item = |name: &str| items.iter().any(|result| result.item.example == name);
        let beyond_shown = beyond::shown(&beyond, is_item, &mut results)?;
        let beyond = beyond.into_iter().map(|entry| entry.judge(&mut results)).collect::<Result<Vec<_>>>()?;
        let mut show = |notes: Vec<claims::Note>| notes.into_iter().map(|note| note.show(&mut results)).collect::<Result<Vec<_>>>();
        let (problems, notes) = (show(problem)?, show(note)?);
        let made = items.iter().map(|result| (result.item.example.as_str(), &result.made));
        let sources = Source::of(made.chain(beyond_shown.iter().map(|shown| (shown.name.as_str(), &shown.made))));
        let dirty = sources.iter().filter(|source| source.commit.ends_with("-dirty"));
        let states = [State::Reproduced, State::Differs, State::Undecided, State::Shown, State::NotRun];
        let count = |state: State| {
            let of_items = items.iter().filter(|result| result.state == state).map(|result| result.item.figures + result.item.tables).sum();
            (state.name(), of_items, claims.iter().filter(|claim| claim.state == state).count() as u32)
        };
        Ok(ReportCard {
            mark: mark.to_owned(),
            date: date.chars().take(10).collect(),
            commit,
            rules: compare::RULES,
            problems,
            uncommitted: dirty.flat_map(|source| source.examples.clone()).collect(),
            sources,
            counts: states.into_iter().map(count).filter(|(_, items, claims)| items + claims > 0).collect(),
            figures: items.iter().map(|result| result.item.figures).sum(),
            tables: items.iter().map(|result| result.item.tables).sum(),
            luck: Luck::of(&items.iter().flat_map(|result| &result.quantiles).copied().collect::<Vec<_>>()),
            items,
            claims,
            beyond,
            beyond_shown,
            notes,
        })
    }

    /// How many of what, in a line.
    pub fn summary(&self) -> String {
        let count = |(name, items, claims): &(&str, u32, u32)| format!("{name}: {items} of the figures and tables, {claims} of the claims");
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
    fn names(&self, example: &str) -> Names {
        self.names.get(example).cloned().unwrap_or_default()
    }

    /// The points of an example's CSV; none if it is not there.
    fn points(&mut self, example: &str) -> Result<&[Point]> {
        if !self.points.contains_key(example) {
            let path = self.path(example, "csv");
            let points = if path.exists() { points::read_csv(&path)? } else { Vec::new() };
            self.points.insert(example.to_owned(), points);
        }
        Ok(&self.points[example])
    }

    /// What is written in a file of an example; nothing if it is not there.
    fn text(&self, example: &str, extension: &str) -> Result<String> {
        let path = self.path(example, extension);
        if !path.exists() {
            return Ok(String::new());
        }
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn path(&self, example: &str, extension: &str) -> PathBuf {
        self.plots.join(format!("{example}.{extension}"))
    }
}

impl ItemResult {
    fn read(item: Item, reported: &Reported, results: &mut Results) -> Result<ItemResult> {
        let (names, csv) = (results.names(&item.example), results.path(&item.example, "csv"));
        let has_points = matches!(item.compare, Compare::Curves | Compare::Plateau);
        let points = if has_points { results.points(&item.example)?.to_vec() } else { Vec::new() };
        let made = Made::read(&item.example, &points, &names, results)?;
        let comparisons = item.comparisons(&points, reported, &csv)?;
        let verdicts: Vec<Verdict> = comparisons.iter().map(Comparison::verdict).collect();
        let state = match (&made.picture, item.compare) {
            (None, _) => State::NotRun,
            (Some(_), Compare::Picture) => State::Shown,
            _ => State::of(&verdicts),
        };
        let experiment = made.picture.as_ref().map_or("", |picture| &picture.experiment);
        let reason = match state {
            State::NotRun => "no result yet".to_owned(),
            _ => what_is_open(&points, &verdicts, experiment, &names),
        };
        let rows: Vec<Row> = comparisons.iter().map(|comparison| Row::new(comparison, &names)).collect();
        let is_marked = state != State::Undecided && rows.iter().any(|row| row.verdict.ends_with('*'));
        let quantiles: Vec<f64> = comparisons.iter().filter_map(Comparison::quantile).collect();
        let (mark, sides) = (if is_marked { "*" } else { "" }, Sides::of(&quantiles));
        Ok(ItemResult { item, state, mark, reason, comparisons: rows, quantiles, sides, made })
    }
}

/// What `points` and `verdicts` lack of the report's.
fn what_is_open(points: &[Point], verdicts: &[Verdict], experiment: &str, names: &Names) -> String {
    let mut reasons = Vec::new();
    if points.iter().any(|point| point.origin == Origin::Reproduced && !is_report_data(&point.data)) {
        reasons.push("not the report's data, whole".to_owned());
    }
    let last = |variant: &str, origin| {
        let of = points.iter().filter(|point| point.origin == origin && variant_and_measure(&point.panel).0 == variant);
        of.map(|point| point.x).fold(0.0, f64::max)
    };
    let mut untrained = Vec::new();
    for variant in points::variants(points, Metric::Accuracy) {
        match (last(&variant, Origin::Reproduced), last(&variant, Origin::Reported)) {
            (0.0, _) => untrained.push(charts::name(&variant, names)),
            (ours, theirs) if ours < theirs => {
                let stopped = stopped_early(points, &variant, ours, experiment);
                let most = stopped.map(|most| format!("early stopping after epoch {ours} of at most {most}"));
                reasons.push(most.unwrap_or(format!("{ours} epochs, the report's run {theirs}")));
            }
            _ => {}
        }
    }
    if !untrained.is_empty() {
        reasons.push(format!("not trained: {}", untrained.join(", ")));
    }
    let count = |verdict| verdicts.iter().filter(|one| **one == verdict).count();
    match (count(Verdict::TooWide), verdicts.len()) {
        (0, _) => {}
        (_, 1) => reasons.push("too wide to tell".to_owned()),
        (wide, all) => reasons.push(format!("{wide} of {all} numbers too wide to tell")),
    }
    if count(Verdict::OneSeed) > 0 {
        reasons.push("one seed has no spread to judge by".to_owned());
    }
    reasons.join("; ")
}

/// The most epochs that `experiment` allows, if early stopping ended training at `last`: its patience after the least validation loss.
fn stopped_early(points: &[Point], variant: &str, last: f64, experiment: &str) -> Option<i64> {
    let training = toml::from_str::<toml::Table>(experiment).ok()?.remove("training")?;
    let patience = training.get("early_stopping")?.get("patience")?.as_integer()?;
    let loss = format!("{variant}_loss");
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

impl Row {
    fn new(comparison: &Comparison, names: &Names) -> Row {
        let [reported, reproduced, difference, detectable, verdict] = compare::words(comparison);
        let what = match comparison.variant.as_str() {
            "" => comparison.what.clone(),
            variant => format!("{}: {}", charts::name(variant, names), comparison.what),
        };
        let falls_at = comparison.quantile().map_or(String::new(), |quantile| format!("{:.0} %", 100.0 * quantile));
        Row { what, reported, reproduced, difference, detectable, falls_at, verdict }
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
            Sides::of(&quantiles).map(|sides| (sides.below, sides.probability))
        };
        assert_eq!(sides(11, 15), Some((11, "0.12".to_owned())));
        assert_eq!(sides(4, 15), Some((4, "0.12".to_owned())));
        assert_eq!(sides(4, 8), Some((4, "1.00".to_owned())));
        assert_eq!(sides(5, 5), None, "2 / 2^5 is above 5 %, however they fall");
    }

    #[test]
    fn a_run_that_early_stopping_ended_is_not_called_unfinished() {
        let point = |panel: &str, origin, x: f64, y: f64| Point {
            panel: panel.to_owned(),
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
        assert_eq!(said(42.0, experiment), "early stopping after epoch 82 of at most 100; not trained: B");
        assert_eq!(said(50.0, experiment), "82 epochs, the report's run 100; not trained: B");
        assert_eq!(said(42.0, "[training]\nepochs = 100"), "82 epochs, the report's run 100; not trained: B");
    }

    #[test]
    fn an_item_has_the_verdict_of_most_of_its_numbers() {
        use Verdict::{Differs, Equal, OneSeed, Reproduced, TooWide};
        assert_eq!(State::of(&[Equal, Reproduced, TooWide]), State::Reproduced);
        assert_eq!(State::of(&[Reproduced, TooWide]), State::Undecided);
        assert_eq!(State::of(&[Reproduced, Reproduced, Reproduced, OneSeed]), State::Undecided);
        assert_eq!(State::of(&[TooWide, OneSeed, Differs]), State::Differs);
        assert_eq!(State::of(&[]), State::Undecided);
    }
}
