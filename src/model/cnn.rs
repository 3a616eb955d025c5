//! Networks of a list of layers, differentiated by autograd: the report's two CNNs and its VGG, and those that go further.

use super::explain::saliency;
use super::{Model, Parameter};
use crate::architecture::{Architecture, Stage};
use crate::layers::{InitScheme, Mode, Module, Place, Relu, ReluInPlace, prefixed};
use crate::loss::Objective;
use tch::{Device, Kind, Tensor};

/// A convolutional network.
#[derive(Debug)]
pub struct Cnn {
    /// In the order in which they are applied, each under the name that PyTorch users give it.
    modules: Vec<(String, Box<dyn Module>)>,
    /// Every parameter, as autograd knows it.
    leaves: Vec<Tensor>,
    /// The precision of the arithmetic; parameters are kept in `Float` when this is lower.
    compute: Kind,
}

impl Cnn {
    /// The network of `architecture`, drawn from libtorch's generator (see [`crate::seed::draw`]).
    ///
    /// `compute` is the precision of the layers: `Float`, `Double`, or `BFloat16` over parameters kept in `Float`.
    pub fn new(architecture: &Architecture, init: impl Into<InitScheme>, compute: Kind, device: Device) -> Cnn {
        let kind = if compute == Kind::BFloat16 { Kind::Float } else { compute };
        let init = init.into();
        let relu = || ("relu".to_owned(), Box::new(ReluInPlace) as Box<dyn Module>);
        let (mut modules, mut relu_is_due) = (Vec::new(), false);
        for (index, Stage { module, layer, input, description, .. }) in (0..).zip(&architecture.stages) {
            // A ReLU comes after the normalizations that follow its layer, and after the max pools, whose outputs are a quarter as many
            // (see [`crate::layers::MaxPool`]).
            if relu_is_due && description.relu != Relu::Delayed {
                modules.push(relu());
                relu_is_due = false;
            }
            let place = Place { input: *input, index, init, kind, device };
            modules.push((module.clone(), layer.config().build(&place)));
            relu_is_due |= description.relu == Relu::After;
        }
        modules.extend(relu_is_due.then(relu));
        let parameters = modules.iter().flat_map(|(_, module)| module.parameters());
        let leaves = parameters.map(|(_, parameter)| parameter.set_requires_grad(true)).collect();
        Cnn { modules, leaves, compute }
    }

    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        self.forward_until(self.modules.len(), images, mode)
    }

    /// The output of the first `count` modules.
    fn forward_until(&self, count: usize, images: &Tensor, mode: Mode) -> Tensor {
        self.modules[..count].iter().fold(images.to_kind(self.compute), |values, (_, module)| module.forward(&values, mode))
    }

    /// The tensors that `tensors` takes from each module, by name.
    fn named<'a, T: 'a>(&'a self, tensors: impl Fn(&'a dyn Module) -> Vec<(String, T)> + 'a) -> impl Iterator<Item = (String, T)> + 'a {
        self.modules.iter().flat_map(move |(name, module)| prefixed(name, tensors(&**module)))
    }
}

impl Model for Cnn {
    fn parameters(&self) -> Vec<Parameter> {
        // Detached, they share the storage and can be updated outside of autograd.
        self.named(|module| module.parameters()).map(|(name, leaf)| Parameter { name, tensor: leaf.detach() }).collect()
    }

    fn buffers(&self) -> Vec<Parameter> {
        self.named(|module| module.buffers()).map(|(name, buffer)| Parameter { name, tensor: buffer.shallow_clone() }).collect()
    }

    fn state_dict(&self) -> Vec<Parameter> {
        self.named(|module| module.state_dict()).map(|(name, tensor)| Parameter { name, tensor }).collect()
    }

    fn logits(&self, images: &Tensor, mode: Mode) -> Tensor {
        tch::no_grad(|| self.forward(images, mode))
    }

    fn gradients(&self, images: &Tensor, labels: &Tensor, mode: Mode, objective: Objective) -> (Tensor, Vec<Tensor>) {
        let logits = self.forward(images, mode);
        let gradients = Tensor::run_backward(&[objective.loss(&logits, labels)], &self.leaves, false, false);
        (logits.detach(), gradients)
    }

    fn explain(&self, images: &Tensor, classes: &Tensor) -> Tensor {
        let pool = self.modules.iter().position(|(name, _)| name.starts_with("avgpool"));
        let Some(pool) = pool.filter(|pool| pool + 2 == self.modules.len()) else {
            return saliency(images, classes, |images| self.forward(images, Mode::Eval));
        };
        let (_, linear) = &self.modules[pool + 1];
        tch::no_grad(|| {
            let features = self.forward_until(pool, images, Mode::Eval).permute([0, 2, 3, 1]);
            let logits = linear.forward(&features.flatten(0, 2), Mode::Eval).view([&features.size()[..3], &[-1]].concat().as_slice());
            let classes = classes.view([-1, 1, 1, 1]).expand_as(&logits.narrow(3, 0, 1));
            logits.gather(3, &classes, false).squeeze_dim(3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::check;
    use crate::layers::{Initialization, Layer};
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
        assert_eq!(names[..6], ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc1.weight", "fc1.bias"]);
    }

    const NORMED: [Layer; 10] = [
        Layer::Convolution(4),
        Layer::BatchNorm,
        Layer::MaxPool,
        Layer::ResidualBlock(4),
        Layer::ResidualBlock(6),
        Layer::GroupNorm(2),
        Layer::GlobalAveragePool,
        Layer::FullyConnected(5),
        Layer::BatchNorm,
        Layer::FullyConnected(4),
    ];

    fn normed(kind: Kind) -> Cnn {
        let architecture = Architecture::new([2, 6, 7], &NORMED).expect("fits");
        draw(4, Purpose::Initialization, 0, || Cnn::new(&architecture, Initialization::KaimingUniform, kind, Device::Cpu))
    }

    #[test]
    fn a_relu_comes_after_the_normalization_and_none_where_there_was_no_layer_before() {
        let network = normed(Kind::Float);
        let order: Vec<&str> = network.modules.iter().map(|(name, _)| name.as_str()).collect();
        let expected = "conv1 bn1 pool1 relu block1 block2 gn1 avgpool1 fc1 bn2 relu fc2";
        assert_eq!(order.join(" "), expected);
    }

    /// In evaluation a network is a function of its parameters alone; in training its gradients are checked against libtorch below.
    #[test]
    fn gradients_through_blocks_and_norms_equal_central_differences() {
        let (images, labels) = minibatch(Kind::Double);
        let network = normed(Kind::Double);
        for agreement in check(&network, &images, &labels, 1e-6, 20) {
            assert!(agreement.relative_error < 1e-6, "{agreement:?}");
        }
        let names: Vec<String> = network.values().into_iter().map(|value| value.name).collect();
        for name in ["block2.shortcut.0.weight", "bn2.bias", "bn1.running_mean", "block1.bn2.running_var"] {
            assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
        }
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len(), "a file has one value for each name");
        let architecture = Architecture::new([2, 6, 7], &NORMED).expect("fits");
        assert_eq!(network.parameter_count(), architecture.parameters());
    }

    #[test]
    fn the_mean_of_a_class_activation_map_is_the_logit_and_saliency_a_derivative() {
        let (images, _) = minibatch(Kind::Double);
        let classes = Tensor::from_slice(&[3_i64, 0, 1, 2, 3]);
        let of_class = |logits: &Tensor| logits.gather(1, &classes.unsqueeze(1), false).squeeze_dim(1);
        let layers = [&NORMED[..7], &[Layer::FullyConnected(4)]].concat();
        let architecture = Architecture::new([2, 6, 7], &layers).expect("fits");
        let pooled = draw(4, Purpose::Initialization, 0, || Cnn::new(&architecture, Initialization::Glorot, Kind::Double, Device::Cpu));
        let map = pooled.explain(&images, &classes);
        assert_eq!(map.size(), [5, 2, 2]);
        let mean = map.mean_dim([1_i64, 2].as_slice(), false, None::<Kind>);
        assert!(mean.allclose(&of_class(&pooled.logits(&images, Mode::Eval)), 1e-10, 1e-12, false));

        let network = network(Kind::Double);
        let saliency = network.explain(&images, &classes);
        assert_eq!(saliency.size(), [5, 6, 7]);
        let logits = |epsilon: f64, channel: i64| {
            let moved = images.copy();
            let _ = moved.narrow(1, channel, 1).narrow(2, 3, 1).narrow(3, 4, 1).g_add_scalar_(epsilon);
            of_class(&network.logits(&moved, Mode::Eval))
        };
        let slope = |channel| ((logits(1e-6, channel) - logits(-1e-6, channel)) / 2e-6).abs();
        assert!(saliency.select(1, 3).select(1, 4).allclose(&slope(0).maximum(&slope(1)), 1e-6, 1e-8, false));
    }

    #[test]
    fn gradients_of_a_smoothed_minibatch_in_training_equal_central_differences() {
        let (images, labels) = minibatch(Kind::Double);
        let (network, objective) = (normed(Kind::Double), Objective { label_smoothing: 0.1 });
        let train = Mode::Train { seed: 1, minibatch: 0 };
        let (_, gradients) = network.gradients(&images, &labels, train, objective);
        for (parameter, gradient) in network.parameters().iter().zip(gradients) {
            let first = |tensor: &Tensor| (0..tensor.dim()).fold(tensor.shallow_clone(), |part, _| part.get(0));
            let (mut element, epsilon) = (first(&parameter.tensor), 1e-6);
            let mut loss = |step: f64| {
                let _ = element.g_add_scalar_(step);
                let loss = objective.loss(&network.logits(&images, train), &labels).double_value(&[]);
                let _ = element.g_sub_scalar_(step);
                loss
            };
            let (numeric, own) = ((loss(epsilon) - loss(-epsilon)) / (2.0 * epsilon), first(&gradient).double_value(&[]));
            assert!((numeric - own).abs() < 1e-7 + 1e-5 * own.abs(), "{}: {numeric} and {own}", parameter.name);
        }
    }

    #[test]
    fn dropout_acts_in_training_only_and_anew_in_each_minibatch() {
        let (network, (images, labels)) = (network(Kind::Double), minibatch(Kind::Double));
        let train = |minibatch| network.logits(&images, Mode::Train { seed: 1, minibatch });
        assert_ne!(train(1), train(2));
        assert_eq!(train(1), train(1));
        assert_ne!(train(1), network.logits(&images, Mode::Eval));
        let (logits, gradients) = network.gradients(&images, &labels, Mode::Train { seed: 1, minibatch: 1 }, Objective::default());
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
        let (_, gradients) = network.gradients(&images, &label, Mode::Train { seed: 1, minibatch: 0 }, Objective::default());
        // A weight has a gradient where its value passed both layers: a quarter of 1800, with a standard deviation of 0.01.
        let passed = gradients[0].ne(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        assert!((passed - 0.25).abs() < 0.05, "{passed}");
    }

    #[test]
    fn bfloat16_computes_on_parameters_kept_in_single_precision() {
        let (images, labels) = minibatch(Kind::Float);
        let gradients = |network: &Cnn| network.gradients(&images, &labels, Mode::Eval, Objective::default()).1;
        let (low, single) = (network(Kind::BFloat16), network(Kind::Float));
        assert!(low.parameters().iter().all(|parameter| parameter.tensor.kind() == Kind::Float));
        for (gradient, exact) in gradients(&low).iter().zip(gradients(&single)) {
            let norm = |tensor: Tensor| tensor.norm().double_value(&[]);
            let error = norm(gradient - &exact) / norm(exact);
            // Eight bits of mantissa, and a few layers.
            assert!(error < 0.05 && error > 1e-6, "{error}");
        }
    }
}
