//! Networks: what the training loop, evaluation and the gradient check need of one, and the report's three.

mod mlp;

pub use mlp::Mlp;

use crate::layers::{Gradient, Mode};
use tch::Tensor;

/// A parameter by name. The tensor is a handle: it shares its storage with the network's own.
#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    pub tensor: Tensor,
}

/// A network that classifies images.
pub trait Model {
    /// Every parameter, in the order in which [`Model::gradients`] gives their gradients.
    fn parameters(&self) -> Vec<Parameter>;

    /// Logits `[n, classes]` of images `[n, channels, height, width]`.
    fn logits(&self, images: &Tensor, mode: Mode) -> Tensor;

    /// Logits of a training minibatch, and the gradients of its mean cross-entropy with respect to every parameter.
    /// Labels are int64, `[n]`.
    ///
    /// `loss_scale` changes no value: the gradients may be computed from the loss times `loss_scale` and carry it as their divisor.
    fn gradients(&self, images: &Tensor, labels: &Tensor, loss_scale: f64) -> (Tensor, Vec<Gradient>);

    /// How many numbers the network learns.
    fn parameter_count(&self) -> i64 {
        self.parameters().iter().map(|parameter| parameter.tensor.numel() as i64).sum()
    }
}
