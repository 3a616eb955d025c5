//! Networks of a list of layers, differentiated by autograd: the report's two CNNs and its VGG.

use super::{Model, Parameter};
use crate::architecture::{Architecture, Shape, Stage};
use crate::experiment::{Layer, Start};
use crate::layers::{Convolution, Gradient, Linear, Mode, dropout, max_pool};
use crate::loss::cross_entropy;
use tch::{Device, Kind, Tensor};

/// A convolutional network.
#[derive(Debug)]
pub struct Cnn {
    /// With the name that the architecture gives each.
    operations: Vec<(String, Operation)>,
    /// The precision of the arithmetic; parameters are kept in `Float` when this is lower.
    compute: Kind,
}

/// What is done to the values of a minibatch, in order.
#[derive(Debug)]
enum Operation {
    Convolution(Convolution),
    MaxPool,
    Relu,
    /// From `[n, channels, height, width]` to `[n, channels * height * width]`.
    Flatten,
    FullyConnected(Linear),
    Dropout {
        probability: f64,
        layer: u64,
    },
}

impl Cnn {
    /// The network of `architecture`, drawn from libtorch's generator (see [`crate::seed::draw`]).
    ///
    /// `compute` is the precision of the layers: `Float`, `Double`, or `BFloat16` over parameters kept in `Float`.
    pub fn new(architecture: &Architecture, start: impl Into<Start>, compute: Kind, device: Device) -> Cnn {
        let kind = if compute == Kind::BFloat16 { Kind::Float } else { compute };
        let start = start.into();
        let mut operations = Vec::new();
        let stages = &architecture.stages;
        for (index, Stage { name, layer, input, .. }) in stages.iter().enumerate() {
            let mut add = |operation| operations.push((name.clone(), operation));
            let followers = &stages[index + 1..];
            match (layer, input) {
                (Layer::Convolution(filters), Shape::Image { channels, .. }) => {
                    add(Operation::Convolution(Convolution::new(*channels, *filters, start, kind, device)));
                    // Before a pool it is left to the pool, whose outputs are a quarter as many (see `max_pool`).
                    if followers.first().is_none_or(|next| next.layer != Layer::MaxPool) {
                        add(Operation::Relu);
                    }
                }
                (Layer::MaxPool, _) => {
                    add(Operation::MaxPool);
                    add(Operation::Relu);
                }
                (Layer::FullyConnected(outputs), _) => {
                    if matches!(input, Shape::Image { .. }) {
                        add(Operation::Flatten);
                    }
                    add(Operation::FullyConnected(Linear::new(input.len(), *outputs, start, kind, device)));
                    if followers.iter().any(|later| matches!(later.layer, Layer::FullyConnected(_))) {
                        add(Operation::Relu);
                    }
                }
                (Layer::Dropout(probability), _) => add(Operation::Dropout { probability: *probability, layer: index as u64 }),
                (Layer::Convolution(_), Shape::Vector(_)) => unreachable!("an architecture has no convolution of a vector"),
            }
        }
        for (_, operation) in &operations {
            for parameter in operation.parameters() {
                let _ = parameter.set_requires_grad(true);
            }
        }
        Cnn { operations, compute }
    }

    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let mut values = images.to_kind(self.compute);
        for (_, operation) in &self.operations {
            values = match operation {
                Operation::Convolution(convolution) => convolution.forward(&values),
                Operation::MaxPool => max_pool(&values),
                // In place: no operation that comes before it needs its own output for its gradient.
                Operation::Relu => values.relu_(),
                Operation::Flatten => values.flatten(1, -1),
                Operation::FullyConnected(linear) => linear.forward(&values),
                Operation::Dropout { probability, layer } => dropout(&values, *probability, mode, *layer),
            };
        }
        values
    }

    /// Every parameter with its name, as autograd knows it.
    fn leaves(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.operations.iter().flat_map(|(name, operation)| {
            operation.parameters().into_iter().zip(["weight", "bias"]).map(move |(tensor, what)| (format!("{name}, {what}"), tensor))
        })
    }
}

impl Operation {
    /// Weight and bias, where there are any.
    fn parameters(&self) -> Vec<&Tensor> {
        match self {
            Operation::Convolution(Convolution { weight, bias }) | Operation::FullyConnected(Linear { weight, bias }) => vec![weight, bias],
            Operation::MaxPool | Operation::Relu | Operation::Flatten | Operation::Dropout { .. } => Vec::new(),
        }
    }
}

impl Model for Cnn {
    fn parameters(&self) -> Vec<Parameter> {
        // Detached, they share the storage and can be updated outside of autograd.
        self.leaves().map(|(name, leaf)| Parameter { name, tensor: leaf.detach() }).collect()
    }

    fn logits(&self, images: &Tensor, mode: Mode) -> Tensor {
        tch::no_grad(|| self.forward(images, mode))
    }

    fn gradients(&self, images: &Tensor, labels: &Tensor, mode: Mode, _loss_scale: f64) -> (Tensor, Vec<Gradient>) {
        let logits = self.forward(images, mode);
        // The softmax in eight bits of mantissa would lose what distinguishes good logits.
        let exact = if self.compute == Kind::BFloat16 { logits.to_kind(Kind::Float) } else { logits.shallow_clone() };
        let leaves: Vec<&Tensor> = self.leaves().map(|(_, leaf)| leaf).collect();
        let gradients = Tensor::run_backward(&[cross_entropy(&exact, labels)], &leaves, false, false);
        (logits.detach(), gradients.into_iter().map(Gradient::Whole).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Initialization;
    use crate::gradient_check::check;
    use crate::seed::{Purpose, draw};

    const LAYERS: [Layer; 8] = [
        Layer::Convolution(3),
        Layer::MaxPool,
        Layer::Convolution(4),
        Layer::Dropout(0.3),
        Layer::FullyConnected(6),
        Layer::Dropout(0.4),
        Layer::FullyConnected(5),
        Layer::FullyConnected(4),
    ];

    fn network(kind: Kind) -> Cnn {
        let architecture = Architecture::new([2, 6, 7], &LAYERS).expect("fits");
        draw(4, Purpose::Initialization, 0, || Cnn::new(&architecture, Initialization::KaimingUniform, kind, Device::Cpu))
    }

    fn minibatch(kind: Kind) -> (Tensor, Tensor) {
        draw(2, Purpose::Embedded, 0, || {
            (Tensor::rand([5, 2, 6, 7], (kind, Device::Cpu)), Tensor::randint(4, [5], (Kind::Int64, Device::Cpu)))
        })
    }

    #[test]
    fn gradients_equal_central_differences() {
        let (images, labels) = minibatch(Kind::Double);
        for agreement in check(&network(Kind::Double), &images, &labels, 1e-6, i64::MAX) {
            assert!(agreement.relative_error < 1e-7, "{agreement:?}");
        }
    }

    #[test]
    fn the_layers_are_applied_as_listed_with_relu_where_it_belongs() {
        let (network, (images, _)) = (network(Kind::Double), minibatch(Kind::Double));
        let p: Vec<Tensor> = network.parameters().into_iter().map(|parameter| parameter.tensor).collect();
        let convolution = |x: &Tensor, i: usize| x.conv2d(&p[i], Some(&p[i + 1]), [1, 1], [1, 1], [1, 1], 1).relu();
        let linear = |x: &Tensor, i: usize| x.matmul(&p[i]) + &p[i + 1];
        let h = convolution(&images, 0).max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
        let h = convolution(&h, 2).reshape([5, -1]);
        let expected = linear(&linear(&linear(&h, 4).relu(), 6).relu(), 8);
        assert!(network.logits(&images, Mode::Eval).allclose(&expected, 1e-12, 1e-14, false));
        assert!(expected.min().double_value(&[]) < 0.0, "a ReLU after the last layer would show");
        let names: Vec<String> = network.parameters().into_iter().map(|parameter| parameter.name).collect();
        assert_eq!(names[..6], ["Conv1, weight", "Conv1, bias", "Conv2, weight", "Conv2, bias", "FC1, weight", "FC1, bias"]);
    }

    #[test]
    fn dropout_acts_in_training_only_and_anew_in_each_minibatch() {
        let (network, (images, labels)) = (network(Kind::Double), minibatch(Kind::Double));
        let train = |minibatch| network.logits(&images, Mode::Train { seed: 1, minibatch });
        assert_ne!(train(1), train(2));
        assert_eq!(train(1), train(1));
        assert_ne!(train(1), network.logits(&images, Mode::Eval));
        let (logits, gradients) = network.gradients(&images, &labels, Mode::Train { seed: 1, minibatch: 1 }, 1.0);
        assert_eq!(logits, train(1));
        assert!(!logits.requires_grad(), "no graph is kept");
        assert_eq!(gradients.len(), 10);
    }

    #[test]
    fn two_dropout_layers_drop_different_values() {
        let architecture =
            Architecture::new([2, 30, 30], &[Layer::Dropout(0.5), Layer::Dropout(0.5), Layer::FullyConnected(2)]).expect("fits");
        let new = || Cnn::new(&architecture, Initialization::Glorot, Kind::Float, Device::Cpu);
        let network = draw(1, Purpose::Initialization, 0, new);
        let (images, label) = (Tensor::ones([1, 2, 30, 30], (Kind::Float, Device::Cpu)), Tensor::from_slice(&[0_i64]));
        let (_, gradients) = network.gradients(&images, &label, Mode::Train { seed: 1, minibatch: 0 }, 1.0);
        // A weight has a gradient where its value passed both layers: a quarter of 1800, with a standard deviation of 0.01.
        let passed = gradients[0].whole().ne(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        assert!((passed - 0.25).abs() < 0.05, "{passed}");
    }

    #[test]
    fn bfloat16_computes_on_parameters_kept_in_single_precision() {
        let (images, labels) = minibatch(Kind::Float);
        let gradients = |network: &Cnn| network.gradients(&images, &labels, Mode::Eval, 1.0).1;
        let (low, single) = (network(Kind::BFloat16), network(Kind::Float));
        assert!(low.parameters().iter().all(|parameter| parameter.tensor.kind() == Kind::Float));
        for (gradient, exact) in gradients(&low).iter().zip(gradients(&single)) {
            let norm = |tensor: Tensor| tensor.norm().double_value(&[]);
            let error = norm(gradient.whole() - exact.whole()) / norm(exact.whole());
            // Eight bits of mantissa, and a few layers.
            assert!(error < 0.05 && error > 1e-6, "{error}");
        }
    }
}
