//! What the report's text claims, and where it is vague, with the numbers that bear on it.

use super::{Results, State};
use crate::compare::{self, Comparison};
use crate::points::{Origin, Panel, Point, is_report_data};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A value in an example's CSV.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    csv: String,
    panel: Panel,
    series: String,
    /// Another series of the same panel, to be subtracted.
    #[serde(default)]
    minus: Option<String>,
    #[serde(default = "ours")]
    origin: Origin,
    x: f64,
}

fn ours() -> Origin {
    Origin::Reproduced
}

/// What is found in a [`Place`]: a mean over seeds and their standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Value {
    mean: f64,
    deviation: Option<f64>,
    seeds: u32,
    /// Those of [`Comparison::images`].
    images: Option<[f64; 2]>,
}

/// A sentence of the report, as an inequality or a number. At most one of `equals`, `above`, `at_least` and `number`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    place: String,
    says: String,
    left: Option<Place>,
    equals: Option<Place>,
    above: Option<Place>,
    at_least: Option<f64>,
    number: Option<f64>,
    #[serde(default)]
    resolution: f64,
}

/// A claim with what we found.
#[derive(Debug, Serialize)]
pub struct ClaimResult {
    place: String,
    says: String,
    found: String,
    pub(super) state: State,
}

/// Where the report is wrong or vague.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    about: String,
    says: String,
    #[serde(default)]
    evidence: Vec<Evidence>,
}

/// A number for a note: one that is given as `text`, or that of a place.
#[derive(Debug, Deserialize)]
struct Evidence {
    name: String,
    text: Option<String>,
    #[serde(flatten)]
    place: Option<Place>,
}

/// A note with its numbers.
#[derive(Debug, Serialize)]
pub struct NoteResult {
    about: String,
    says: String,
    evidence: Vec<(String, String)>,
}

impl Place {
    /// None where there is no such result on the report's data, whole.
    fn value(&self, results: &mut Results) -> Result<Option<Value>> {
        let points = results.points(&self.csv)?;
        Ok(self.value_at(points, |point| point.x == self.x && is_report_data(&point.data)))
    }

    /// The last value of a curve that is shorter or of other data, and how it differs from what is asked for.
    fn value_so_far(&self, results: &mut Results) -> Result<Option<(Value, String)>> {
        let points = results.points(&self.csv)?;
        let of_curve = points.iter().filter(|point| self.has_curve_of(point, &self.series));
        let Some(last) = of_curve.max_by(|one, other| one.x.total_cmp(&other.x)) else { return Ok(None) };
        let value = self.value_at(points, |point| point.x == last.x && point.data == last.data);
        let shorter = (last.x != self.x).then(|| format!("at {} in place of {}", last.x, self.x));
        let other = (!is_report_data(&last.data)).then(|| format!("on {}", last.data));
        let how = shorter.into_iter().chain(other).collect::<Vec<_>>().join(", ");
        Ok(value.map(|value| (value, how)))
    }

    fn has_curve_of(&self, point: &Point, series: &str) -> bool {
        point.panel == self.panel && point.series == series && point.origin == self.origin
    }

    fn value_at(&self, points: &[Point], is_it: impl Fn(&Point) -> bool) -> Option<Value> {
        let find = |series: &str| points.iter().find(|point| self.has_curve_of(point, series) && is_it(point));
        let found = find(&self.series)?;
        let value = Value { mean: found.y, deviation: found.deviation, seeds: found.seeds.unwrap_or(1), images: compare::images(found) };
        let Some(minus) = &self.minus else { return Some(value) };
        // The deviation of a difference of two means does not follow from theirs.
        find(minus).map(|other| Value { mean: found.y - other.y, deviation: None, images: None, ..value })
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Value { mean, deviation, seeds, .. } = self;
        if mean.abs() < 1e-3 && *mean != 0.0 {
            return write!(formatter, "{mean:.2e}");
        }
        match deviation {
            Some(deviation) => write!(formatter, "{mean:.5} ± {deviation:.5} (n = {seeds})"),
            None => write!(formatter, "{mean:.5}"),
        }
    }
}

impl Claim {
    /// A result that is not whole is listed, but not judged.
    pub fn judge(self, results: &mut Results) -> Result<ClaimResult> {
        let mut missing = Vec::new();
        let mut value_at = |place: &Option<Place>| -> Result<Option<Value>> {
            let Some(place) = place else { return Ok(None) };
            if let Some(value) = place.value(results)? {
                return Ok(Some(value));
            }
            let (value, how) = place.value_so_far(results)?.unzip();
            missing.extend(how);
            Ok(value)
        };
        let (left, equals, above) = (value_at(&self.left)?, value_at(&self.equals)?, value_at(&self.above)?);
        let (mut state, mut found) = self.verdict(left, equals, above);
        missing.dedup();
        if !missing.is_empty() && !found.is_empty() {
            (state, found) = (State::Undecided, format!("{found}, {}", missing.join("; ")));
        }
        Ok(ClaimResult { place: self.place, says: self.says, found, state })
    }

    fn verdict(&self, left: Option<Value>, equals: Option<Value>, above: Option<Value>) -> (State, String) {
        let Some(left) = left else { return (State::NotRun, String::new()) };
        if let Some(right) = equals {
            let state = if left.mean == right.mean { State::Reproduced } else { State::Differs };
            return (state, format!("{left} and {right}"));
        }
        if let Some(right) = above {
            return (greater(left, right), format!("{left} against {right}"));
        }
        if let Some(bound) = self.at_least {
            return (greater(left, Value { mean: bound, deviation: None, seeds: 0, images: None }), format!("{left}"));
        }
        let Some(number) = self.number else { return (State::NotRun, String::new()) };
        let Value { mean: reproduced, deviation, seeds, images } = left;
        let (what, resolution) = (String::new(), self.resolution);
        let comparison = Comparison { what, reported: number, resolution, reproduced, deviation, seeds, images };
        (State::of(&[comparison.verdict()]), format!("{left}"))
    }
}

/// Whether a mean is above another by more than the deviations of both together; undecided in between.
fn greater(left: Value, right: Value) -> State {
    let (difference, spread) = (left.mean - right.mean, left.deviation.unwrap_or(0.0) + right.deviation.unwrap_or(0.0));
    match difference {
        _ if difference > spread => State::Reproduced,
        _ if difference < -spread => State::Differs,
        _ => State::Undecided,
    }
}

impl Note {
    pub fn show(self, results: &mut Results) -> Result<NoteResult> {
        let mut evidence = Vec::new();
        for Evidence { name, text, place } in self.evidence {
            let value = place.map_or(Ok(None), |place| place.value(results))?.map(|value| value.to_string());
            evidence.push((name, text.or(value).unwrap_or("not run".to_owned())));
        }
        Ok(NoteResult { about: self.about, says: self.says, evidence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Quantity;

    fn value(mean: f64, deviation: f64) -> Option<Value> {
        Some(Value { mean, deviation: Some(deviation), seeds: 3, images: None })
    }

    fn claim(rest: &str) -> Claim {
        toml::from_str(&format!("place = ''\nsays = ''\n{rest}")).expect("a claim")
    }

    #[test]
    fn a_claim_holds_where_the_difference_is_larger_than_the_spread() {
        let above = |left, right| claim("").verdict(left, None, right).0;
        assert_eq!(above(value(0.98, 0.001), value(0.97, 0.001)), State::Reproduced);
        assert_eq!(above(value(0.97, 0.001), value(0.98, 0.001)), State::Differs);
        assert_eq!(above(value(0.98, 0.006), value(0.97, 0.006)), State::Undecided);
        assert_eq!(above(None, value(0.97, 0.0)), State::NotRun);
        let at_least = |left| claim("at_least = 0.97").verdict(left, None, None).0;
        assert_eq!((at_least(value(0.971, 0.0)), at_least(value(0.969, 0.0))), (State::Reproduced, State::Differs));
        let equals = |left| claim("").verdict(left, value(0.1, 0.0), None).0;
        assert_eq!((equals(value(0.1, 0.0)), equals(value(0.11, 0.0))), (State::Reproduced, State::Differs));
    }

    #[test]
    fn a_number_is_judged_by_the_rule_of_all_numbers() {
        let number = |left| claim("number = 0.1\nresolution = 0.005").verdict(left, None, None).0;
        assert_eq!((number(value(0.104, 0.0)), number(value(0.1136, 0.0))), (State::Reproduced, State::Differs));
        let one_seed = |images| number(Some(Value { mean: 0.12, deviation: None, seeds: 1, images }));
        assert_eq!((one_seed(None), one_seed(Some([1_000.0, 1_000.0]))), (State::Undecided, State::Reproduced));
    }

    #[test]
    fn a_shorter_result_is_listed_but_not_judged() -> Result<()> {
        let point = |panel: &str, x: f64, y: f64, data: &str| Point {
            panel: Panel::new(panel, Quantity::Accuracy),
            series: "validation".to_owned(),
            origin: Origin::Reproduced,
            x,
            y,
            deviation: None,
            resolution: None,
            seeds: Some(1),
            data: data.to_owned(),
            device: String::new(),
        };
        let judged = |deep: Point| {
            let points =
                vec![point("plain", 99.0, 0.1, "MNIST"), point("plain", 100.0, 0.9, "MNIST"), point("deep", 1.0, 0.2, "MNIST"), deep];
            let points = [("tuned".to_owned(), points)].into();
            let place = |panel: &str| format!("{{ csv = 'tuned', panel = '{panel}_accuracy', series = 'validation', x = 100 }}");
            let ours = claim(&format!("left = {}\nabove = {}", place("plain"), place("deep")));
            ours.judge(&mut Results { plots: std::path::Path::new(""), points }).map(|result| (result.state, result.found))
        };
        let whole = judged(point("deep", 100.0, 0.8, "MNIST"))?;
        assert_eq!(whole, (State::Reproduced, "0.90000 against 0.80000".to_owned()));
        let shorter = "0.90000 against 0.80000, at 6 in place of 100";
        assert_eq!(judged(point("deep", 6.0, 0.8, "MNIST"))?, (State::Undecided, shorter.to_owned()));
        let limited = "MNIST, first 2000 training examples";
        let fewer = format!("0.90000 against 0.80000, on {limited}");
        assert_eq!(judged(point("deep", 100.0, 0.8, limited))?, (State::Undecided, fewer));
        assert_eq!(judged(point("other", 100.0, 0.8, "MNIST"))?.1, "0.90000 against 0.20000, at 1 in place of 100");
        Ok(())
    }
}
