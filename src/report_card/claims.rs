//! The claims of the report's text, and notes on where it is vague, with the numbers that bear on them.

use super::{Results, State};
use crate::compare::{Comparison, difference_in_words, in_words, mark, scale_and_unit};
use crate::points::{Origin, Panel, Point, is_report_data};
use serde::{Deserialize, Serialize};

/// A value in an example's CSV.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    csv: String,
    panel: Panel,
    series: String,
    /// Another series of the same panel, to be subtracted.
    minus: Option<String>,
    #[serde(default)]
    origin: Origin,
    x: f64,
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

#[derive(Debug, Default, Serialize)]
pub(super) struct ClaimResult {
    place: String,
    says: String,
    found: String,
    /// The smallest difference that would have been seen.
    detectable: String,
    pub(super) state: State,
    /// Of a verdict from few seeds.
    mark: &'static str,
}

/// Something about the report in a sentence, with the numbers that show it. `{name}` in it stands for the number of that name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    about: String,
    says: String,
    /// The example whose picture goes with it.
    #[serde(default)]
    picture: String,
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

#[derive(Debug, Serialize)]
pub(super) struct NoteResult {
    about: String,
    says: String,
    picture: String,
    /// Those that the sentence does not name.
    evidence: Vec<(String, String)>,
}

impl Place {
    /// The point of this place; where there is none on the report's data, whole, the last of its curve, and how that differs from what is
    /// asked for.
    fn find(&self, results: &Results) -> Option<(Point, String)> {
        let curve = |series: &str| -> Vec<&Point> {
            let is_of = |point: &&Point| point.panel == self.panel && point.series == series && point.origin == self.origin;
            results.points(&self.csv).iter().filter(is_of).collect()
        };
        let ours = curve(&self.series);
        let asked = ours.iter().find(|point| point.x == self.x && is_report_data(&point.data));
        let found = *asked.or(ours.iter().max_by(|one, other| one.x.total_cmp(&other.x)))?;
        let shorter = (found.x != self.x).then(|| format!("at {} in place of {}", found.x, self.x));
        let other = (!is_report_data(&found.data)).then(|| format!("on {}", found.data));
        let how = shorter.into_iter().chain(other).collect::<Vec<_>>().join(", ");
        let Some(minus) = &self.minus else { return Some((found.clone(), how)) };
        let other = curve(minus).into_iter().find(|point| point.x == found.x && point.data == found.data)?;
        let panel = Panel { quantity: found.panel.quantity.gap(), ..found.panel.clone() };
        // The deviation of a difference of two means does not follow from theirs.
        Some((Point { panel, y: found.y - other.y, deviation: None, ..found.clone() }, how))
    }
}

fn decimals(panel: &Panel) -> usize {
    if scale_and_unit(panel.quantity).0 == 100.0 { 2 } else { 4 }
}

fn said(point: &Point) -> String {
    in_words(point, decimals(&point.panel))
}

impl Claim {
    /// A result that is not whole is listed, but not judged.
    pub fn judge(self, results: &Results) -> ClaimResult {
        let mut missing = Vec::new();
        let mut find = |place: &Option<Place>| {
            let (point, how) = place.as_ref()?.find(results)?;
            missing.extend(Some(how).filter(|how| !how.is_empty()));
            Some(point)
        };
        let (left, equals, above) = (find(&self.left), find(&self.equals), find(&self.above));
        let mut result = left.map_or_else(ClaimResult::default, |left| self.verdict(&left, equals, above));
        missing.dedup();
        if !missing.is_empty() && !result.found.is_empty() {
            let found = format!("{}, {}", result.found, missing.join("; "));
            result = ClaimResult { state: State::Undecided, found, ..ClaimResult::default() };
        }
        ClaimResult { place: self.place, says: self.says, ..result }
    }

    fn verdict(&self, left: &Point, equals: Option<Point>, above: Option<Point>) -> ClaimResult {
        let bound = self.at_least.map(|y| Point { panel: left.panel.clone(), y, seeds: Some(0), ..Point::default() });
        let right = equals.as_ref().or(above.as_ref()).or(bound.as_ref());
        let found = right.map_or_else(|| said(left), |right| format!("{}, against {}", said(left), said(right)));
        let (state, detectable) = match (right, self.number) {
            (Some(right), _) if equals.is_some() => (if left.y == right.y { State::Reproduced } else { State::Differs }, None),
            (Some(right), _) => greater(left, right),
            (None, Some(number)) => {
                let comparison = Comparison::new(String::new(), number, self.resolution, left);
                (State::of(&[comparison.verdict()]), comparison.half_width())
            }
            (None, None) => return ClaimResult::default(),
        };
        // Where both are the report's own, there are no seeds of ours.
        let of_us = [Some(left), right].into_iter().flatten().filter(|point| point.origin == Origin::Reproduced);
        let fewest = of_us.filter_map(|point| point.seeds).filter(|seeds| *seeds > 0).min().unwrap_or(0);
        ClaimResult {
            found,
            detectable: difference_in_words(detectable, left.panel.quantity, decimals(&left.panel)),
            state,
            mark: if state == State::Undecided { "" } else { mark(fewest) },
            ..ClaimResult::default()
        }
    }
}

/// Whether a mean is above another by more than the deviations of both together, which are the second of the pair; undecided in between.
fn greater(left: &Point, right: &Point) -> (State, Option<f64>) {
    let (difference, spread) = (left.y - right.y, left.deviation.unwrap_or(0.0) + right.deviation.unwrap_or(0.0));
    let state = match difference {
        _ if difference > spread => State::Reproduced,
        _ if difference < -spread => State::Differs,
        _ => State::Undecided,
    };
    (state, (spread > 0.0).then_some(spread))
}

impl Note {
    pub fn show(self, results: &Results) -> NoteResult {
        let Note { about, mut says, picture, evidence } = self;
        let mut shown = Vec::new();
        for Evidence { name, text, place } in evidence {
            let whole = place.and_then(|place| place.find(results)).filter(|(_, how)| how.is_empty());
            let value = text.or(whole.map(|(point, _)| said(&point)));
            let placeholder = format!("{{{name}}}");
            match value {
                Some(value) if says.contains(&placeholder) => says = says.replace(&placeholder, &value),
                None if says.contains(&placeholder) => says = "No result yet that is whole and on the report's data.".to_owned(),
                value => shown.push((name, value.unwrap_or("not run".to_owned()))),
            }
        }
        NoteResult { about, says, picture, evidence: shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::Quantity;

    fn value(y: f64, deviation: f64) -> Point {
        Point { y, deviation: Some(deviation), seeds: Some(3), ..Point::default() }
    }

    fn claim(rest: &str) -> Claim {
        toml::from_str(&format!("place = ''\nsays = ''\n{rest}")).expect("a claim")
    }

    #[test]
    fn a_claim_holds_where_the_difference_is_larger_than_the_spread() {
        let above = |left, right| claim("").verdict(&left, None, Some(right)).state;
        assert_eq!(above(value(0.98, 0.001), value(0.97, 0.001)), State::Reproduced);
        assert_eq!(above(value(0.97, 0.001), value(0.98, 0.001)), State::Differs);
        assert_eq!(above(value(0.98, 0.006), value(0.97, 0.006)), State::Undecided);
        let at_least = |left| claim("at_least = 0.97").verdict(&left, None, None).state;
        assert_eq!((at_least(value(0.971, 0.0)), at_least(value(0.969, 0.0))), (State::Reproduced, State::Differs));
        let equals = |left| claim("").verdict(&left, Some(value(0.1, 0.0)), None).state;
        assert_eq!((equals(value(0.1, 0.0)), equals(value(0.11, 0.0))), (State::Reproduced, State::Differs));
    }

    #[test]
    fn a_number_is_judged_by_the_rule_of_all_numbers() {
        let number = |left| claim("number = 0.1\nresolution = 0.005").verdict(&left, None, None).state;
        assert_eq!((number(value(0.104, 0.0)), number(value(0.1136, 0.0))), (State::Reproduced, State::Differs));
        assert_eq!(number(value(0.11, 0.03)), State::Undecided, "too wide to tell");
        let one_seed = |text: &str| {
            let point = format!("origin = 'reproduced'\nx = 1.0\ny = 0.112\nseeds = 1\nseries = 'validation'\ndevice = ''\n{text}");
            number(toml::from_str(&point).expect("a point"))
        };
        assert_eq!(one_seed("panel = 'vgg_loss'\ndata = 'MNIST'"), State::Undecided);
        let images = "panel = 'vgg_accuracy'\ndata = 'cats and dogs, 19998 + 4999 images'";
        assert_eq!((one_seed(images), one_seed(&images.replace("4999", "4998"))), (State::Reproduced, State::Undecided));
    }

    #[test]
    fn a_claim_says_what_it_could_have_seen_and_from_how_few_seeds() {
        let accuracy =
            |y, deviation, seeds| Point { panel: Panel::new("cnn", Quantity::Accuracy), seeds: Some(seeds), ..value(y, deviation) };
        let ClaimResult { found, detectable, mark, .. } =
            claim("").verdict(&accuracy(0.98, 0.001, 5), None, Some(accuracy(0.97, 0.002, 4)));
        assert_eq!(found, "98.00 ± 0.10 % (n = 5), against 97.00 ± 0.20 % (n = 4)");
        assert_eq!((detectable.as_str(), mark), ("0.30 points", "*"));
        assert_eq!(claim("at_least = 0.97").verdict(&accuracy(0.98, 0.001, 5), None, None).mark, "");
        let reported = |y| Point { origin: Origin::Reported, seeds: Some(1), ..accuracy(y, 0.0, 1) };
        assert_eq!(claim("").verdict(&reported(0.9), None, Some(reported(0.8))).mark, "", "the report's own");
    }

    #[test]
    fn a_shorter_result_is_listed_but_not_judged() {
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
            let result = ours.judge(&Results { plots: std::path::Path::new(""), names: [].into(), points });
            (result.state, result.found)
        };
        let whole = judged(point("deep", 100.0, 0.8, "MNIST"));
        assert_eq!(whole, (State::Reproduced, "90.00 % (n = 1), against 80.00 % (n = 1)".to_owned()));
        let shorter = "90.00 % (n = 1), against 80.00 % (n = 1), at 6 in place of 100";
        assert_eq!(judged(point("deep", 6.0, 0.8, "MNIST")), (State::Undecided, shorter.to_owned()));
        let limited = "MNIST, first 2000 training examples";
        let fewer = format!("90.00 % (n = 1), against 80.00 % (n = 1), on {limited}");
        assert_eq!(judged(point("deep", 100.0, 0.8, limited)), (State::Undecided, fewer));
        assert_eq!(judged(point("other", 100.0, 0.8, "MNIST")).1, "90.00 % (n = 1), against 20.00 % (n = 1), at 1 in place of 100");
    }
}
