//! Central differences against a network's own gradients.
//!
//! dL/dw = (L(w + epsilon) - L(w - epsilon)) / (2 epsilon) + O(epsilon^2): the error of the difference falls with epsilon^2 until the
//! rounding of L, about u |L| / epsilon for unit roundoff u, takes over. In double precision the best epsilon is near 1e-5.

use crate::data::splits::{Inputs, Minibatch};
use crate::experiment::{CheckedLoss, Experiment, GradientCheck};
use crate::layers::Mode;
use crate::loss::{Objective, cross_entropy, twice_softmaxed_cross_entropy};
use crate::model::{self, Model, Parameter};
use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};

/// How far apart both gradients are on the elements of one parameter that were looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    pub parameter: String,
    /// Elements looked at.
    pub elements: i64,
    /// |difference| / max(|numeric|, |own|) in the Euclidean norm; 0 where both are zero.
    pub relative_error: f64,
    /// The largest absolute difference.
    pub largest_difference: f64,
}

/// A loss of logits and labels, as a mean per example.
type Loss = fn(&Tensor, &Tensor) -> Tensor;

/// Compares the gradients of `model` with central differences of the mean cross-entropy on the first `elements` elements of every
/// parameter. Meant for networks in double precision.
pub fn check(model: &dyn Model, images: &Tensor, labels: &Tensor, epsilon: f64, elements: i64) -> Vec<Agreement> {
    let (_, gradients) = model.gradients(images, labels, Mode::Eval, Objective::default());
    let compare = |(parameter, gradient): (&Parameter, &Tensor)| {
        let own = first_elements(gradient, elements);
        let numeric = central_differences(model, cross_entropy, images, labels, parameter, epsilon, own.numel() as i64);
        let norm = |tensor: &Tensor| tensor.norm().double_value(&[]);
        let scale = norm(&numeric).max(norm(&own));
        Agreement {
            parameter: parameter.name.clone(),
            elements: own.numel() as i64,
            relative_error: if scale > 0.0 { norm(&(&numeric - &own)) / scale } else { 0.0 },
            largest_difference: largest(&(numeric - own)),
        }
    };
    model.parameters().iter().zip(&gradients).map(compare).collect()
}

/// The first `elements` elements of a gradient, fewer where it has fewer, as doubles on the CPU.
fn first_elements(gradient: &Tensor, elements: i64) -> Tensor {
    gradient.flatten(0, -1).narrow(0, 0, elements.min(gradient.numel() as i64)).to_kind(Kind::Double).to_device(Device::Cpu)
}

/// The largest absolute value.
fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

/// Central differences of `loss` with respect to the first `elements` elements of `parameter`, as doubles `[elements]`. The parameter is
/// moved and put back.
fn central_differences(
    model: &dyn Model,
    loss: Loss,
    images: &Tensor,
    labels: &Tensor,
    parameter: &Parameter,
    epsilon: f64,
    elements: i64,
) -> Tensor {
    let difference = |index| {
        let mut element = element(&parameter.tensor, index);
        let value = element.double_value(&[]);
        let mut loss_at = |value: f64| {
            let _ = element.fill_(value);
            loss(&model.logits(images, Mode::Eval), labels).double_value(&[])
        };
        let (above, below) = (loss_at(value + epsilon), loss_at(value - epsilon));
        let _ = element.fill_(value);
        (above - below) / (2.0 * epsilon)
    };
    Tensor::from_slice(&(0..elements).map(difference).collect::<Vec<f64>>())
}

/// A view of the `index`-th element in the order of the dimensions, whatever the order in memory.
fn element(tensor: &Tensor, index: i64) -> Tensor {
    let mut view = tensor.shallow_clone();
    let mut rest = index;
    for length in tensor.size().into_iter().rev() {
        view = view.select(-1, rest % length);
        rest /= length;
    }
    view
}

/// How far a network's own gradient is from central differences with epsilon = 1/N, over some elements of one parameter.
#[derive(Clone, Debug)]
pub struct Differences {
    /// Each N, ascending, with the largest absolute difference.
    pub largest: Vec<(f64, f64)>,
    /// Whether the loss that is differenced is the one that the network differentiates.
    pub is_own_loss: bool,
    /// The largest element of the network's own gradient.
    gradient: f64,
    /// The loss that is differenced.
    loss: f64,
}

pub const LARGEST_GRADIENT: &str = "largest gradient";

/// The check that `[gradient_check]` describes, on one image of `train`, for the network that `seed` initializes.
///
/// # Errors
/// If `experiment` has no `[gradient_check]`, the network has no such parameter, or its gradient is zero on every image.
pub fn differences(experiment: &Experiment, train: &Inputs, classes: i64, seed: u64) -> Result<Differences> {
    let check = experiment.gradient_check.as_ref().context("the experiment has no [gradient_check], so there is nothing to check")?;
    let GradientCheck { loss, parameter: name, elements, multiples, powers } = check;
    let is_own_loss = *loss == CheckedLoss::CrossEntropy;
    let loss: Loss = if is_own_loss { cross_entropy } else { twice_softmaxed_cross_entropy };
    let model = model::build(&experiment.model, train.image(), classes, seed, train.device())?;
    let parameters = model.parameters();
    let found = parameters.iter().zip(0..).find(|(parameter, _)| parameter.name == *name);
    let (parameter, index) = found.with_context(|| {
        let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        format!("the network has no parameter `{name}`; it has: {}", names.join("; "))
    })?;
    let (Minibatch { images, labels }, own) = first_that_reaches(&*model, train, index, *elements)
        .with_context(|| format!("the gradient of the first {elements} elements of {name} is zero on every training image"))?;
    let mut numbers: Vec<u64> = powers.iter().flat_map(|power| multiples.iter().map(|k| u64::from(*k) * 10_u64.pow(*power))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let difference = |n: u64| {
        let numeric = central_differences(&*model, loss, &images, &labels, parameter, 1.0 / n as f64, own.numel() as i64);
        (n as f64, largest(&(numeric - &own)))
    };
    let by_n = numbers.into_iter().map(difference).collect();
    let loss = loss(&model.logits(&images, Mode::Eval), &labels).double_value(&[]);
    Ok(Differences { largest: by_n, is_own_loss, gradient: largest(&own), loss })
}

/// The first training image on which the gradient of these elements is not zero, and that gradient: behind a unit that is not active there is
/// nothing to check.
fn first_that_reaches(model: &dyn Model, train: &Inputs, parameter: usize, elements: i64) -> Option<(Minibatch, Tensor)> {
    (0..train.len()).map(|index| train.range(index, 1)).find_map(|example| {
        let (_, gradients) = model.gradients(&example.images, &example.labels, Mode::Eval, Objective::default());
        let own = first_elements(&gradients[parameter], elements);
        (largest(&own) > 0.0).then_some((example, own))
    })
}

impl Differences {
    /// The N where the difference is least, and that difference.
    pub fn least(&self) -> Option<(f64, f64)> {
        self.largest.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied()
    }

    /// Guides to draw beside the differences, as series, N and value: the largest gradient, and the two errors of a central difference, whose
    /// factor c is taken from where the truncation error rules and no ReLU is crossed, around N = 50. Errors far below the differences, which
    /// would only squeeze them, are left out.
    pub fn guides(&self) -> Vec<(&'static str, f64, f64)> {
        let Some((_, least)) = self.least() else { return Vec::new() };
        let middle = self.largest.iter().min_by(|a, b| (a.0 - 50.0).abs().total_cmp(&(b.0 - 50.0).abs()));
        let c = middle.map_or(0.0, |(n, difference)| difference * n * n);
        let at = |n: f64| {
            let truncation = ("truncation: c epsilon²", n, c / (n * n));
            let rounding = ("rounding: u L / epsilon", n, f64::EPSILON / 2.0 * self.loss * n);
            let errors = [truncation, rounding].into_iter().filter(move |(_, _, error)| *error > least / 3.0);
            std::iter::once((LARGEST_GRADIENT, n, self.gradient)).chain(errors)
        };
        self.largest.iter().flat_map(|(n, _)| at(*n)).collect()
    }
}
