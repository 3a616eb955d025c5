//! Networks that go further than the report with the means of the report: what they aim at, and how far they get.

use super::made::Made;
use super::{Results, State};
use crate::compare::{in_words, mark};
use crate::history::Split;
use crate::points::{Origin, Panel, Point, is_report_data, with_deviation};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A network with its aim; without one a picture, and the tables beside it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Beyond {
    pub what: String,
    pub(super) example: String,
    aim: Option<Aim>,
    report: Option<Reported>,
    command: String,
    /// Duration of the whole run on two cores; without it `--all` leaves the example out.
    pub(super) minutes: Option<f64>,
}

/// The accuracy that the mean of our last point is to reach, and where that is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Aim {
    accuracy: f64,
    panel: Panel,
    series: Split,
    /// Where the seconds of training stand, in the series `train`.
    seconds_panel: Option<Panel>,
}

/// The report's accuracy, and its place in the report.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Reported {
    accuracy: f64,
    place: String,
}

/// Tolerance for rounding of a mean; one image more or less in one of the runs is far more.
const ROUNDING: f64 = 1e-9;

/// An aim with our number, as words.
#[derive(Debug, Serialize)]
pub struct BeyondResult {
    #[serde(flatten)]
    pub entry: Beyond,
    ours: String,
    pub state: State,
    mark: &'static str,
    /// By how much it is short, or why there is no verdict.
    pub reason: String,
}

impl Beyond {
    pub(super) fn judge(self, results: &Results) -> BeyondResult {
        let points = results.points(&self.example);
        let found = self.aim.as_ref().and_then(|aim| Some((aim, last(points, &aim.panel, aim.series)?)));
        let Some((aim, found)) = found else {
            let is_shown = self.aim.is_none() && results.path(&self.example, "png").exists();
            let state = if is_shown { State::Shown } else { State::NotRun };
            return BeyondResult { entry: self, ours: String::new(), state, mark: "", reason: String::new() };
        };
        let seconds = aim.seconds_panel.as_ref().and_then(|panel| last(points, panel, Split::Train));
        let seconds = seconds.map(|point| format!(", {} s", with_deviation(point.y, point.deviation, 1)));
        let plural = if found.x == 1.0 { "" } else { "s" };
        let ours = format!("{} after {} epoch{plural}{}", in_words(found, 2), found.x, seconds.unwrap_or_default());
        let (state, reason) = match aim.accuracy - found.y {
            _ if !is_report_data(&found.data) => (State::Undecided, format!("on {}", found.data)),
            lacking if lacking <= ROUNDING => (State::Reached, String::new()),
            lacking => (State::Short, format!("by {:.3} points", 100.0 * lacking)),
        };
        let mark = if state == State::Undecided { "" } else { mark(found.seeds.unwrap_or(1)) };
        BeyondResult { entry: self, ours, state, mark, reason }
    }
}

/// The last point of our curve.
fn last<'a>(points: &'a [Point], panel: &Panel, series: Split) -> Option<&'a Point> {
    let is_ours = |point: &&Point| point.origin == Origin::Reproduced && point.panel == *panel && point.series == series.name();
    points.iter().filter(is_ours).max_by(|one, other| one.x.total_cmp(&other.x))
}

/// Pictures, curves and tables of `entries`, once for each example, unless an item shows them.
pub(super) fn shown(entries: &[Beyond], is_item: impl Fn(&str) -> bool, results: &Results) -> Result<Vec<Made>> {
    let mut all: Vec<Made> = Vec::new();
    for Beyond { example, .. } in entries {
        if !is_item(example) && !all.iter().any(|earlier| earlier.example == *example) {
            let has_tables = entries.iter().any(|other| other.example == *example && other.aim.is_none());
            all.push(Made::read(example, has_tables, results)?);
        }
    }
    all.retain(|made| !made.is_empty());
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::to_csv;
    use crate::report_card::{Contents, ReportCard};
    use crate::reported::Reported;
    use std::path::Path;

    const ENTRY: &str = "what = 'a'\nexample = 'tuned'\ncommand = 'run'\n\
         aim.panel = 'plain_accuracy'\naim.series = 'test'\naim.accuracy = 0.986\n";

    fn point(panel: &str, series: &str, x: f64, y: f64) -> Point {
        Point {
            panel: Panel::try_from(panel.to_owned()).expect(panel),
            series: series.to_owned(),
            origin: Origin::Reproduced,
            x,
            y,
            deviation: Some(0.0004),
            resolution: None,
            seeds: Some(3),
            data: "MNIST".to_owned(),
            device: String::new(),
        }
    }

    /// The card of these points in tuned.csv, or of none, and of `entries`.
    fn card(entries: &str, points: Option<&[Point]>, others: &[(&str, &str)]) -> Result<ReportCard> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("report_card.toml"), format!("item = []\n{entries}"))?;
        std::fs::write(folder.path().join("reported.toml"), "number = []\nepochs_from_zero = []\nreading_error = {}")?;
        if let Some(points) = points {
            std::fs::write(folder.path().join("tuned.csv"), to_csv(points)?)?;
        }
        for (name, text) in others {
            std::fs::write(folder.path().join(name), text)?;
        }
        ReportCard::read(folder.path(), folder.path(), String::new(), String::new(), "")
    }

    /// State, our number and reason of the first of `entries`.
    fn judged(entries: &str, points: Option<&[Point]>) -> Result<(State, String, String)> {
        let first = card(entries, points, &[])?.beyond.remove(0);
        Ok((first.state, first.ours, first.reason))
    }

    fn one(rest: &str, points: &[Point]) -> Result<(State, String, String)> {
        judged(&format!("[[beyond]]\n{ENTRY}{rest}"), Some(points))
    }

    fn is(state: State, ours: &str, reason: &str) -> (State, String, String) {
        (state, ours.to_owned(), reason.to_owned())
    }

    #[test]
    fn an_aim_is_reached_where_the_last_mean_is_at_least_it() -> Result<()> {
        let curve = |last: f64| [point("plain_accuracy", "test", 60.0, last), point("plain_accuracy", "test", 59.0, 0.99)];
        assert_eq!(one("", &curve(0.9865))?, is(State::Reached, "98.65 ± 0.04 % (n = 3) after 60 epochs", ""));
        assert_eq!(one("", &curve(0.986))?.0, State::Reached);
        assert_eq!(one("", &curve((0.985 + 0.986 + 0.987) / 3.0 - 1e-16))?.0, State::Reached, "but for rounding");
        assert_eq!(one("", &curve(0.985_97))?, is(State::Short, "98.60 ± 0.04 % (n = 3) after 60 epochs", "by 0.003 points"));
        let alone = Point { deviation: None, seeds: Some(1), ..point("plain_accuracy", "test", 1.0, 0.99) };
        assert_eq!(one("", &[alone])?, is(State::Reached, "99.00 % (n = 1) after 1 epoch", ""));
        Ok(())
    }

    #[test]
    fn other_data_than_the_reports_reach_nothing() -> Result<()> {
        let data = "MNIST, first 2000 training examples".to_owned();
        let limited = Point { data, ..point("plain_accuracy", "test", 60.0, 0.999) };
        let (state, ours, reason) = one("", &[point("plain_accuracy", "test", 59.0, 0.99), limited])?;
        assert_eq!((state, reason.as_str()), (State::Undecided, "on MNIST, first 2000 training examples"));
        assert_eq!(ours, "99.90 ± 0.04 % (n = 3) after 60 epochs");
        Ok(())
    }

    #[test]
    fn what_has_no_point_of_ours_is_not_run() -> Result<()> {
        let not_run = is(State::NotRun, "", "");
        assert_eq!(judged(&format!("[[beyond]]\n{ENTRY}"), None)?, not_run, "no CSV");
        let theirs = Point { origin: Origin::Reported, ..point("plain_accuracy", "test", 60.0, 0.99) };
        for point in [point("augmented_accuracy", "test", 60.0, 0.99), point("plain_accuracy", "train", 60.0, 0.99), theirs] {
            assert_eq!(one("", std::slice::from_ref(&point))?, not_run, "{point:?}");
        }
        Ok(())
    }

    #[test]
    fn seconds_are_told_where_they_are_known() -> Result<()> {
        let accuracy = point("plain_accuracy", "test", 2.0, 0.99);
        let seconds = |series: &str| Point { deviation: Some(0.25), ..point("plain_seconds", series, 2.0, 12.34) };
        let ours =
            |series: &str| Ok::<_, anyhow::Error>(one("aim.seconds_panel = 'plain_seconds'", &[accuracy.clone(), seconds(series)])?.1);
        assert_eq!(ours("train")?, "99.00 ± 0.04 % (n = 3) after 2 epochs, 12.3 ± 0.2 s");
        assert_eq!(ours("test")?, "99.00 ± 0.04 % (n = 3) after 2 epochs");
        Ok(())
    }

    #[test]
    fn the_page_shows_each_aim_and_each_csv_once() -> Result<()> {
        let other = ENTRY.replace("'a'", "'b'").replace("plain", "augmented");
        let picture = "[[beyond]]\nwhat = 'c'\nexample = 'left_out'\ncommand = 'run'\n";
        let entries = format!("[[beyond]]\n{ENTRY}report.accuracy = 0.9733\nreport.place = 'Table 2, best'\n[[beyond]]\n{other}{picture}");
        let points = [point("plain_accuracy", "test", 60.0, 0.98), point("augmented_accuracy", "test", 60.0, 0.99)];
        let card = card(&entries, Some(&points), &[("left_out.md", "### Left out\n\n| <b> |\n"), ("left_out.csv", "rows\n1\n")])?;
        let (markdown, html) = (super::super::page::markdown(&card)?, super::super::page::html(&card)?);
        let number = "98.00 ± 0.04 % (n = 3) after 60 epochs";
        assert!(
            markdown.contains(&format!("\n| a | 97.33 % (Table 2, best) | 98.6 % | {number} | short*: by 0.600 points | `run` |\n| b | ")),
            "{markdown}"
        );
        assert!(
            markdown.contains("\n| c |  |  |  | not run | `run` |\n") && markdown.contains("\n### Left out\n\n| <b> |\n"),
            "{markdown}"
        );
        assert_eq!((markdown.matches("\n### tuned\n").count(), html.matches("data-of=\"tuned\"").count()), (1, 1));
        assert!(
            html.contains("<span class=\"state short\">short*</span> by 0.600 points") && html.contains("<td>&lt;b&gt;</td>"),
            "{html}"
        );
        Ok(())
    }

    #[test]
    fn half_an_entry_is_refused_by_its_name() {
        let error = |entry: &str| format!("{:#}", card(&format!("[[beyond]]\n{entry}"), None, &[]).expect_err("half an entry"));
        for left_out in ["aim.panel = 'plain_accuracy'\n", "aim.series = 'test'\n", "aim.accuracy = 0.986\n"] {
            let (error, field) = (error(&ENTRY.replace(left_out, "")), &left_out[4..left_out.find(' ').expect("a key")]);
            assert!(error.contains(&format!("missing field `{field}`")) && error.contains("report_card.toml"), "{left_out}: {error}");
        }
        assert!(error(&format!("{ENTRY}report.accuracy = 0.9")).contains("missing field `place`"));
        let picture = "what = 'c'\nexample = 'left_out'\ncommand = 'run'\naim.seconds_panel = 'plain_seconds'";
        assert!(error(picture).contains("missing field `accuracy`"));
    }

    #[test]
    fn what_is_run_is_run_once_the_cheapest_first() -> Result<()> {
        let item = "[[item]]\nreport = 'Figure 1'\nwhat = ''\nexample = 'first'\ncompare = 'curves'\nminutes = 5\n";
        let beyond = |example: &str, rest: &str| format!("[[beyond]]\n{ENTRY}{rest}").replace("tuned", example);
        let entries =
            [beyond("tuned", "minutes = 3"), beyond("tuned", ""), beyond("first", "minutes = 1"), beyond("by_hand", "")].join("\n");
        let contents: Contents = toml::from_str(&format!("{item}{entries}"))?;
        let programs: Vec<_> = contents.programs().into_iter().map(|program| (program.example, program.of, program.minutes)).collect();
        let program = |example: &str, of: &str, minutes: f64| (example.to_owned(), of.to_owned(), minutes);
        assert_eq!(programs, [program("tuned", "Beyond the report", 3.0), program("first", "Figure 1", 5.0)]);
        Ok(())
    }

    /// The numbers of the committed entries are those of `reported.toml`, or the best of a published curve.
    #[test]
    fn the_reports_numbers_are_the_reports() -> Result<()> {
        let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let reported = Reported::read(&experiments)?;
        let mut looked_up = 0;
        for Beyond { report, .. } in Contents::read(&experiments)?.beyond {
            let Some(super::Reported { accuracy: report, place }) = report else { continue };
            if place == "Figure 14, validation, best epoch" {
                let curve = reported.figure(14)?.over(&[], "main_accuracy", &Panel::default())?;
                let accuracies = curve.iter().filter(|point| point.series == "validation").map(|point| point.y);
                assert_eq!(accuracies.fold(0.0, f64::max), report, "{place}");
            } else {
                assert_eq!(reported.number(&place)?.test, Some(report), "{place}");
            }
            looked_up += 1;
        }
        assert!(looked_up >= 5, "{looked_up} numbers were looked up");
        Ok(())
    }
}
