//! Stochastic gradient descent.

use crate::layers::Gradient;
use crate::model::Parameter;

/// w = w - learning_rate * dL/dw.
#[derive(Clone, Debug)]
pub struct Sgd {
    pub learning_rate: f64,
}

impl Sgd {
    /// Updates every parameter in place; `gradients` are in the order of `parameters`.
    pub fn step(&mut self, parameters: &mut [Parameter], gradients: &[Gradient]) {
        debug_assert_eq!(parameters.len(), gradients.len());
        for (parameter, gradient) in parameters.iter_mut().zip(gradients) {
            gradient.add_to(&mut parameter.tensor, -self.learning_rate);
        }
    }

    /// The scale of the loss under which factored gradients need no further scaling (see [`Gradient`]).
    pub fn loss_scale(&self) -> f64 {
        -self.learning_rate
    }
}
