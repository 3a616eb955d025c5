//! Curves for a page that draws them: one table of numbers for each panel.

use crate::points::{Origin, Panel, Point};
use serde::Serialize;

/// A panel: x, and for each series a value (and a deviation) at each x, null where it has none.
#[derive(Debug, PartialEq, Serialize)]
pub struct Chart {
    title: String,
    /// What x is.
    abscissa: &'static str,
    is_logarithmic: bool,
    x: Vec<f64>,
    series: Vec<Series>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Series {
    name: String,
    origin: Origin,
    y: Vec<Option<f64>>,
    deviation: Vec<Option<f64>>,
}

/// The panels of `points`, in their order, but for those of single seeds.
pub(super) fn of(points: &[Point], logarithmic: &[Panel]) -> Vec<Chart> {
    let mut panels: Vec<&Panel> = Vec::new();
    for point in points.iter().filter(|point| point.panel.seed.is_none()) {
        if !panels.contains(&&point.panel) {
            panels.push(&point.panel);
        }
    }
    panels.into_iter().map(|panel| chart(panel, points, logarithmic)).collect()
}

fn chart(panel: &Panel, points: &[Point], logarithmic: &[Panel]) -> Chart {
    let inside: Vec<&Point> = points.iter().filter(|point| point.panel == *panel).collect();
    let mut x: Vec<f64> = inside.iter().map(|point| point.x).collect();
    x.sort_by(f64::total_cmp);
    x.dedup();
    let mut keys: Vec<(&str, Origin)> = Vec::new();
    for point in &inside {
        if !keys.contains(&(point.series.as_str(), point.origin)) {
            keys.push((&point.series, point.origin));
        }
    }
    let series = |(name, origin): (&str, Origin)| {
        let at = |x: &f64| inside.iter().find(|point| point.series == name && point.origin == origin && point.x == *x);
        let whose = match origin {
            Origin::Reproduced => "ours",
            Origin::Reported => "report",
            Origin::Guide => "theory",
        };
        let name = if name == "report" { whose.to_owned() } else { format!("{name}, {whose}") };
        let y = x.iter().map(|x| at(x).map(|point| rounded(point.y))).collect();
        let deviation = x.iter().map(|x| at(x).and_then(|point| point.deviation).map(rounded)).collect();
        Series { name, origin, y, deviation }
    };
    let series = keys.into_iter().map(series).collect();
    let title = panel.to_string().replace('_', " ");
    Chart { title, abscissa: panel.quantity.x_label(), is_logarithmic: logarithmic.contains(panel), x, series }
}

/// To six digits: nobody reads more off a curve, and the page stays small.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Metric;

    #[test]
    fn curves_share_one_axis_and_are_empty_where_they_have_no_point() {
        let point = |series: &str, origin: &str, x: f64, y: f64| -> Point {
            let text = format!("panel = 'a_loss'\nseries = '{series}'\norigin = '{origin}'\nx = {x:?}\ny = {y:?}\ndata = ''\ndevice = ''");
            toml::from_str(&text).expect("a point")
        };
        let points = [
            point("train", "reproduced", 2.0, 0.123_456_78),
            point("train", "reproduced", 1.0, 0.5),
            point("train", "reported", 3.0, 0.25),
        ];
        let charts = of(&points, &[Panel::new("a", Metric::Loss)]);
        let [chart] = charts.as_slice() else { panic!("{charts:?}") };
        assert_eq!((chart.title.as_str(), chart.is_logarithmic, chart.x.as_slice()), ("a loss", true, [1.0, 2.0, 3.0].as_slice()));
        let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["train, ours", "train, report"]);
        assert_eq!(chart.series[0].y, [Some(0.5), Some(0.123_457), None]);
        assert_eq!(chart.series[1].y, [None, None, Some(0.25)]);
    }
}
