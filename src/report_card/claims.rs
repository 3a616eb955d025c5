//! What the report's text claims, and where it is vague, with the numbers that bear on it.

use super::{Results, State};
use crate::compare::Comparison;
use crate::points::{Origin, is_report_data};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A value in an example's CSV.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    csv: String,
    panel: String,
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
        let find = |series: &str| {
            points.iter().find(|point| {
                let is_it = point.panel == self.panel && point.series == series && point.origin == self.origin && point.x == self.x;
                is_it && is_report_data(&point.data)
            })
        };
        let Some(found) = find(&self.series) else { return Ok(None) };
        let value = Value { mean: found.y, deviation: found.deviation, seeds: found.seeds.unwrap_or(1) };
        let Some(minus) = &self.minus else { return Ok(Some(value)) };
        // The deviation of a difference of two means does not follow from theirs.
        Ok(find(minus).map(|other| Value { mean: found.y - other.y, deviation: None, ..value }))
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Value { mean, deviation, seeds } = self;
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
    pub fn judge(self, results: &mut Results) -> Result<ClaimResult> {
        let mut look = |place: &Option<Place>| place.as_ref().map_or(Ok(None), |place| place.value(results));
        let (left, equals, above) = (look(&self.left)?, look(&self.equals)?, look(&self.above)?);
        let (state, found) = self.verdict(left, equals, above);
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
            return (greater(left, Value { mean: bound, deviation: None, seeds: 0 }), format!("{left}"));
        }
        let Some(number) = self.number else { return (State::NotRun, String::new()) };
        let Value { mean: reproduced, deviation, seeds } = left;
        let comparison = Comparison { what: String::new(), reported: number, resolution: self.resolution, reproduced, deviation, seeds };
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

    fn value(mean: f64, deviation: f64) -> Option<Value> {
        Some(Value { mean, deviation: Some(deviation), seeds: 3 })
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
        assert_eq!(number(Some(Value { mean: 0.12, deviation: None, seeds: 1 })), State::Undecided);
    }
}
