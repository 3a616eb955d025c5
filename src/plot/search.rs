//! Which hyperparameters mattered: accuracy against each of them, and all of them together as parallel coordinates.

use super::canvas::{Area, Canvas, paint_title};
use super::style::{FAINT, INK, at, centered, color, scaled, text};
use crate::experiment::Distribution;
use anyhow::Result;
use image::RgbImage;
use plotters::prelude::*;

/// One hyperparameter of a search.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its place in the experiment.
    pub key: String,
    /// What people call it.
    pub name: String,
    is_logarithmic: bool,
    range: (f64, f64),
}

impl Axis {
    pub fn new(key: &str, distribution: &Distribution) -> Axis {
        let fold = |values: &[f64], start: f64, choose: fn(f64, f64) -> f64| values.iter().copied().fold(start, choose);
        let (is_logarithmic, range) = match distribution {
            Distribution::Uniform([low, high]) => (false, (*low, *high)),
            Distribution::LogUniform([low, high]) => (true, (*low, *high)),
            Distribution::Choice(values) => (false, (fold(values, f64::INFINITY, f64::min), fold(values, f64::NEG_INFINITY, f64::max))),
        };
        let name = key.rsplit('.').next().unwrap_or(key).replace('_', " ");
        Axis { key: key.to_owned(), name, is_logarithmic, range }
    }

    /// Where `value` lies between the ends of the axis, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.is_logarithmic { value.ln() } else { value };
        let (low, high) = (scale(self.range.0), scale(self.range.1));
        if high > low { ((scale(value) - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
    }

    /// Values to be marked: the ends, and what lies between them in three equal steps.
    fn ticks(&self) -> Vec<f64> {
        let (low, high) = self.range;
        let between = |share: f64| if self.is_logarithmic { low * (high / low).powf(share) } else { low + share * (high - low) };
        [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0].map(between).to_vec()
    }
}

/// One trial.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Of each hyperparameter, in the order of the axes.
    pub values: Vec<f64>,
    /// The best on validation images.
    pub accuracy: f64,
    pub is_fine: bool,
}

const WIDTH: u32 = 1400;
const HEADER: u32 = 92;
const SCATTER: u32 = 340;
const PARALLEL: u32 = 420;

/// Draws the trials of a search.
pub fn draw_search(title: &str, subtitle: &str, axes: &[Axis], trials: &[Tried]) -> Result<RgbImage> {
    Canvas::new(WIDTH, HEADER + SCATTER + PARALLEL).paint(title, |area| {
        let (header, body) = area.split_vertically(scaled(HEADER));
        paint_header(&header, title, subtitle)?;
        let (scatters, parallel) = body.split_vertically(scaled(SCATTER));
        let accuracies = || trials.iter().map(|trial| trial.accuracy).filter(|accuracy| accuracy.is_finite());
        let (least, most) = (accuracies().fold(1.0, f64::min), accuracies().fold(0.0, f64::max));
        let (least, most) = if least <= most { (least, most) } else { (0.0, 1.0) };
        let margin = ((most - least) / 12.0).max(1e-3);
        let accuracy = Axis {
            key: String::new(),
            name: "validation accuracy".to_owned(),
            is_logarithmic: false,
            range: (least - margin, most + margin),
        };
        for (index, (axis, area)) in axes.iter().zip(scatters.split_evenly((1, axes.len().max(1)))).enumerate() {
            paint_scatter(&area, axis, &accuracy, index, trials)?;
        }
        paint_parallel(&parallel, axes, &accuracy, trials)
    })
}

fn paint_header(area: &Area, title: &str, subtitle: &str) -> Result<()> {
    paint_title(area, title, subtitle)?;
    let (mut x, y) = at(20, 72);
    for (index, label) in ["coarse stage", "fine stage"].into_iter().enumerate() {
        area.draw(&Circle::new((x + scaled(6) as i32, y), scaled(5) as i32, color(index).filled()))?;
        area.draw(&Text::new(label.to_owned(), (x + scaled(18) as i32, y - scaled(6) as i32), text(14)))?;
        x += scaled(140) as i32;
    }
    area.draw(&Text::new("each trial by the best validation accuracy of its epochs", (x, y - scaled(6) as i32), text(14)))?;
    Ok(())
}

/// A number in as few digits as tell it.
fn short(value: f64) -> String {
    let exponent = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if (-3.0..4.0).contains(&exponent) {
        let text = format!("{value:.*}", (2.0 - exponent.min(0.0)) as usize);
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    format!("{value:.1e}")
}

fn paint_scatter(area: &Area, axis: &Axis, accuracy: &Axis, index: usize, trials: &[Tried]) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let (left, right, top, bottom) = (scaled(64) as i32, (width - scaled(18)) as i32, scaled(10) as i32, (height - scaled(62)) as i32);
    let inside = |x: f64, y: f64| (left + (x * f64::from(right - left)) as i32, bottom - (y * f64::from(bottom - top)) as i32);
    let faint = ShapeStyle { color: FAINT.to_rgba(), filled: false, stroke_width: scaled(1) };
    for tick in accuracy.ticks() {
        let (start, end) = (inside(0.0, accuracy.share(tick)), inside(1.0, accuracy.share(tick)));
        area.draw(&PathElement::new([start, end], faint))?;
        area.draw(&Text::new(format!("{:.1} %", 100.0 * tick), (scaled(10) as i32, start.1 - scaled(8) as i32), text(12)))?;
    }
    for tick in axis.ticks() {
        let place = inside(axis.share(tick), 0.0);
        area.draw(&PathElement::new([place, inside(axis.share(tick), 1.0)], faint))?;
        area.draw(&Text::new(short(tick), (place.0, bottom + scaled(6) as i32), centered(text(12))))?;
    }
    area.draw(&Text::new(axis.name.clone(), ((left + right) / 2, bottom + scaled(30) as i32), centered(text(14))))?;
    for trial in trials {
        let place = inside(axis.share(trial.values[index]), accuracy.share(trial.accuracy));
        area.draw(&Circle::new(place, scaled(5) as i32, color(usize::from(trial.is_fine)).mix(0.75).filled()))?;
    }
    Ok(())
}

fn paint_parallel(area: &Area, axes: &[Axis], accuracy: &Axis, trials: &[Tried]) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let (left, right, top, bottom) = (scaled(90) as i32, (width - scaled(110)) as i32, scaled(44) as i32, (height - scaled(24)) as i32);
    let columns: Vec<&Axis> = axes.iter().chain([accuracy]).collect();
    let x = |column: usize| left + (right - left) * column as i32 / (columns.len() as i32 - 1).max(1);
    let y = |share: f64| bottom - (share * f64::from(bottom - top)) as i32;
    let values = |trial: &Tried| trial.values.iter().copied().chain([trial.accuracy]).collect::<Vec<f64>>();
    let mut order: Vec<&Tried> = trials.iter().collect();
    // The best are drawn last, over the others.
    order.sort_by(|one, other| one.accuracy.total_cmp(&other.accuracy));
    for (rank, trial) in order.iter().enumerate() {
        let places: Vec<(i32, i32)> =
            values(trial).iter().zip(&columns).enumerate().map(|(column, (value, axis))| (x(column), y(axis.share(*value)))).collect();
        let is_top = rank + 5 >= order.len();
        let color = color(usize::from(trial.is_fine)).mix(if is_top { 1.0 } else { 0.22 });
        area.draw(&PathElement::new(places, ShapeStyle { color, filled: false, stroke_width: scaled(if is_top { 3 } else { 1 }) }))?;
    }
    let axis_line = ShapeStyle { color: INK.to_rgba(), filled: false, stroke_width: scaled(1) };
    for (column, axis) in columns.iter().enumerate() {
        area.draw(&PathElement::new([(x(column), top), (x(column), bottom)], axis_line))?;
        area.draw(&Text::new(axis.name.clone(), (x(column), scaled(12) as i32), centered(text(14))))?;
        for tick in axis.ticks() {
            let label = if column + 1 == columns.len() { format!("{:.1} %", 100.0 * tick) } else { short(tick) };
            area.draw(&Text::new(label, (x(column) + scaled(6) as i32, y(axis.share(tick)) - scaled(8) as i32), text(12)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_divided_as_its_distribution_is() {
        let logarithmic = Axis::new("training.learning_rate", &Distribution::LogUniform([1e-4, 1e-1]));
        assert_eq!((logarithmic.name.as_str(), logarithmic.share(1e-4), logarithmic.share(1.0)), ("learning rate", 0.0, 1.0));
        assert!((logarithmic.share(1e-3) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(logarithmic.ticks().iter().map(|tick| short(*tick)).collect::<Vec<_>>(), ["1.0e-4", "0.001", "0.01", "0.1"]);
        assert_eq!([0.0, -0.5, 0.36, 1234.5, f64::NAN].map(short), ["0", "-0.5", "0.36", "1234.5", "NaN"]);
        let choice = Axis::new("training.minibatch", &Distribution::Choice(vec![64.0, 16.0]));
        assert_eq!((choice.share(16.0), choice.share(40.0), choice.share(64.0)), (0.0, 0.5, 1.0));
        assert_eq!(Axis::new("x", &Distribution::Choice(vec![1.0])).share(1.0), 0.5);
    }

    #[test]
    fn a_search_is_drawn_whatever_its_trials_came_to() -> Result<()> {
        let axes = [Axis::new("a", &Distribution::Uniform([0.0, 1.0])), Axis::new("b", &Distribution::LogUniform([1e-3, 1.0]))];
        let tried = |accuracy, is_fine| Tried { values: vec![0.5, 0.1], accuracy, is_fine };
        let picture = draw_search("title", "subtitle", &axes, &[tried(0.5, false), tried(0.9, true)])?;
        assert_eq!(picture.dimensions(), (WIDTH, HEADER + SCATTER + PARALLEL));
        let has = |RGBColor(red, green, blue): RGBColor| picture.pixels().any(|pixel| pixel.0 == [red, green, blue]);
        assert!(has(color(0)) && has(color(1)), "both stages are seen");
        draw_search("title", "subtitle", &axes, &[tried(f64::NAN, false)])?;
        draw_search("title", "subtitle", &axes, &[]).map(drop)
    }
}
