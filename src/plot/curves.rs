//! Grids of learning curves: ours as a mean with its band or one by one, the report's dashed over it.

use super::canvas::{Area, paint_title, picture};
use super::ruler::{Ruler, Scale};
use super::style::{BODY, FAINT, INK, OVERSAMPLING, SMALL, at, centered, color, px, scaled, text, tint};
use crate::history::Metric;
use crate::points::{Origin, Panel, Point, Quantity, distinct, variants};
use anyhow::Result;
use image::RgbImage;
use plotters::prelude::*;

/// A picture of axes under a common title and legend. Data, epochs and device stand below the title.
#[derive(Clone, Debug)]
pub struct Figure {
    pub title: String,
    /// From top to bottom; each from left to right.
    pub rows: Vec<Vec<Axes>>,
    /// Points beside those of the CSV: computed from them, or numbers that the report prints.
    pub beside: Vec<Point>,
}

impl Figure {
    pub fn new(title: &str, rows: Vec<Vec<Axes>>) -> Figure {
        Figure { title: title.to_owned(), rows, beside: Vec::new() }
    }

    /// A column of `axes` for each variant that has accuracies among `points`; a row for a single variant.
    pub fn of_variants(title: &str, points: &[Point], axes: impl Fn(&str) -> Vec<Axes>) -> Figure {
        let columns: Vec<Vec<Axes>> = variants(points, Metric::Accuracy).iter().map(|variant| axes(variant)).collect();
        if columns.len() == 1 {
            return Figure::new(title, columns);
        }
        let rows = columns.first().map_or(0, Vec::len);
        Figure::new(title, (0..rows).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
    }

    /// The same figure with `points` beside those of the CSV.
    pub fn with(mut self, points: Vec<Point>) -> Figure {
        self.beside.extend(points);
        self
    }
}

/// One pair of axes.
#[derive(Clone, Debug)]
pub struct Axes {
    pub title: String,
    pub panel: Panel,
    x_scale: Scale,
    y_scale: Scale,
    has_own_range: bool,
}

impl Axes {
    /// Linear axes; for a loss logarithmic where it spans more than a decade.
    pub fn new(variant: &str, quantity: impl Into<Quantity>, title: &str) -> Axes {
        let panel = Panel::new(variant, quantity);
        let x_scale = match panel.quantity.x_label() {
            "epoch" | "seed" => Scale::Counted,
            "parameters" => Scale::Logarithmic,
            _ => Scale::Linear,
        };
        let is_loss = matches!(panel.quantity, Quantity::Loss | Quantity::TwiceSoftmaxedLoss);
        let y_scale = if is_loss { Scale::Automatic } else { Scale::Linear };
        Axes { title: title.to_owned(), panel, x_scale, y_scale, has_own_range: false }
    }

    /// The same axes, with a range of values that is not that of all axes of the same quantity.
    pub fn with_own_range(self) -> Axes {
        Axes { has_own_range: true, ..self }
    }

    /// The same axes, logarithmic whatever the values; a band that reaches zero ends at the edge.
    pub fn logarithmic(self) -> Axes {
        Axes { y_scale: Scale::Logarithmic, ..self }
    }

    /// The same axes, both logarithmic.
    pub fn both_logarithmic(self) -> Axes {
        Axes { x_scale: Scale::Logarithmic, y_scale: Scale::Logarithmic, ..self }
    }

    /// The same axes, logarithmic in the distance of an accuracy to 1.
    pub fn near_one(self) -> Axes {
        Axes { y_scale: Scale::NearOne, ..self }
    }

    /// Whether `point` is drawn here.
    fn shows(&self, point: &Point) -> bool {
        (&point.panel.variant, point.panel.quantity) == (&self.panel.variant, self.panel.quantity)
    }

    /// Whether the range of values is shared with `other`.
    fn is_like(&self, other: &Axes) -> bool {
        let of = |axes: &Axes| (axes.panel.quantity, axes.y_scale, axes.has_own_range);
        self.panel == other.panel || (of(self) == of(other) && !self.has_own_range)
    }
}

/// Width of a picture of two or more columns, of a single one, and height of title and legend, in pixels of the written picture.
const WIDTH: u32 = 1400;
const WIDEST: u32 = 900;
const HEADER: u32 = 108;
/// Width of the ticks' labels and the name of a y axis.
const Y_LABELS: u32 = 68;

type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Ruler, Ruler>>;

/// Draws `figure` from `points`.
///
/// # Errors
/// If a pair of axes has no points.
pub fn draw(figure: &Figure, points: &[Point]) -> Result<RgbImage> {
    let all = || figure.rows.iter().flatten();
    let points = || points.iter().chain(&figure.beside);
    for axes in all() {
        anyhow::ensure!(points().any(|point| axes.shows(point)), "panel `{}` has no points", axes.panel);
    }
    let points: Vec<&Point> = points().filter(|point| all().any(|axes| axes.shows(point))).collect();
    let series = distinct(points.iter().map(|point| point.series.as_str()));
    let columns = figure.rows.iter().map(Vec::len).max().unwrap_or(1).max(1) as u32;
    let width = (WIDTH / columns).min(WIDEST);
    let height = 240 + width / 4;
    picture(&figure.title, [columns * width, HEADER + figure.rows.len() as u32 * height], |area| {
        paint_title(area, &figure.title, &origin_of(&points))?;
        paint_legend(area, &points, &series)?;
        let (_, body) = area.split_vertically(scaled(HEADER));
        let cells = body.split_evenly((figure.rows.len().max(1), columns as usize));
        for (row, (list, cells)) in figure.rows.iter().zip(cells.chunks(columns as usize)).enumerate() {
            for (column, (axes, area)) in list.iter().zip(cells).enumerate() {
                let is_like = |point: &&&Point| all().any(|other| other.is_like(axes) && other.shows(point));
                let alike: Vec<&Point> = points.iter().filter(is_like).copied().collect();
                // An axis is named once: at the left end of its row, and below its column.
                let is_first = column == 0 || list[column - 1].panel.quantity != axes.panel.quantity;
                let is_last = figure.rows.get(row + 1).is_none_or(|below| below.len() <= column);
                paint_axes(area, axes, &points, &alike, &series, [is_last, is_first])?;
            }
        }
        Ok(())
    })
}

fn origin_of(points: &[&Point]) -> String {
    let ours = || points.iter().filter(|point| point.origin == Origin::Reproduced);
    let Some(first) = ours().next() else { return String::new() };
    let over_epochs = || ours().filter(|point| point.panel.quantity.x_label() == "epoch");
    let last = over_epochs().map(|point| point.x).fold(0.0, f64::max);
    let reaches = |panel: &Panel| over_epochs().any(|point| point.panel == *panel && point.x == last);
    let up_to = if over_epochs().all(|point| reaches(&point.panel)) { "" } else { "up to " };
    let epochs = match last {
        0.0 => String::new(),
        1.0 => "1 epoch, ".to_owned(),
        last => format!("{up_to}{last} epochs, "),
    };
    format!("{}, {epochs}{}", first.data, first.device)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Ours, on a curve with its band.
    Mean,
    /// Ours, on a thin curve for each seed.
    Seed,
    /// A circle for each run or network.
    Circle,
    Reported,
    Guide,
}

fn kind(point: &Point) -> Kind {
    match point.origin {
        Origin::Guide => Kind::Guide,
        _ if matches!(point.panel.quantity, Quantity::AccuracyBySeconds | Quantity::AccuracyByParameters) => Kind::Circle,
        Origin::Reported => Kind::Reported,
        Origin::Reproduced if point.panel.seed.is_some() || point.series.starts_with("seed ") => Kind::Seed,
        Origin::Reproduced => Kind::Mean,
    }
}

/// Splits have their colors; seeds and the report's only curve have none; others follow in their order.
fn color_of(name: &str, series: &[&str]) -> RGBColor {
    const SPLITS: [&str; 3] = ["train", "validation", "test"];
    let is_other = |name: &&&str| !SPLITS.contains(name) && !is_plain(name);
    match SPLITS.iter().position(|split| *split == name) {
        Some(place) => color(place),
        None if is_plain(name) => INK,
        None => color(SPLITS.len() + series.iter().filter(is_other).position(|other| *other == name).unwrap_or(0)),
    }
}

fn is_plain(series: &str) -> bool {
    series == "report" || series.starts_with("seed ")
}

fn paint_legend(area: &Area, points: &[&Point], series: &[&str]) -> Result<()> {
    let ((mut x, y), style) = (at(20, 84), text(BODY));
    let swatch = px(28);
    let mut entry = |label: &str, draw: &dyn Fn(i32) -> Result<()>| -> Result<()> {
        draw(x)?;
        x += swatch + px(7);
        area.draw(&Text::new(label.to_owned(), (x, y - px(9)), style.clone()))?;
        x += area.estimate_text_size(label, &style)?.0 as i32 + px(24);
        Ok(())
    };
    let line = |x: i32, style: ShapeStyle| Ok(area.draw(&PathElement::new([(x, y), (x + swatch, y)], style))?);
    for name in series.iter().filter(|name| !is_plain(name)) {
        let color = color_of(name, series);
        let is_guide = points.iter().all(|point| point.series != **name || point.origin == Origin::Guide);
        let bar = |x: i32| match is_guide {
            true => line(x, thin(color)),
            false => Ok(area.draw(&Rectangle::new([(x, y - px(5)), (x + swatch, y + px(5))], color.filled()))?),
        };
        entry(name, &bar)?;
    }
    let of = |wanted| points.iter().filter(move |point| kind(point) == wanted);
    let seeds = || of(Kind::Mean).filter(|point| point.panel.quantity.x_label() == "epoch").filter_map(|point| point.seeds);
    if let (Some(fewest), Some(most)) = (seeds().min(), seeds().max()) {
        let band = |x: i32| {
            let corners = [(x, y - px(7)), (x + swatch, y + px(7))];
            area.draw(&Rectangle::new(corners, INK.mix(if most > 1 { 0.18 } else { 0.0 }).filled()))?;
            line(x, tint(INK).stroke_width(scaled(3)))
        };
        let label = match (fewest, most) {
            (_, 1) => "ours: one run".to_owned(),
            (fewest, most) if fewest == most => format!("ours: mean of {most} seeds, band ± 1 sd"),
            (fewest, most) => format!("ours: mean of {fewest} to {most} seeds, band ± 1 sd"),
        };
        entry(&label, &band)?;
    }
    let is_apart = of(Kind::Mean).any(|point| is_no_run(point));
    for (label, is_there) in [("seeds too far apart for a mean", is_apart), ("ours: each seed", of(Kind::Seed).count() > 0)] {
        if is_there {
            entry(label, &|x| line(x, thin(INK)))?;
        }
    }
    if of(Kind::Circle).any(|point| point.panel.quantity == Quantity::AccuracyBySeconds) {
        let circle = |x: i32| Ok(area.draw(&Circle::new((x + swatch / 2, y), scaled(5), INK.stroke_width(scaled(2))))?);
        entry("ours: each run", &circle)?;
    }
    if of(Kind::Reported).count() > 0 {
        let dash = |x: i32| Ok(area.draw(&PathElement::new([(x, y), (x + px(7), y)], INK.stroke_width(scaled(2))))?);
        entry("report: one run", &|x| [0, 11, 22].iter().try_for_each(|start| dash(x + scaled(*start) as i32)))?;
    }
    Ok(())
}

fn paint_axes(area: &Area, axes: &Axes, points: &[&Point], alike: &[&Point], series: &[&str], names: [bool; 2]) -> Result<()> {
    let points: Vec<&Point> = points.iter().copied().filter(|point| axes.shows(point)).collect();
    let quantity = axes.panel.quantity;
    let (width, height) = area.dim_in_pixel();
    let x_axis = Ruler::new(axes.x_scale, points.iter().map(|point| point.x), 0.02, (width / scaled(60)) as usize, false);
    let y_values = alike.iter().flat_map(|point| band(point));
    let y_axis = Ruler::new(axes.y_scale, y_values, 0.06, (height / scaled(45)) as usize, quantity.y_label().contains('%'));
    let (x_ticks, y_ticks) = (x_axis.tick_count(), y_axis.tick_count());
    let (caption, body) = area.split_vertically(scaled(28));
    let middle = (width + scaled(Y_LABELS) - scaled(16)) / 2;
    caption.draw(&Text::new(axes.title.as_str(), (middle as i32, px(4)), centered(text(BODY))))?;
    let mut chart = ChartBuilder::on(&body)
        .margin(scaled(8))
        .margin_right(scaled(16))
        .x_label_area_size(scaled(46))
        .y_label_area_size(scaled(Y_LABELS))
        .build_cartesian_2d(x_axis, y_axis)?;
    chart
        .configure_mesh()
        .x_labels(x_ticks)
        .y_labels(y_ticks)
        .bold_line_style(FAINT.stroke_width(OVERSAMPLING))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(OVERSAMPLING))
        .label_style(text(SMALL))
        .axis_desc_style(text(SMALL))
        .x_desc(if names[0] { quantity.x_label() } else { "" })
        .y_desc(if names[1] { quantity.y_label() } else { "" })
        .draw()?;
    let curve = |name: &str, wanted: Kind| -> Vec<&Point> {
        points.iter().copied().filter(|point| point.series == name && kind(point) == wanted).collect()
    };
    for (index, name) in series.iter().enumerate() {
        let color = color_of(name, series);
        if !points.iter().any(|point| point.series == **name && point.panel.seed.is_some()) {
            // Earlier curves are wider, so that one which lies under another still shows.
            let width = scaled(2) + OVERSAMPLING * 2_u32.saturating_sub(index as u32);
            paint_mean(&mut chart, &curve(name, Kind::Mean), color, width)?;
        }
        for seed in curve(name, Kind::Seed).chunk_by(|one, next| one.panel.seed == next.panel.seed) {
            chart.draw_series(LineSeries::new(places(seed), thin(color)))?;
        }
        let circle = |place| Circle::new(place, scaled(5), color.stroke_width(scaled(2)));
        chart.draw_series(places(&curve(name, Kind::Circle)).into_iter().map(circle))?;
        chart.draw_series(LineSeries::new(places(&curve(name, Kind::Guide)), thin(color)))?;
    }
    for name in series {
        let (theirs, style) = (places(&curve(name, Kind::Reported)), color_of(name, series).stroke_width(scaled(2)));
        chart.draw_series(DashedLineSeries::new(theirs, scaled(8), scaled(6), style))?;
    }
    Ok(())
}

fn places(points: &[&Point]) -> Vec<(f64, f64)> {
    points.iter().map(|point| (point.x, point.y)).collect()
}

fn thin(color: RGBColor) -> ShapeStyle {
    color.stroke_width(scaled(1))
}

/// A curve and its band, with dots where not every epoch was measured.
fn paint_mean(chart: &mut Chart, points: &[&Point], color: RGBColor, width: u32) -> Result<()> {
    for run in points.chunk_by(|one, next| is_no_run(one) == is_no_run(next)).filter(|run| !is_no_run(run[0])) {
        let upper = run.iter().map(|point| (point.x, band(point)[1]));
        let lower = run.iter().rev().map(|point| (point.x, band(point)[0]));
        chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), color.mix(0.18))])?;
        chart.draw_series(LineSeries::new(places(run), tint(color).stroke_width(width)))?;
    }
    if points.iter().any(|point| is_no_run(point)) {
        chart.draw_series(LineSeries::new(places(points), thin(color)))?;
    }
    // Where epochs lie between two points, the line says nothing of them.
    if points.windows(2).all(|pair| pair[1].x - pair[0].x > 1.0) {
        chart.draw_series(places(points).into_iter().map(|place| Circle::new(place, scaled(4), tint(color).filled())))?;
    }
    Ok(())
}

/// Whether a mean is like no run: between seeds that have learned and seeds that have not, its band reaches beyond what can be.
fn is_no_run(point: &Point) -> bool {
    let deviation = point.deviation.unwrap_or(0.0);
    let is_beyond_one = point.panel.quantity == Quantity::Accuracy && point.y + deviation > 1.0;
    deviation > 0.1 && (point.y < deviation || is_beyond_one)
}

/// The ends of a point's band, which has none where the mean is like no run.
fn band(point: &Point) -> [f64; 2] {
    let deviation = if is_no_run(point) { 0.0 } else { point.deviation.unwrap_or(0.0) };
    [point.y - deviation, point.y + deviation]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(panel: Panel, series: &str, x: f64, y: f64) -> Point {
        Point { panel, series: series.to_owned(), x, y, data: "MNIST".to_owned(), device: "cpu".to_owned(), ..Point::default() }
    }

    fn has(picture: &RgbImage, RGBColor(red, green, blue): RGBColor) -> bool {
        picture.pixels().any(|pixel| pixel.0 == [red, green, blue])
    }

    #[test]
    fn a_mean_between_seeds_that_have_learned_and_others_is_like_no_run() {
        let accuracy = |y, deviation| Point { deviation: Some(deviation), ..point(Panel::new("small", Metric::Accuracy), "train", 1.0, y) };
        assert!(is_no_run(&accuracy(0.7, 0.4)) && !is_no_run(&accuracy(0.53, 0.2)) && !is_no_run(&accuracy(0.9999, 0.0002)));
        let loss = |y, deviation| Point { deviation: Some(deviation), ..point(Panel::new("small", Metric::Loss), "train", 1.0, y) };
        assert!(is_no_run(&loss(0.8, 1.1)) && !is_no_run(&loss(0.8, 0.7)) && !is_no_run(&loss(1e-4, 2e-4)));
    }

    #[test]
    fn axes_of_the_same_quantity_share_their_range_unless_one_has_its_own() -> Result<()> {
        let points = [("small", 0.5), ("large", 0.9)].map(|(variant, y)| point(Panel::new(variant, Metric::Accuracy), "test", 1.0, y));
        let axes = |variant| Axes::new(variant, Metric::Accuracy, "");
        let drawn = |own: bool| -> Result<RgbImage> {
            let small = if own { axes("small").with_own_range() } else { axes("small") };
            draw(&Figure::new("", vec![vec![small, axes("large")]]), &points)
        };
        let half = |picture: &RgbImage| image::imageops::crop_imm(picture, 80, HEADER + 40, 600, 300).to_image();
        // By itself a point is in the middle; beside a higher one it is below.
        let height =
            |picture: &RgbImage| half(picture).enumerate_pixels().find(|(.., pixel)| pixel[0] < 120 && pixel[1] > 150).map(|(_, y, _)| y);
        let (shared, own) = (height(&drawn(false)?), height(&drawn(true)?));
        assert!(shared > own && own.is_some(), "{shared:?}, {own:?}");
        Ok(())
    }

    #[test]
    fn splits_keep_their_colors_and_each_seed_is_drawn_where_it_is_known() -> Result<()> {
        let accuracy = |seed, y| point(Panel { seed, ..Panel::new("small", Metric::Accuracy) }, "test", 1.0, y);
        let axes = || Axes::new("small", Metric::Accuracy, "small");
        let figure = Figure::new("title", vec![vec![axes()]]);
        let mean = draw(&figure, &[accuracy(None, 0.5)])?;
        assert!(has(&mean, color(2)) && !has(&mean, color(0)), "test is green without train");
        let later = |point: Point| Point { x: 2.0, ..point };
        let seeds = [Some(1), Some(2)].map(|seed| [accuracy(seed, 0.4), later(accuracy(seed, 0.6))]).concat();
        assert_ne!(draw(&figure, &[vec![accuracy(None, 0.5)], seeds].concat())?, mean);
        let error = draw(&Figure::new("title", vec![vec![Axes::new("large", Metric::Loss, "")]]), &[accuracy(None, 0.5)]);
        assert_eq!(format!("{:#}", error.expect_err("nothing to draw")), "panel `large_loss` has no points");
        Ok(())
    }
}
