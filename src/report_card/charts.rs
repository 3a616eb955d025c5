//! Curves for a page that draws them: one table of numbers for each panel.

use crate::compare::{scale_and_unit, split_in_words};
use crate::points::{Origin, Panel, Point, distinct};
use serde::Serialize;
use std::collections::BTreeMap;

/// Display names of an experiment's variants.
pub(super) type Names = BTreeMap<String, String>;

pub(super) fn name(variant: &str, names: &Names) -> String {
    names.get(variant).cloned().unwrap_or(variant.replace('_', " "))
}

/// A panel: x, and for each series a value (and a deviation) at each x, null where it has none.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Chart {
    title: String,
    x_label: &'static str,
    y_label: String,
    x_is_logarithmic: bool,
    y_is_logarithmic: bool,
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
pub(super) fn of(points: &[Point], names: &Names) -> Vec<Chart> {
    let panels = distinct(points.iter().map(|point| &point.panel).filter(|panel| panel.seed.is_none()));
    panels.into_iter().map(|panel| chart(panel, points, names)).collect()
}

fn chart(panel: &Panel, points: &[Point], names: &Names) -> Chart {
    let inside: Vec<&Point> = points.iter().filter(|point| point.panel == *panel).collect();
    let mut x: Vec<f64> = inside.iter().map(|point| point.x).collect();
    x.sort_by(f64::total_cmp);
    x.dedup();
    let keys = distinct(inside.iter().map(|point| (point.series.as_str(), point.origin)));
    let (scale, unit) = scale_and_unit(panel.quantity);
    let series = |(name, origin): (&str, Origin)| {
        let at = |x: &f64| inside.iter().find(|point| point.series == name && point.origin == origin && point.x == *x);
        let whose = match origin {
            Origin::Reproduced => "ours",
            Origin::Reported => "report",
            Origin::Guide => "theory",
        };
        let name = if name == "report" { whose.to_owned() } else { format!("{}, {whose}", split_in_words(name)) };
        let y = x.iter().map(|x| at(x).map(|point| rounded(scale * point.y))).collect();
        let deviation = x.iter().map(|x| at(x).and_then(|point| point.deviation).map(|deviation| rounded(scale * deviation))).collect();
        Series { name, origin, y, deviation }
    };
    let series = keys.into_iter().map(series).collect();
    let x_label = panel.quantity.x_label();
    // As the pictures do: where values are positive and span more than a decade. Shares of a whole stay as they are.
    let spans_decades = |values: &mut dyn Iterator<Item = f64>| {
        let (least, most) = values.fold((f64::INFINITY, 0.0), |(least, most), value| (value.min(least), value.max(most)));
        least > 0.0 && most > 10.0 * least
    };
    let measure = panel.quantity.words();
    Chart {
        title: format!("{}: {measure}", name(&panel.variant, names)),
        x_label,
        y_label: if unit.is_empty() { measure.to_owned() } else { format!("{measure} ({})", unit.trim()) },
        x_is_logarithmic: x_label != "epoch" && spans_decades(&mut x.iter().copied()),
        y_is_logarithmic: unit.is_empty() && spans_decades(&mut inside.iter().map(|point| point.y)),
        x,
        series,
    }
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
            point("train", "reproduced", 2.0, 0.023_456_789),
            point("train", "reproduced", 1.0, 0.5),
            point("train", "reported", 3.0, 0.25),
        ];
        let charts = of(&points, &[("a".to_owned(), "The network".to_owned())].into());
        let [chart] = charts.as_slice() else { panic!("{charts:?}") };
        assert_eq!((chart.title.as_str(), chart.y_label.as_str()), ("The network: cross-entropy", "cross-entropy"));
        assert_eq!((chart.y_is_logarithmic, chart.x_is_logarithmic, chart.x.as_slice()), (true, false, [1.0, 2.0, 3.0].as_slice()));
        let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["training, ours", "training, report"]);
        assert_eq!(chart.series[0].y, [Some(0.5), Some(0.023_456_8), None]);
        assert_eq!(chart.series[1].y, [None, None, Some(0.25)]);
        let accuracies = points.map(|point| Point { panel: Panel::new("a", Metric::Accuracy), ..point });
        let chart = &of(&accuracies, &Names::new())[0];
        assert_eq!((chart.title.as_str(), chart.y_label.as_str(), chart.y_is_logarithmic), ("a: accuracy", "accuracy (%)", false));
        assert_eq!(chart.series[0].y[0], Some(50.0));
    }
}
