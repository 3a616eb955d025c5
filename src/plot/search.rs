//! Which hyperparameters mattered: accuracy against each of them, and all of them together as parallel coordinates.

use super::canvas::{Area, paint_title, picture};
use super::ruler::{Ruler, Scale};
use super::style::{BODY, FAINT, INK, SMALL, at, centered, color, px, scaled, text};
use crate::experiment::Distribution;
use anyhow::Result;
use image::RgbImage;
use plotters::prelude::*;

/// One hyperparameter of a search.
#[derive(Clone)]
pub struct Hyperparameter {
    /// Its place in the experiment.
    pub key: String,
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

#[derive(Clone, Debug)]
pub struct Tried {
    /// Of each hyperparameter, in the order of the axes.
    pub values: Vec<f64>,
    pub accuracy: f64,
    pub is_fine: bool,
}

const WIDTH: u32 = 1400;
const HEADER: u32 = 108;
const SCATTER: u32 = 340;
const PARALLEL: u32 = 420;

pub fn draw_search(title: &str, subtitle: &str, axes: &[Hyperparameter], trials: &[Tried]) -> Result<RgbImage> {
    picture(title, [WIDTH, HEADER + SCATTER + PARALLEL], |area| {
        paint_header(area, title, subtitle)?;
        let (_, body) = area.split_vertically(scaled(HEADER));
        let (scatters, parallel) = body.split_vertically(scaled(SCATTER));
        let ruler = Ruler::new(Scale::Linear, trials.iter().map(|trial| trial.accuracy), 0.06, 8, true);
        let accuracy = Hyperparameter { key: String::new(), name: "validation accuracy (%)".to_owned(), ruler };
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
        area.draw(&Circle::new((x + px(6), y), px(5), color(index).filled()))?;
        area.draw(&Text::new(label, (x + px(18), y - px(6)), text(BODY)))?;
        x += px(140);
    }
    Ok(area.draw(&Text::new("each trial by its best validation accuracy (%)", (x, y - px(6)), text(BODY)))?)
}

fn paint_scatter(area: &Area, axis: &Hyperparameter, accuracy: &Hyperparameter, index: usize, trials: &[Tried]) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let (left, right, top, bottom) = (px(64), (width - scaled(18)) as i32, px(10), (height - scaled(62)) as i32);
    let inside = |x: f64, y: f64| (left + (x * f64::from(right - left)) as i32, bottom - (y * f64::from(bottom - top)) as i32);
    let faint = FAINT.stroke_width(scaled(1));
    for (share, label) in accuracy.ruler.shares() {
        let (start, end) = (inside(0.0, share), inside(1.0, share));
        area.draw(&PathElement::new([start, end], faint))?;
        area.draw(&Text::new(label.to_owned(), (px(36), start.1 - px(8)), text(SMALL)))?;
    }
    for (share, label) in axis.ruler.shares() {
        let place = inside(share, 0.0);
        area.draw(&PathElement::new([place, inside(share, 1.0)], faint))?;
        area.draw(&Text::new(label.to_owned(), (place.0, bottom + px(6)), centered(text(SMALL))))?;
    }
    area.draw(&Text::new(axis.name.clone(), ((left + right) / 2, bottom + px(30)), centered(text(BODY))))?;
    for trial in trials {
        let place = inside(axis.ruler.share_of(trial.values[index]), accuracy.ruler.share_of(trial.accuracy));
        area.draw(&Circle::new(place, px(5), color(usize::from(trial.is_fine)).mix(0.75).filled()))?;
    }
    Ok(())
}

fn paint_parallel(area: &Area, axes: &[Hyperparameter], accuracy: &Hyperparameter, trials: &[Tried]) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let (left, right, top, bottom) = (px(90), (width - scaled(110)) as i32, px(44), (height - scaled(24)) as i32);
    let columns: Vec<&Hyperparameter> = axes.iter().chain([accuracy]).collect();
    let x = |column: usize| left + (right - left) * column as i32 / (columns.len() as i32 - 1).max(1);
    let y = |share: f64| bottom - (share * f64::from(bottom - top)) as i32;
    let values = |trial: &Tried| [&trial.values[..], &[trial.accuracy]].concat();
    let mut order: Vec<&Tried> = trials.iter().collect();
    // The best are drawn last, over the others.
    order.sort_by(|one, other| one.accuracy.total_cmp(&other.accuracy));
    for (rank, trial) in order.iter().enumerate() {
        let shares = columns.iter().zip(values(trial)).map(|(axis, value)| axis.ruler.share_of(value));
        let places: Vec<(i32, i32)> = shares.enumerate().map(|(column, share)| (x(column), y(share))).collect();
        let is_top = rank + 5 >= order.len();
        let (opacity, width) = if is_top { (1.0, 3) } else { (0.22, 1) };
        area.draw(&PathElement::new(places, color(usize::from(trial.is_fine)).mix(opacity).stroke_width(scaled(width))))?;
    }
    for (column, axis) in columns.iter().enumerate() {
        area.draw(&PathElement::new([(x(column), top), (x(column), bottom)], INK.stroke_width(scaled(1))))?;
        area.draw(&Text::new(axis.name.clone(), (x(column), px(12)), centered(text(BODY))))?;
        for (share, label) in axis.ruler.shares() {
            area.draw(&Text::new(label.to_owned(), (x(column) + px(6), y(share) - px(8)), text(SMALL)))?;
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
