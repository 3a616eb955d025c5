//! Central differences against a network's own gradients.
//!
//! dL/dw = (L(w + epsilon) - L(w - epsilon)) / (2 epsilon) + O(epsilon^2): the error of the difference falls with epsilon^2 until the
//! rounding of L, about u |L| / epsilon for unit roundoff u, takes over. In double precision the best epsilon is near 1e-5.

use crate::layers::Mode;
use crate::loss::{Objective, cross_entropy};
use crate::model::{Model, Parameter};
use anyhow::{Context, Result};
use tch::{Kind, Tensor};

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
pub type Loss = fn(&Tensor, &Tensor) -> Tensor;

/// Compares the gradients of `model` with central differences of the mean cross-entropy on the first `elements` elements of every
/// parameter. Meant for networks in double precision.
pub fn check(model: &dyn Model, images: &Tensor, labels: &Tensor, epsilon: f64, elements: i64) -> Vec<Agreement> {
    let (_, gradients) = model.gradients(images, labels, Mode::Eval, Objective::default());
    let compare = |(parameter, gradient): (&Parameter, &Tensor)| {
        let elements = elements.min(gradient.numel() as i64);
        let own = gradient.flatten(0, -1).narrow(0, 0, elements).to_kind(Kind::Double);
        let numeric = central_differences(model, cross_entropy, images, labels, parameter, epsilon, elements);
        agreement(&parameter.name, &numeric, &own)
    };
    model.parameters().iter().zip(&gradients).map(compare).collect()
}

/// Central differences of `loss` with respect to the first `elements` elements of `parameter`, as doubles `[elements]`. The parameter is
/// moved and put back.
pub fn central_differences(
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

/// For each N, the largest absolute difference between `own` and the central differences of `loss` with epsilon = 1/N, over the first
/// elements of the parameter of this name; `own`: the gradient that is checked, doubles `[elements]`.
///
/// # Errors
/// If the model has no such parameter.
pub fn largest_differences(
    model: &dyn Model,
    loss: Loss,
    images: &Tensor,
    labels: &Tensor,
    parameter: &str,
    own: &Tensor,
    numbers: &[f64],
) -> Result<Vec<(f64, f64)>> {
    let found = model.parameters().into_iter().find(|candidate| candidate.name == parameter);
    let found = found.with_context(|| format!("the network has no parameter `{parameter}`"))?;
    let difference = |n: &f64| {
        let numeric = central_differences(model, loss, images, labels, &found, 1.0 / n, own.numel() as i64);
        (*n, agreement(parameter, &numeric, own).largest_difference)
    };
    Ok(numbers.iter().map(difference).collect())
}

/// `numeric` and `own` are doubles of the same shape.
fn agreement(parameter: &str, numeric: &Tensor, own: &Tensor) -> Agreement {
    let own = own.to_device(numeric.device());
    let norm = |tensor: &Tensor| tensor.norm().double_value(&[]);
    let difference = numeric - &own;
    let scale = norm(numeric).max(norm(&own));
    Agreement {
        parameter: parameter.to_owned(),
        elements: numeric.numel() as i64,
        relative_error: if scale > 0.0 { norm(&difference) / scale } else { 0.0 },
        largest_difference: difference.abs().max().double_value(&[]),
    }
}
