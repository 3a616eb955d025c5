//! Knowledge distillation.

use super::{Model, Parameter};
use crate::layers::Mode;
use crate::loss::Objective;
use tch::{Kind, Tensor};

/// A student whose training targets are a trained teacher's probabilities for the same minibatch, in place of one-hot labels: knowledge
/// distillation (Hinton et al. 2015, section 2) at temperature 1. Inference is the student's alone.
pub struct Distilled {
    student: Box<dyn Model>,
    teacher: Box<dyn Model>,
}

impl Distilled {
    pub fn new(student: Box<dyn Model>, teacher: Box<dyn Model>) -> Distilled {
        Distilled { student, teacher }
    }
}

impl Model for Distilled {
    fn parameters(&self) -> Vec<Parameter> {
        self.student.parameters()
    }

    fn buffers(&self) -> Vec<Parameter> {
        self.student.buffers()
    }

    fn state_dict(&self) -> Vec<Parameter> {
        self.student.state_dict()
    }

    fn logits(&self, images: &Tensor, mode: Mode) -> Tensor {
        self.student.logits(images, mode)
    }

    /// The gradients of the cross-entropy for the teacher's probabilities; the labels are not looked at.
    fn gradients(&self, images: &Tensor, _labels: &Tensor, mode: Mode, objective: Objective) -> (Tensor, Vec<Tensor>) {
        let probabilities = self.teacher.logits(images, Mode::Eval).softmax(-1, None::<Kind>);
        let kind = self.student.parameters().first().map_or(Kind::Float, |parameter| parameter.tensor.kind());
        self.student.gradients(images, &probabilities.to_kind(kind), mode, objective)
    }

    fn explain(&self, images: &Tensor, classes: &Tensor) -> Tensor {
        self.student.explain(images, classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;
    use crate::experiment::{Initialization, Layer};
    use crate::model::Cnn;
    use crate::seed::{Purpose, draw};
    use anyhow::Result;
    use tch::Device;

    #[test]
    fn a_student_learns_from_the_probabilities_of_its_teacher() -> Result<()> {
        let layers = [Layer::Convolution(2), Layer::MaxPool, Layer::FullyConnected(3)];
        let architecture = Architecture::new([1, 4, 4], &layers)?;
        let network = |seed| -> Box<dyn Model> {
            draw(seed, Purpose::Initialization, 0, || Box::new(Cnn::new(&architecture, Initialization::Glorot, Kind::Double, Device::Cpu)))
        };
        let images = draw(1, Purpose::Embedded, 0, || Tensor::randn([5, 1, 4, 4], (Kind::Double, Device::Cpu)));
        let (labels, objective) = (Tensor::zeros([5], (Kind::Int64, Device::Cpu)), Objective::default());
        let distilled = Distilled::new(network(1), network(2));
        let (logits, gradients) = distilled.gradients(&images, &labels, Mode::Eval, objective);

        let student = network(1);
        assert_eq!(logits, student.logits(&images, Mode::Eval));
        // The gradient of the linear layer's bias, last of the parameters, is the mean of the gradients of the logits: (p - q) / n.
        let (p, q) = (logits.softmax(-1, None::<Kind>), network(2).logits(&images, Mode::Eval).softmax(-1, None::<Kind>));
        let bias = gradients.last().expect("a bias");
        assert!(bias.allclose(&(p - q).mean_dim(0, false, None), 1e-12, 1e-15, false));
        // Its own probabilities leave nothing to learn.
        let (_, nothing) = Distilled::new(network(1), network(1)).gradients(&images, &labels, Mode::Eval, objective);
        assert!(nothing.iter().all(|gradient| gradient.abs().max().double_value(&[]) < 1e-15));
        Ok(())
    }
}
