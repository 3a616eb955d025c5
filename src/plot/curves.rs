//! Grids of learning curves: ours as a mean with its band, the published one dashed over it.

use super::canvas::{Area, Canvas, paint_title};
use super::style::{FAINT, INK, OVERSAMPLING, at, color, darker, scaled, text};
use crate::history::Metric;
use crate::points::{Origin, Point, REPORT_DATA, variants};
use anyhow::Result;
use image::RgbImage;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

/// A picture of panels under a common title and legend. Where the data are not MNIST the title says so.
#[derive(Clone, Debug)]
pub struct Figure {
    pub title: String,
    /// From top to bottom; each from left to right.
    pub rows: Vec<Vec<Cell>>,
}

impl Figure {
    /// A row for each variant that has accuracies among `points`, with the cells that `row` gives it.
    pub fn of_variants(title: &str, points: &[Point], row: impl Fn(&str) -> Vec<Cell>) -> Figure {
        let rows = variants(points, Metric::Accuracy).iter().map(|variant| row(variant)).collect();
        Figure { title: title.to_owned(), rows }
    }
}

/// One place of the grid: panels one below the other.
pub type Cell = Vec<Panel>;

/// One pair of axes.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    pub x_label: String,
    /// The panel of the points that are drawn here.
    pub key: String,
    pub x_scale: Scale,
    pub y_scale: Scale,
    pub marks: Marks,
}

/// How our points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// As a curve with its band.
    Joined,
    /// Each by itself, where nothing lies between two of them.
    Apart,
}

impl Panel {
    /// Axes for the points of panel `key`.
    pub fn against(x_label: &str, key: &str, title: &str, scale: Scale) -> Panel {
        Panel {
            title: title.to_owned(),
            x_label: x_label.to_owned(),
            key: key.to_owned(),
            x_scale: scale,
            y_scale: scale,
            marks: Marks::Joined,
        }
    }

    /// The same axes, with points that no line joins.
    pub fn apart(self) -> Panel {
        Panel { marks: Marks::Apart, ..self }
    }

    /// The same axes, logarithmic whatever the values; a band that reaches zero ends at the edge.
    pub fn logarithmic(self) -> Panel {
        Panel { y_scale: Scale::Logarithmic, ..self }
    }

    /// The same axes, logarithmic in the distance of an accuracy to 1.
    pub fn near_one(self) -> Panel {
        Panel { y_scale: Scale::NearOne, ..self }
    }

    /// Axes of how far training is ahead of validation in `metric`, against epochs.
    pub fn gap(variant: &str, metric: Metric) -> Panel {
        let key = format!("{variant}_{}_gap", metric.name());
        Panel { key, y_scale: Scale::Linear, ..Panel::new(variant, metric, &format!("{}, train ahead of validation", metric.name())) }
    }

    /// Axes of `metric` against epochs for the points of `variant`, titled "variant: what".
    pub fn new(variant: &str, metric: Metric, what: &str) -> Panel {
        Panel {
            title: format!("{}: {what}", variant.replace('_', " ")),
            x_label: "epoch".to_owned(),
            key: format!("{variant}_{}", metric.name()),
            x_scale: Scale::Linear,
            y_scale: Scale::Automatic,
            marks: Marks::Joined,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Logarithmic,
    /// Logarithmic where the values are positive and span more than a decade.
    Automatic,
    /// For accuracies: logarithmic in the distance to 1, so that 0.9, 0.99 and 0.999 are equally far apart.
    NearOne,
}

/// Width of a cell, height of a row, and height of title and legend, in pixels of the written picture.
const CELL: (u32, u32) = (700, 420);
const HEADER: u32 = 92;

type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Ruler, Ruler>>;

/// Draws `figure` from `points`.
///
/// # Errors
/// If a panel has no points.
pub fn draw(figure: &Figure, points: &[Point]) -> Result<RgbImage> {
    let columns = figure.rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
    let canvas = Canvas::new(columns as u32 * CELL.0, HEADER + figure.rows.len() as u32 * CELL.1);
    canvas.paint(&figure.title, |area| paint(figure, points, area, columns))
}

fn paint(figure: &Figure, points: &[Point], root: &Area, columns: usize) -> Result<()> {
    let (header, body) = root.split_vertically(scaled(HEADER));
    let mut series: Vec<&str> = Vec::new();
    for point in points {
        if !series.contains(&point.series.as_str()) {
            series.push(&point.series);
        }
    }
    let panels = || figure.rows.iter().flatten().flatten();
    let drawn: Vec<&Point> = points.iter().filter(|point| panels().any(|panel| panel.key == point.panel)).collect();
    let marks = if panels().all(|panel| panel.marks == Marks::Apart) { Marks::Apart } else { Marks::Joined };
    paint_header(&header, &figure.title, &drawn, &series, marks)?;
    let cells = body.split_evenly((figure.rows.len().max(1), columns));
    for (row, cells) in figure.rows.iter().zip(cells.chunks(columns)) {
        for (cell, area) in row.iter().zip(cells) {
            for (panel, area) in cell.iter().zip(area.split_evenly((cell.len(), 1))) {
                paint_panel(&area, panel, points, &series)?;
            }
        }
    }
    Ok(())
}

/// Title, where the points are from, and the legend: above the panels, so that it hides nothing.
fn paint_header(area: &Area, title: &str, points: &[&Point], series: &[&str], marks: Marks) -> Result<()> {
    let ours = points.iter().find(|point| point.origin == Origin::Reproduced);
    let has_reported = points.iter().any(|point| point.origin == Origin::Reported);
    let data = ours.map_or("", |point| point.data.as_str());
    let title = if REPORT_DATA.iter().any(|name| data.starts_with(name)) { title.to_owned() } else { format!("{title} ({data})") };
    let seeds = || points.iter().filter(|point| point.origin == Origin::Reproduced).filter_map(|point| point.seeds);
    let (fewest, most) = (seeds().min().unwrap_or(1), seeds().max().unwrap_or(1));
    let device = ours.map_or("", |point| point.device.as_str());
    paint_title(area, &title, &format!("{data}, {device}"))?;

    let ((mut x, y), style) = (at(20, 72), text(14));
    let swatch = scaled(28) as i32;
    let mut entry = |label: &str, draw: &dyn Fn(i32) -> Result<()>| -> Result<()> {
        draw(x)?;
        x += swatch + scaled(7) as i32;
        area.draw(&Text::new(label.to_owned(), (x, y - scaled(8) as i32), style.clone()))?;
        x += area.estimate_text_size(label, &style)?.0 as i32 + scaled(26) as i32;
        Ok(())
    };
    for (index, name) in series.iter().enumerate().filter(|(_, name)| points.iter().any(|point| point.series == **name)) {
        let bar = |x: i32| -> Result<()> {
            let corners = [(x, y - scaled(5) as i32), (x + swatch, y + scaled(5) as i32)];
            Ok(area.draw(&Rectangle::new(corners, color(index).filled()))?)
        };
        entry(name, &bar)?;
    }
    let stroke = ShapeStyle { color: INK.to_rgba(), filled: false, stroke_width: scaled(2) };
    let band = |x: i32| -> Result<()> {
        if marks == Marks::Apart {
            return Ok(area.draw(&Circle::new((x + swatch / 2, y), scaled(5), stroke))?);
        }
        let corners = [(x, y - scaled(7) as i32), (x + swatch, y + scaled(7) as i32)];
        if most > 1 {
            area.draw(&Rectangle::new(corners, INK.mix(0.18).filled()))?;
        }
        Ok(area.draw(&PathElement::new([(x, y), (x + swatch, y)], stroke))?)
    };
    let label = match (fewest, most) {
        (_, 1) if marks == Marks::Apart => "ours: a run each".to_owned(),
        (_, 1) => "ours: one run".to_owned(),
        (fewest, most) if fewest == most => format!("ours: mean of {most} seeds, band ± 1 sd"),
        (fewest, most) => format!("ours: mean of {fewest} to {most} seeds, band ± 1 sd"),
    };
    entry(&label, &band)?;
    if has_reported {
        let dashes = |x: i32| -> Result<()> {
            for start in [0, 11, 22] {
                let (from, to) = (x + scaled(start) as i32, x + scaled(start + 6) as i32);
                area.draw(&PathElement::new([(from, y), (to, y)], stroke))?;
            }
            Ok(())
        };
        entry("published: one run", &dashes)?;
    }
    Ok(())
}

fn paint_panel(area: &Area, panel: &Panel, points: &[Point], series: &[&str]) -> Result<()> {
    let points: Vec<&Point> = points.iter().filter(|point| point.panel == panel.key).collect();
    anyhow::ensure!(!points.is_empty(), "panel `{}` has no points", panel.key);
    let x_axis = Ruler::new(panel.x_scale, points.iter().map(|point| point.x), 0.02, 10);
    let (_, height) = area.dim_in_pixel();
    let y_values = points.iter().flat_map(|point| [point.y, low(point), high(point)]);
    let y_axis = Ruler::new(panel.y_scale, y_values, 0.06, (height / scaled(45)) as usize);
    let (x_ticks, y_ticks) = (x_axis.ticks.len(), y_axis.ticks.len());
    let mut chart = ChartBuilder::on(area)
        .margin(scaled(8))
        .margin_right(scaled(20))
        .caption(&panel.title, text(15))
        .x_label_area_size(scaled(40))
        .y_label_area_size(scaled(66))
        .build_cartesian_2d(x_axis, y_axis)?;
    chart
        .configure_mesh()
        .x_labels(x_ticks)
        .y_labels(y_ticks)
        .bold_line_style(FAINT.stroke_width(OVERSAMPLING))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(OVERSAMPLING))
        .label_style(text(13))
        .axis_desc_style(text(13))
        .x_desc(&panel.x_label)
        .draw()?;
    for (index, name) in series.iter().enumerate() {
        let curve = |origin| points.iter().filter(move |point| point.series == *name && point.origin == origin);
        let ours: Vec<&&Point> = curve(Origin::Reproduced).collect();
        // Earlier curves are wider, so that one which lies under another still shows.
        let width = scaled(2) + (series.len() - 1 - index).min(2) as u32;
        paint_ours(&mut chart, &ours, panel.marks, color(index), width)?;
        let guide = curve(Origin::Guide).map(|point| (point.x, point.y));
        chart.draw_series(LineSeries::new(guide, color(index).stroke_width(OVERSAMPLING)))?;
        let published = curve(Origin::Reported).map(|point| (point.x, point.y)).collect();
        paint_dashes(&mut chart, published, darker(color(index)))?;
    }
    Ok(())
}

/// Our points: a curve and its band, circles where they stand apart or there is but one.
fn paint_ours(chart: &mut Chart, points: &[&&Point], marks: Marks, color: RGBColor, width: u32) -> Result<()> {
    if marks == Marks::Joined {
        let upper = points.iter().map(|point| (point.x, high(point)));
        let lower = points.iter().rev().map(|point| (point.x, low(point)));
        let band: Vec<(f64, f64)> = upper.chain(lower).collect();
        chart.draw_series([Polygon::new(band, color.mix(0.18))])?;
        chart.draw_series(LineSeries::new(points.iter().map(|point| (point.x, point.y)), color.stroke_width(width)))?;
    }
    if marks == Marks::Apart || points.len() == 1 {
        let circle = |point: &&&Point| Circle::new((point.x, point.y), scaled(5), color.stroke_width(scaled(2)));
        chart.draw_series(points.iter().map(circle))?;
    }
    Ok(())
}

/// The ends of a point's band.
fn low(point: &Point) -> f64 {
    point.y - point.deviation.unwrap_or(0.0)
}

fn high(point: &Point) -> f64 {
    point.y + point.deviation.unwrap_or(0.0)
}

fn paint_dashes(chart: &mut Chart, published: Vec<(f64, f64)>, color: RGBColor) -> Result<()> {
    let style = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: scaled(2) };
    chart.draw_series(DashedLineSeries::new(published, scaled(6), scaled(5), style))?;
    Ok(())
}

/// One axis: its range, ticks and labels. A value's *place* is the value itself, its decimal logarithm, or minus the logarithm of its
/// distance to 1; ranges and ticks are places.
#[derive(Clone)]
struct Ruler {
    scale: Scale,
    range: Range<f64>,
    ticks: Vec<f64>,
    decimals: usize,
}

impl Ruler {
    /// An axis over `values`, widened by the share `padding` on both sides, with about `count` ticks.
    fn new(scale: Scale, values: impl Iterator<Item = f64> + Clone, padding: f64, count: usize) -> Ruler {
        let extent = |values: &mut dyn Iterator<Item = f64>| {
            let finite = values.filter(|value| value.is_finite());
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
        };
        let (low, high) = extent(&mut values.clone());
        let spans_decades = low > 0.0 && high > 10.0 * low;
        let scale = match scale {
            Scale::Automatic if spans_decades => Scale::Logarithmic,
            Scale::Automatic => Scale::Linear,
            scale => scale,
        };
        let (low, high) = extent(&mut values.map(|value| place(scale, value)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let span = if high > low { high - low } else { low.abs().max(1e-3) * 0.01 };
        let range = low - padding * span..high + padding * span;
        if scale == Scale::Linear {
            let step = round_step((range.end - range.start) / count as f64);
            let decimals = (-step.log10().floor()).max(0.0) as usize;
            return Ruler { scale, ticks: multiples(step, &range), range, decimals };
        }
        let decades = range.end - range.start;
        let mantissas: &[f64] = match decades {
            ..0.7 => &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
            ..2.5 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let step = (decades / count as f64).ceil().max(1.0);
        let powers = multiples(step, &(range.start.floor() - 1.0..range.end + 1.0));
        let sign = if scale == Scale::NearOne { -1.0 } else { 1.0 };
        let ticks = powers.iter().flat_map(|power| mantissas.iter().map(move |mantissa| power + sign * mantissa.log10()));
        let mut ticks: Vec<f64> = ticks.filter(|tick| range.contains(tick)).collect();
        ticks.sort_by(f64::total_cmp);
        let ruler = Ruler { scale, ticks, range, decimals: 0 };
        if ruler.ticks.len() > 2 {
            return ruler;
        }
        // So short a range is all but linear.
        let values = ruler.value(ruler.range.start)..ruler.value(ruler.range.end);
        let step = round_step((values.end - values.start) / count as f64);
        Ruler { ticks: multiples(step, &values).into_iter().map(|value| place(scale, value)).collect(), ..ruler }
    }

    /// The value at a place.
    fn value(&self, place: f64) -> f64 {
        match self.scale {
            Scale::Logarithmic => 10_f64.powf(place),
            Scale::NearOne => 1.0 - 10_f64.powf(-place),
            Scale::Linear | Scale::Automatic => place,
        }
    }
}

fn place(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Logarithmic => value.log10(),
        Scale::NearOne => -(1.0 - value).log10(),
        Scale::Linear | Scale::Automatic => value,
    }
}

impl Ranged for Ruler {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        let place = place(self.scale, *value);
        // A band that reaches zero has no logarithm, and one that reaches beyond 1 no distance to it: it ends at the edge.
        let place = match self.scale {
            Scale::Logarithmic if place.is_nan() => self.range.start,
            Scale::NearOne if place.is_nan() => self.range.end,
            Scale::Logarithmic | Scale::NearOne => place.clamp(self.range.start, self.range.end),
            Scale::Linear | Scale::Automatic => place,
        };
        let share = (place - self.range.start) / (self.range.end - self.range.start);
        pixels.0 + (f64::from(pixels.1 - pixels.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|tick| self.value(*tick)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.value(self.range.start)..self.value(self.range.end)
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        match self.scale {
            Scale::Linear | Scale::Automatic => format!("{value:.*}", self.decimals),
            Scale::NearOne => format!("{}", (value * 1e7).round() / 1e7),
            Scale::Logarithmic if (0.009..10_000.0).contains(value) => format!("{}", (value * 1e4).round() / 1e4),
            Scale::Logarithmic => format!("{value:.0e}"),
        }
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|rounded| *rounded >= step * (1.0 - 1e-9)).unwrap_or(step)
}

fn multiples(step: f64, range: &Range<f64>) -> Vec<f64> {
    let first = (range.start / step).ceil() as i64;
    let last = (range.end / step).floor() as i64;
    (first..=last).map(|index| index as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ruler: &Ruler) -> Vec<String> {
        ruler.ticks.iter().map(|tick| ruler.format_ext(&ruler.value(*tick))).collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_range() {
        let ruler = Ruler::new(Scale::Linear, [0.8667, 0.9434].into_iter(), 0.0, 6);
        assert_eq!(labels(&ruler), ["0.88", "0.90", "0.92", "0.94"]);
        let ruler = Ruler::new(Scale::Logarithmic, [0.5, 30.0].into_iter(), 0.0, 6);
        assert_eq!(labels(&ruler), ["0.5", "1", "2", "5", "10", "20"]);
        let ruler = Ruler::new(Scale::NearOne, [0.4, 0.985].into_iter(), 0.0, 8);
        assert_eq!(labels(&ruler), ["0.5", "0.8", "0.9", "0.95", "0.98"]);
        let ruler = Ruler::new(Scale::NearOne, [0.87, 0.945].into_iter(), 0.0, 8);
        assert_eq!(labels(&ruler), ["0.9", "0.91", "0.92", "0.93", "0.94"]);
        let ruler = Ruler::new(Scale::NearOne, [0.981, 0.9895].into_iter(), 0.0, 8);
        assert_eq!(labels(&ruler), ["0.982", "0.984", "0.986", "0.988"], "where round distances to 1 are too few");
        let ruler = Ruler::new(Scale::Logarithmic, [0.0415, 0.0495].into_iter(), 0.0, 8);
        assert_eq!(labels(&ruler), ["0.042", "0.043", "0.044", "0.045", "0.046", "0.047", "0.048", "0.049"]);
        let ruler = Ruler::new(Scale::NearOne, [0.3, 0.9999, 1.0].into_iter(), 0.02, 8);
        assert_eq!(labels(&ruler), ["0.9", "0.99", "0.999", "0.9999"], "1 itself is beyond every axis");
        assert_eq!(ruler.map(&1.0, (0, 100)), 100, "and is drawn at the edge");
        let constant = Ruler::new(Scale::Linear, [0.1135, 0.1135].into_iter(), 0.06, 6);
        assert!(constant.range.start < 0.1135 && constant.range.end > 0.1135, "a constant has a range around it");
        assert!(Ruler::new(Scale::Linear, std::iter::empty(), 0.1, 5).ticks.len() > 1, "no values, still an axis");
    }
}
