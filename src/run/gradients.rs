//! The gradient check of an experiment as points: the largest difference against epsilon and against N = 1/epsilon.

use super::{Run, Variant};
use crate::data::mnist::{self, Mnist};
use crate::data::splits::{Inputs, Minibatch, Splits};
use crate::device;
use crate::experiment::{CheckedLoss, Experiment, GradientCheck};
use crate::gradient_check::{Loss, largest_differences};
use crate::layers::Mode;
use crate::loss::{Objective, cross_entropy, twice_softmaxed_cross_entropy};
use crate::model::{self, Model};
use crate::points::{Origin, Point};
use anyhow::{Context, Result, bail};
use tch::{Kind, Tensor};

/// What was found with one seed.
struct Found {
    /// Pairs of N and the largest absolute difference.
    differences: Vec<(f64, f64)>,
    /// The largest element of the backward pass's gradient.
    gradient: f64,
    loss: f64,
}

/// Points of the panels `<variant>_n` and `<variant>_epsilon`: a curve for each seed, since what a mean over unequal weights would be is
/// nobody's gradient. Where the differenced loss is the one that the backward pass differentiates, the two errors of a central
/// difference stand beside the first seed's curve, and its least error is marked.
pub(super) fn check(run: &Run, digits: &Mnist) -> Result<Vec<Point>> {
    let (data, device) = (&digits.source.name, device::describe(run.device));
    let mut points = Vec::new();
    for Variant { name: variant, experiment, seeds, .. } in &run.variants {
        let splits = Splits::new(&digits.train, Some(&digits.test), experiment, run.flags.seed, run.device)?;
        let mut add = |series: &str, origin, n: f64, y: f64| {
            let point = |(axis, x)| Point {
                panel: format!("{variant}_{axis}"),
                series: series.to_owned(),
                origin,
                x,
                y,
                deviation: None,
                resolution: None,
                seeds: Some(1),
                data: data.clone(),
                device: device.clone(),
            };
            points.extend([("n", n), ("epsilon", 1.0 / n)].map(point));
        };
        for seed in seeds.clone() {
            let found = check_one(experiment, &splits.train, seed)?;
            for (n, difference) in &found.differences {
                add(&format!("{SEED}{seed}"), Origin::Reproduced, *n, *difference);
            }
            let differentiates = experiment.gradient_check.as_ref().is_some_and(|check| check.loss == CheckedLoss::CrossEntropy);
            if seed == run.flags.seed && differentiates {
                add_guides(&found, &mut add);
            }
        }
    }
    Ok(points)
}

/// The largest gradient, both errors and the least error of one seed.
fn add_guides(found: &Found, add: &mut dyn FnMut(&str, Origin, f64, f64)) {
    let Found { differences, gradient, loss } = found;
    let Some((best, least)) = differences.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied() else { return };
    // Where the truncation error rules and no ReLU is crossed, around N = 50, it is c / N^2.
    let middle = differences.iter().min_by(|a, b| (a.0 - 50.0).abs().total_cmp(&(b.0 - 50.0).abs()));
    let c = middle.map_or(0.0, |(n, difference)| difference * n * n);
    for (n, _) in differences {
        add(LARGEST_GRADIENT, Origin::Guide, *n, *gradient);
        // Lines that dive far below the curve would only squeeze it.
        let errors = [("truncation: c epsilon²", c / (n * n)), ("rounding: u L / epsilon", f64::EPSILON / 2.0 * loss * n)];
        for (name, error) in errors.into_iter().filter(|(_, error)| *error > least / 3.0) {
            add(name, Origin::Guide, *n, error);
        }
    }
    add(LEAST_ERROR, Origin::Reproduced, best, least);
}

const SEED: &str = "seed ";
const LARGEST_GRADIENT: &str = "largest gradient";
const LEAST_ERROR: &str = "least error";

/// Whether the backward pass is right, from the points of the `correct` variant.
pub(super) fn verdict(points: &[Point]) -> Option<String> {
    let find = |series: &str| points.iter().find(|point| point.panel == "correct_epsilon" && point.series == series);
    let (least, gradient) = (find(LEAST_ERROR)?, find(LARGEST_GRADIENT)?);
    let digits = -(least.y / gradient.y).log10();
    let verdict = if digits >= 6.0 { "is right" } else { "is NOT confirmed" };
    Some(format!(
        "The hand-derived gradient {verdict}: at epsilon = {:.1e} it differs from the central difference by {:.1e} at most, \
         where its largest element is {:.1e}: {digits:.1} digits agree.",
        least.x, least.y, gradient.y
    ))
}

fn check_one(experiment: &Experiment, train: &Inputs, seed: u64) -> Result<Found> {
    let check = experiment.gradient_check.as_ref().context("the experiment has no [gradient_check], so there is nothing to check")?;
    let GradientCheck { loss, parameter, elements, multiples, powers } = check;
    let loss: Loss = match loss {
        CheckedLoss::CrossEntropy => cross_entropy,
        CheckedLoss::TwiceSoftmaxed => twice_softmaxed_cross_entropy,
    };
    let model = model::build(&experiment.model, train.image(), mnist::CLASSES.len() as i64, seed, train.device())?;
    let (images, labels, own) = first_that_reaches(&*model, train, parameter, *elements)?;
    let mut numbers: Vec<u64> = powers.iter().flat_map(|power| multiples.iter().map(|k| u64::from(*k) * 10_u64.pow(*power))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: Vec<f64> = numbers.into_iter().map(|n| n as f64).collect();
    let differences = largest_differences(&*model, loss, &images, &labels, parameter, &own, &numbers)?;
    let value = loss(&model.logits(&images, Mode::Eval), &labels).double_value(&[]);
    Ok(Found { differences, gradient: own.abs().max().double_value(&[]), loss: value })
}

/// The first training image on which the gradient of these elements is not zero: behind a unit that an image leaves at rest there is
/// nothing to check. With it, the backward pass's gradient of the elements.
fn first_that_reaches(model: &dyn Model, train: &Inputs, parameter: &str, elements: i64) -> Result<(Tensor, Tensor, Tensor)> {
    let names: Vec<String> = model.parameters().into_iter().map(|parameter| parameter.name).collect();
    let position = names.iter().position(|name| name == parameter);
    let position = position.with_context(|| format!("the network has no parameter `{parameter}`; it has: {}", names.join("; ")))?;
    for index in 0..train.len() {
        let Minibatch { images, labels } = train.range(index, 1);
        let (_, gradients) = model.gradients(&images, &labels, Mode::Eval, Objective::default());
        let whole = gradients[position].flatten(0, -1).to_kind(Kind::Double);
        let own = whole.narrow(0, 0, elements.min(whole.numel() as i64));
        if own.abs().max().double_value(&[]) > 0.0 {
            return Ok((images, labels, own));
        }
    }
    bail!("the gradient of the first {elements} elements of {parameter} is zero on every training image")
}
