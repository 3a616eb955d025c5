//! Several perceptrons of equal shape as one, for training them at the same time by batched matrix products.

use super::{Mlp, Model, Parameter};
use crate::layers::{Gradient, Linear};
use crate::loss::Objective;
use tch::{Kind, Tensor};

/// k perceptrons of equal widths that share nothing: every parameter has a k in front, every value too.
#[derive(Debug)]
pub struct Stack {
    networks: Mlp,
}

impl Stack {
    /// The networks with these parameters (weight and bias of each layer in turn, as [`Mlp`] has them), which are copied.
    pub fn new(networks: &[Vec<Parameter>]) -> Stack {
        let first = &networks[0];
        let together = |index: usize| Tensor::stack(&networks.iter().map(|network| &network[index].tensor).collect::<Vec<_>>(), 0);
        let layer = |index| Linear { weight: together(index), bias: together(index + 1).unsqueeze(1) };
        let layers: Vec<Linear> = (0..first.len()).step_by(2).map(layer).collect();
        let compute = layers.first().map_or(Kind::Float, |layer| layer.weight.kind());
        Stack { networks: Mlp { layers, compute } }
    }

    /// Every parameter of all networks, with a k in front.
    pub fn tensors(&self) -> Vec<Tensor> {
        self.networks.parameters().into_iter().map(|parameter| parameter.tensor).collect()
    }

    /// The parameters of network `index`, which share their storage with the stack's.
    pub fn parameters(&self, index: i64) -> Vec<Parameter> {
        let of = |layer: &Linear| [layer.weight.get(index), layer.bias.get(index).get(0)];
        let tensors = self.networks.layers.iter().flat_map(of);
        self.networks.parameters().into_iter().zip(tensors).map(|(Parameter { name, .. }, tensor)| Parameter { name, tensor }).collect()
    }

    /// What each network says of the same images `[n, channels, height, width]`: logits `[k, n, classes]`.
    pub fn logits(&self, images: &Tensor) -> Tensor {
        let networks = self.networks.layers[0].weight.size()[0];
        let size = [&[networks], images.size().as_slice()].concat();
        self.networks.forward(&images.expand(size.as_slice(), false)).pop().expect("a network has an output")
    }

    /// Logits `[k, n, classes]` of each network's own minibatch `[k, n, channels, height, width]` with labels `[k, n]`, and the gradient of
    /// its mean cross-entropy times its own `scales`, `[k, 1, 1]`: one for each of [`Stack::tensors`].
    pub fn gradients(&self, images: &Tensor, labels: &Tensor, scales: &Tensor) -> (Tensor, Vec<Gradient>) {
        let mut values = self.networks.forward(images);
        let logits = values.pop().expect("a network has an output");
        let delta = Objective::default().logit_gradient(&logits, labels).g_mul_(scales);
        (logits, self.networks.backward(&values, delta, 1.0))
    }
}
