//! What the training loop trains: one network, or several at the same time.

use super::Member;
use super::finite::{is_bias, multiple};
use crate::data::splits::{Inputs, Minibatch};
use crate::layers::Mode;
use crate::loss::Objective;
use crate::model::{Model, Parameter, Stack};
use crate::train::State;
use tch::Tensor;

/// Networks that take their steps at the same time: one, or several of equal shape as one. Each of their tensors has their number in front.
pub trait Networks {
    /// All that an answer of network `index` depends on, sharing its storage.
    fn values(&self, index: usize) -> Vec<Parameter>;

    /// A step of each network, on the examples in its row of `index`; `minibatch` counts from the start of training. Logits `[networks, n,
    /// classes]` before the step, and of every bias the gradient, or a multiple of it, `[networks, outputs]`.
    fn learn(&mut self, examples: &Inputs, index: &Tensor, minibatch: u64, members: &mut [Member]) -> (Tensor, Vec<Tensor>);

    /// Logits `[networks, n, classes]` of images `[n, channels, height, width]`.
    fn logits(&self, images: &Tensor) -> Tensor;
}

/// A network alone.
pub struct Lone<'a> {
    model: &'a dyn Model,
    parameters: Vec<Parameter>,
}

impl Lone<'_> {
    pub fn new(model: &dyn Model) -> Lone<'_> {
        Lone { model, parameters: model.parameters() }
    }
}

impl Networks for Lone<'_> {
    fn values(&self, _index: usize) -> Vec<Parameter> {
        self.model.values()
    }

    fn learn(&mut self, examples: &Inputs, index: &Tensor, minibatch: u64, members: &mut [Member]) -> (Tensor, Vec<Tensor>) {
        let Member { seed, training, state: State { sgd, .. }, .. } = &mut members[0];
        let Minibatch { images, labels } = examples.select(&index.get(0));
        let objective = Objective { label_smoothing: training.label_smoothing, scale: sgd.loss_scale() };
        let (logits, gradients) = self.model.gradients(&images, &labels, Mode::Train { seed: *seed, minibatch }, objective);
        sgd.step(&mut self.parameters, &gradients);
        let biases = self.parameters.iter().zip(&gradients).filter(|(parameter, _)| is_bias(parameter));
        (logits.unsqueeze(0), biases.map(|(_, gradient)| multiple(gradient).unsqueeze(0)).collect())
    }

    fn logits(&self, images: &Tensor) -> Tensor {
        self.model.logits(images, Mode::Eval).unsqueeze(0)
    }
}

/// Several perceptrons, which learn by plain gradient descent.
pub struct Several {
    stack: Stack,
    tensors: Vec<Tensor>,
    /// Minus the learning rate of each, and as `[networks, 1, 1]`.
    scales: (Vec<f64>, Tensor),
}

impl Several {
    /// Copies of `models`.
    pub fn new(models: &[&dyn Model]) -> Several {
        let stack = Stack::new(&models.iter().map(|model| model.parameters()).collect::<Vec<_>>());
        Several { tensors: stack.tensors(), stack, scales: (Vec::new(), Tensor::new()) }
    }
}

impl Networks for Several {
    fn values(&self, index: usize) -> Vec<Parameter> {
        self.stack.parameters(index as i64)
    }

    fn learn(&mut self, examples: &Inputs, index: &Tensor, _minibatch: u64, members: &mut [Member]) -> (Tensor, Vec<Tensor>) {
        let scales: Vec<f64> = members.iter().map(|member| -member.state.sgd.learning_rate).collect();
        if scales != self.scales.0 {
            let tensor = Tensor::from_slice(&scales).view([-1, 1, 1]).to_kind(self.tensors[0].kind()).to_device(index.device());
            self.scales = (scales, tensor);
        }
        let Minibatch { images, labels } = examples.select_for_each(index);
        let (logits, gradients) = self.stack.gradients(&images, &labels, &self.scales.1);
        for (tensor, gradient) in self.tensors.iter_mut().zip(&gradients) {
            gradient.add_to(tensor, 1.0);
        }
        (logits, gradients.iter().skip(1).step_by(2).map(|bias| multiple(bias).squeeze_dim(1)).collect())
    }

    fn logits(&self, images: &Tensor) -> Tensor {
        self.stack.logits(images)
    }
}
