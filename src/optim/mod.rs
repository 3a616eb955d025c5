//! Optimizers, learning-rate schedules and early stopping.

mod adam;
mod early_stopping;
mod reduce_lr_on_plateau;
mod schedule;
mod sgd;

pub use adam::Adam;
pub use early_stopping::EarlyStopping;
pub use reduce_lr_on_plateau::ReduceLrOnPlateau;
pub use sgd::Sgd;

use crate::experiment::{OptimizerKind, Training};
use crate::model::Parameter;
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::fmt::Debug;
use tch::Tensor;

/// An update rule with its state.
pub trait Optimizer: Debug {
    fn learning_rate(&self) -> f64;

    fn set_learning_rate(&mut self, learning_rate: f64);

    /// Updates every parameter in place; `gradients` are in the order of `parameters`, each in its parameter's shape.
    fn step(&mut self, parameters: &mut [Parameter], gradients: &[Tensor]);

    /// Everything that the next step depends on beside the learning rate, for a checkpoint, in the parameters' own layout. `0.exp_avg` belongs
    /// to the first parameter, as in a state dict of `torch.optim`.
    fn state(&self) -> Vec<(String, Tensor)>;

    /// Continues from `state`, which [`Optimizer::state`] gave; `parameters` may be followed by buffers.
    ///
    /// # Errors
    /// If a tensor is missing, or has another shape or kind than its parameter.
    fn restore(&mut self, state: &HashMap<String, Tensor>, parameters: &[Parameter]) -> Result<()>;
}

/// The optimizer that `training` describes, before its first step.
pub fn build(training: &Training) -> Box<dyn Optimizer> {
    match training.optimizer {
        OptimizerKind::Sgd => Box::new(Sgd::new(training)),
        OptimizerKind::Adam => Box::new(Adam::new(training)),
    }
}

/// `tensors`, one for each parameter, under their names in a state.
fn named(tensors: &[Tensor], name: &str) -> Vec<(String, Tensor)> {
    tensors.iter().enumerate().map(|(index, tensor)| (format!("{index}.{name}"), tensor.shallow_clone())).collect()
}

/// The tensors `name` of a state, with their parameters' strides.
fn restored(state: &HashMap<String, Tensor>, name: &str, parameters: &[Parameter]) -> Result<Vec<Tensor>> {
    let count = state.keys().filter(|key| key.split_once('.').is_some_and(|(_, rest)| rest == name)).count();
    ensure!(count <= parameters.len(), "the optimizer's state has {count} `{name}`, expected at most {}", parameters.len());
    let one = |(index, Parameter { name: parameter, tensor }): (usize, &Parameter)| {
        let key = format!("{index}.{name}");
        let found = state.get(&key).with_context(|| format!("the optimizer's state has no `{key}`, expected that of {parameter}"))?;
        let (shape, kind) = (found.size(), found.kind());
        ensure!(
            shape == tensor.size() && kind == tensor.kind(),
            "the optimizer's `{key}` is {kind:?} {shape:?}, expected {:?} {:?} as {parameter} is",
            tensor.kind(),
            tensor.size()
        );
        let mut copy = tensor.empty_like();
        copy.copy_(found);
        Ok(copy)
    };
    parameters[..count].iter().enumerate().map(one).collect()
}
