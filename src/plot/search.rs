//! Which hyperparameters mattered: accuracy against each of them, and all of them together as parallel coordinates.

use super::canvas::{Area, paint_title, picture};
use super::ruler::{Ruler, Scale};
use super::style::{BODY, FAINT, INK, SMALL, at, centered, color, scaled, text};
use crate::experiment::Distribution;
use anyhow::Result;
use image::RgbImage;
use plotters::prelude::*;

/// One hyperparameter of a search.
#[derive(Clone)]
pub struct Hyperparameter {
    /// Its place in the experiment.
    pub key: String,
    /// Label of its axis.
    pub name: String,
    ruler: Ruler,
}

impl Hyperparameter {
    pub fn new(key: &str, distribution: &Distribution) -> Hyperparameter {
        let (scale, values) = match distribution {
            Distribution::Uniform(ends) => (Scale::Linear, ends.to_vec()),
            Distribution::LogUniform(ends) => (Scale::Logarithmic, ends.to_vec()),
            Distribution::Choice(values) => (Scale::Linear, values.clone()),
        };
        let name = key.rsplit('.').next().unwrap_or(key).replace('_', " ");
        Hyperparameter { key: key.to_owned(), name, ruler: Ruler::new(scale, values.into_iter(), 0.03, 6, false) }
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
const HEADER: u32 = 108;
const SCATTER: u32 = 340;
const PARALLEL: u32 = 420;

/// Draws the trials of a search.
pub fn draw_search(title: &str, subtitle: &str, axes: &[Hyperparameter], trials: &[Tried]) -> Result<RgbImage> {
    picture(title, [WIDTH, HEADER + SCATTER + PARALLEL], |area| {
        let (header, body) = area.split_vertically(scaled(HEADER));
        paint_header(&header, title, subtitle)?;
        let (scatters, parallel) = body.split_vertically(scaled(SCATTER));
        let accuracies = trials.iter().map(|trial| trial.accuracy);
        let accuracy = Hyperparameter {
            key: String::new(),
            name: "validation accuracy (%)".to_owned(),
            ruler: Ruler::new(Scale::Linear, accuracies, 0.06, 8, true),
        };
        for (index, (axis, area)) in axes.iter().zip(scatters.split_evenly((1, axes.len().max(1)))).enumerate() {
            paint_scatter(&area, axis, &accuracy, index, trials)?;
        }
        paint_parallel(&parallel, axes, &accuracy, trials)
    })
}

fn paint_header(area: &Area, title: &str, subtitle: &str) -> Result<()> {
    paint_title(area, title, subtitle)?;
    let (mut x, y) = at(20, 84);
    for (index, label) in ["coarse stage", "fine stage"].into_iter().enumerate() {
        area.draw(&Circle::new((x + scaled(6) as i32, y), scaled(5) as i32, color(index).filled()))?;
        area.draw(&Text::new(label.to_owned(), (x + scaled(18) as i32, y - scaled(6) as i32), text(BODY)))?;
        x += scaled(140) as i32;
    }
    area.draw(&Text::new("each trial by its best validation accuracy (%)", (x, y - scaled(6) as i32), text(BODY)))?;
    Ok(())
}

fn paint_scatter(area: &Area, axis: &Hyperparameter, accuracy: &Hyperparameter, index: usize, trials: &[Tried]) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let (left, right, top, bottom) = (scaled(64) as i32, (width - scaled(18)) as i32, scaled(10) as i32, (height - scaled(62)) as i32);
    let inside = |x: f64, y: f64| (left + (x * f64::from(right - left)) as i32, bottom - (y * f64::from(bottom - top)) as i32);
    let faint = ShapeStyle { color: FAINT.to_rgba(), filled: false, stroke_width: scaled(1) };
    for (share, label) in accuracy.ruler.shares() {
        let (start, end) = (inside(0.0, share), inside(1.0, share));
        area.draw(&PathElement::new([start, end], faint))?;
        area.draw(&Text::new(label.to_owned(), (scaled(36) as i32, start.1 - scaled(8) as i32), text(SMALL)))?;
    }
    for (share, label) in axis.ruler.shares() {
        let place = inside(share, 0.0);
        area.draw(&PathElement::new([place, inside(share, 1.0)], faint))?;
        area.draw(&Text::new(label.to_owned(), (place.0, bottom + scaled(6) as i32), centered(text(SMALL))))?;
    }
    area.draw(&Text::new(axis.name.clone(), ((left + right) / 2, bottom + scaled(30) as i32), centered(text(BODY))))?;
    for trial in trials {
        let place = inside(axis.ruler.share_of(trial.values[index]), accuracy.ruler.share_of(trial.accuracy));
        area.draw(&Circle::new(place, scaled(5) as i32, color(usize::from(trial.is_fine)).mix(0.75).filled()))?;
    }
    Ok(())
}

fn paint_parallel(area: &Area, axes: &[Hyperparameter], accuracy: &Hyperparameter, trials: &[Tried]) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let (left, right, top, bottom) = (scaled(90) as i32, (width - scaled(110)) as i32, scaled(44) as i32, (height - scaled(24)) as i32);
    let columns: Vec<&Hyperparameter> = axes.iter().chain([accuracy]).collect();
    let x = |column: usize| left + (right - left) * column as i32 / (columns.len() as i32 - 1).max(1);
    let y = |share: f64| bottom - (share * f64::from(bottom - top)) as i32;
    let values = |trial: &Tried| trial.values.iter().copied().chain([trial.accuracy]).collect::<Vec<f64>>();
    let mut order: Vec<&Tried> = trials.iter().collect();
    // The best are drawn last, over the others.
    order.sort_by(|one, other| one.accuracy.total_cmp(&other.accuracy));
    for (rank, trial) in order.iter().enumerate() {
        let places: Vec<(i32, i32)> = values(trial)
            .iter()
            .zip(&columns)
            .enumerate()
            .map(|(column, (value, axis))| (x(column), y(axis.ruler.share_of(*value))))
            .collect();
        let is_top = rank + 5 >= order.len();
        let color = color(usize::from(trial.is_fine)).mix(if is_top { 1.0 } else { 0.22 });
        area.draw(&PathElement::new(places, ShapeStyle { color, filled: false, stroke_width: scaled(if is_top { 3 } else { 1 }) }))?;
    }
    let axis_line = ShapeStyle { color: INK.to_rgba(), filled: false, stroke_width: scaled(1) };
    for (column, axis) in columns.iter().enumerate() {
        area.draw(&PathElement::new([(x(column), top), (x(column), bottom)], axis_line))?;
        area.draw(&Text::new(axis.name.clone(), (x(column), scaled(12) as i32), centered(text(BODY))))?;
        for (share, label) in axis.ruler.shares() {
            area.draw(&Text::new(label.to_owned(), (x(column) + scaled(6) as i32, y(share) - scaled(8) as i32), text(SMALL)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_divided_as_its_distribution_is() {
        let logarithmic = Hyperparameter::new("training.learning_rate", &Distribution::LogUniform([1e-4, 1e-1]));
        assert_eq!(logarithmic.name, "learning rate");
        let labels: Vec<&str> = logarithmic.ruler.shares().map(|(_, label)| label).collect();
        assert_eq!(labels, ["1e-4", "0.001", "0.01", "0.1"]);
        let middle = logarithmic.ruler.share_of(1e-4 * 10_f64.powf(1.5));
        assert!((middle - 0.5).abs() < 1e-9, "{middle}");
        let choice = Hyperparameter::new("training.minibatch", &Distribution::Choice(vec![64.0, 16.0]));
        assert!((choice.ruler.share_of(40.0) - 0.5).abs() < 1e-9);
        let single = Hyperparameter::new("x", &Distribution::Choice(vec![1.0]));
        assert!((single.ruler.share_of(1.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_search_is_drawn_whatever_its_trials_came_to() -> Result<()> {
        let axes = [
            Hyperparameter::new("a", &Distribution::Uniform([0.0, 1.0])),
            Hyperparameter::new("b", &Distribution::LogUniform([1e-3, 1.0])),
        ];
        let tried = |accuracy, is_fine| Tried { values: vec![0.5, 0.1], accuracy, is_fine };
        let picture = draw_search("title", "subtitle", &axes, &[tried(0.5, false), tried(0.9, true)])?;
        assert_eq!(picture.dimensions(), (WIDTH, HEADER + SCATTER + PARALLEL));
        let has = |RGBColor(red, green, blue): RGBColor| picture.pixels().any(|pixel| pixel.0 == [red, green, blue]);
        assert!(has(color(0)) && has(color(1)), "both stages are seen");
        draw_search("title", "subtitle", &axes, &[tried(f64::NAN, false)])?;
        draw_search("title", "subtitle", &axes, &[]).map(drop)
    }
}
