//! The report and this crate side by side: every figure and table, every claim of the text, where the report is vague, and what goes
//! beyond it.
//!
//! What is set beside what is written in `experiments/report_card.toml`; every number comes from the CSVs of `plots/` and from the report's.

mod beyond;
mod charts;
mod claims;
mod page;
mod picture;

pub use beyond::BeyondResult;
pub use charts::Chart;
pub use claims::{ClaimResult, NoteResult};

use crate::compare::{self, Comparison, Verdict};
use crate::files::write_whole;
use crate::points::{self, Origin, Panel, Point, is_report_data};
use crate::reported::Reported;
use crate::table::{LayerRow, read_layers};
use anyhow::{Context, Result};
use picture::Picture;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `experiments/report_card.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    item: Vec<Item>,
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
    /// Panels whose axes are logarithmic.
    #[serde(default)]
    logarithmic: Vec<Panel>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Reproduced,
    Differs,
    /// There is a result that does not suffice for a verdict: one seed, fewer epochs, other data, or a spread larger than the difference.
    Undecided,
    /// A picture, which has no number.
    Shown,
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

    fn of(verdicts: &[Verdict]) -> State {
        match verdicts {
            [] => State::Undecided,
            all if all.contains(&Verdict::Differs) => State::Differs,
            all if all.contains(&Verdict::OneSeed) => State::Undecided,
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
    /// Why there is no verdict, where there is none.
    reason: String,
    comparisons: Vec<Row>,
    #[serde(skip)]
    quantiles: Vec<f64>,
    charts: Vec<Chart>,
    picture: Option<Picture>,
    data: String,
    device: String,
    seeds: String,
}

/// One number of the report beside ours, as words.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    reported: String,
    reproduced: String,
    difference: String,
    allowed: String,
    /// Where the reported run falls among ours, in per cent.
    falls_at: String,
    verdict: String,
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
    rule: &'static str,
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
        let Contents { item, beyond, claim, note } = Contents::read(experiments)?;
        let reported = Reported::read(experiments)?;
        let mut results = Results { plots, points: BTreeMap::new() };
        let items = item.into_iter().map(|item| ItemResult::read(item, &reported, &mut results)).collect::<Result<Vec<_>>>()?;
        let claims = claim.into_iter().map(|claim| claim.judge(&mut results)).collect::<Result<Vec<_>>>()?;
        let is_item = |name: &str| items.iter().any(|result| result.item.example == name);
        let beyond_shown = beyond::shown(&beyond, is_item, &mut results)?;
        let beyond = beyond.iter().map(|entry| entry.judge(&mut results)).collect::<Result<Vec<_>>>()?;
        let notes = note.into_iter().map(|note| note.show(&mut results)).collect::<Result<Vec<_>>>()?;
        let states = [State::Reproduced, State::Differs, State::Undecided, State::Shown, State::NotRun];
        let count = |state: State| {
            let of_items = items.iter().filter(|result| result.state == state).map(|result| result.item.figures + result.item.tables).sum();
            (state.name(), of_items, claims.iter().filter(|claim| claim.state == state).count() as u32)
        };
        Ok(ReportCard {
            mark: mark.to_owned(),
            date: date.chars().take(10).collect(),
            commit,
            rule: compare::RULE,
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

    /// Writes `<folder>/report_card.md` and `<folder>/report_card.html`, which needs no other file; their paths.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 2]> {
        let paths = ["md", "html"].map(|extension| folder.join("report_card").with_extension(extension));
        write_whole(&paths[0], page::markdown(self)?.as_bytes())?;
        write_whole(&paths[1], page::html(self)?.as_bytes())?;
        Ok(paths)
    }
}

impl Results<'_> {
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
        let [picture, csv] = ["png", "csv"].map(|extension| results.path(&item.example, extension));
        let picture = Picture::read(&picture)?;
        let has_points = matches!(item.compare, Compare::Curves | Compare::Plateau);
        let points = if has_points { results.points(&item.example)? } else { &[] };
        let comparisons = item.comparisons(points, reported, &csv)?;
        let verdicts: Vec<Verdict> = comparisons.iter().map(Comparison::verdict).collect();
        let state = match (&picture, item.compare) {
            (None, _) => State::NotRun,
            (Some(_), Compare::Picture) => State::Shown,
            _ => State::of(&verdicts),
        };
        let reason = match state {
            State::NotRun => "no result yet".to_owned(),
            State::Undecided => why_undecided(points, &verdicts),
            _ => String::new(),
        };
        let charts = charts::of(points, &item.logarithmic);
        let (data, device, seeds) = (
            distinct(points, |point| point.data.clone()),
            distinct(points, |point| point.device.clone()),
            distinct(points, |point| point.seeds.map_or(String::new(), |seeds| seeds.to_string())),
        );
        let rows = comparisons.iter().map(Row::new).collect();
        let quantiles = comparisons.iter().filter_map(Comparison::quantile).collect();
        Ok(ItemResult { item, state, reason, comparisons: rows, quantiles, charts, picture, data, device, seeds })
    }
}

/// What `field` says of our points, each answer once.
fn distinct(points: &[Point], field: fn(&Point) -> String) -> String {
    let mut all: Vec<String> = points.iter().filter(|point| point.origin == Origin::Reproduced).map(field).collect();
    all.sort();
    all.dedup();
    all.join(" / ")
}

/// Why `verdicts` on `points` are none.
fn why_undecided(points: &[Point], verdicts: &[Verdict]) -> String {
    let of = |origin: Origin| points.iter().filter(move |point| point.origin == origin);
    let last = |origin| of(origin).map(|point| point.x).fold(0.0, f64::max);
    let (ours, theirs) = (last(Origin::Reproduced), last(Origin::Reported));
    let mut reasons = Vec::new();
    if of(Origin::Reproduced).any(|point| !is_report_data(&point.data)) {
        reasons.push("not the report's data, whole".to_owned());
    } else if ours < theirs {
        reasons.push(format!("{ours} of {theirs} epochs"));
    }
    if verdicts.contains(&Verdict::OneSeed) {
        reasons.push("one seed has no spread to judge by".to_owned());
    }
    reasons.join("; ")
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
    fn new(comparison: &Comparison) -> Row {
        let [what, reported, reproduced, difference, allowed, verdict] = compare::words(comparison);
        let falls_at = comparison.quantile().map_or(String::new(), |quantile| format!("{:.0} %", 100.0 * quantile));
        Row { what, reported, reproduced, difference, allowed, falls_at, verdict }
    }
}
