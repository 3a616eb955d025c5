//! The multilayer perceptron of Problem 1, with its backward pass written by hand.
//!
//! For images x of a minibatch of n, labels y and L layers, h_0 = x, and
//!
//! | forward | |
//! |---|---|
//! | a_l = h_{l-1} W_l + b_l | activations before the non-linearity, l = 1 ... L |
//! | h_l = max(0, a_l) | ReLU, l < L |
//! | p = softmax(a_L) | probabilities |
//! | J = -(1/n) sum_i ln p\[i, y_i\] | mean cross-entropy |
//!
//! | backward | |
//! |---|---|
//! | delta_L = (p - onehot(y)) / n | dJ/da_L: the derivative of the softmax and that of the logarithm cancel (see [`Objective`]) |
//! | dJ/dW_l = h_{l-1}^T delta_l | |
//! | dJ/db_l = sum_i delta_l\[i\] | |
//! | delta_{l-1} = (delta_l W_l^T) * \[h_{l-1} > 0\] | through the ReLU, which passes where its output is positive |
//!
//! No autograd graph is built: parameters do not require gradients.

use super::{Model, Parameter};
use crate::layers::{InitScheme, Linear, Mode, Module, prefixed};
use crate::loss::Objective;
use tch::{Device, Kind, Tensor};

/// A multilayer perceptron.
#[derive(Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    /// The precision of the arithmetic; parameters are kept in `Float` when this is lower.
    compute: Kind,
}

impl Mlp {
    /// A network of widths `inputs - hidden ... - outputs`, drawn from libtorch's generator (see [`crate::seed::draw`]).
    ///
    /// `compute` is the precision of the matrix products: `Float`, `Double`, or `BFloat16` over parameters kept in `Float`.
    pub fn new(inputs: i64, hidden: &[i64], outputs: i64, init: impl Into<InitScheme>, compute: Kind, device: Device) -> Mlp {
        let init = init.into();
        let widths: Vec<i64> = [&[inputs], hidden, &[outputs]].concat();
        let kind = if compute == Kind::BFloat16 { Kind::Float } else { compute };
        let layers = widths.windows(2).map(|pair| Linear::new(pair[0], pair[1], init, kind, device)).collect();
        Mlp { layers, compute }
    }

    /// h_0 ... h_{L-1} and a_L.
    fn forward(&self, images: &Tensor) -> Vec<Tensor> {
        let mut values = Vec::with_capacity(self.layers.len() + 1);
        values.push(images.flatten(1, -1).to_kind(self.compute));
        for (index, layer) in self.layers.iter().enumerate() {
            let mut a = layer.forward(&values[index]);
            values.push(if index + 1 < self.layers.len() { a.relu_() } else { a });
        }
        values
    }

    /// The gradients of every parameter from h_0 ... h_{L-1} and delta_L.
    fn backward(&self, values: &[Tensor], mut delta: Tensor) -> Vec<Tensor> {
        let mut gradients = Vec::with_capacity(2 * self.layers.len());
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let input = &values[index];
            let [weight, bias] = layer.parameter_gradients(input, &delta);
            gradients.extend([bias, weight]);
            if index > 0 {
                delta = input.threshold_backward(&layer.input_gradient(&delta), 0.0);
            }
        }
        gradients.reverse();
        gradients
    }

    /// The tensors that `tensors` takes from each layer, under PyTorch's names.
    fn named(&self, tensors: impl Fn(&Linear) -> Vec<(String, Tensor)>) -> Vec<Parameter> {
        let of_layer = |(index, layer)| prefixed(&format!("fc{}", index + 1), tensors(layer)).collect::<Vec<_>>();
        self.layers.iter().enumerate().flat_map(of_layer).map(|(name, tensor)| Parameter { name, tensor }).collect()
    }
}

impl Model for Mlp {
    fn parameters(&self) -> Vec<Parameter> {
        self.named(|layer| layer.parameters().into_iter().map(|(name, tensor)| (name, tensor.shallow_clone())).collect())
    }

    fn state_dict(&self) -> Vec<Parameter> {
        self.named(|layer| layer.state_dict())
    }

    fn logits(&self, images: &Tensor, _mode: Mode) -> Tensor {
        self.forward(images).pop().expect("a network has an output")
    }

    fn gradients(&self, images: &Tensor, labels: &Tensor, _mode: Mode, objective: Objective) -> (Tensor, Vec<Tensor>) {
        let mut values = self.forward(images);
        let logits = values.pop().expect("a network has an output");
        let delta = objective.logit_gradient(&logits, labels);
        (logits, self.backward(&values, delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Initialization;

    #[test]
    fn in_bfloat16_a_good_logit_still_has_a_gradient() {
        let network = Mlp::new(1, &[], 2, Initialization::Zero, Kind::BFloat16, Device::Cpu);
        network.parameters()[1].tensor.shallow_clone().copy_(&Tensor::from_slice(&[7.0_f32, 0.0]));
        let images = Tensor::zeros([1, 1, 1, 1], (Kind::Float, Device::Cpu));
        let (_, gradients) = network.gradients(&images, &Tensor::from_slice(&[0_i64]), Mode::Eval, Objective::default());
        // softmax(7, 0) - (1, 0)
        let expected = -1.0 / (1.0 + 7.0_f64.exp());
        assert!((gradients[1].double_value(&[0]) / expected - 1.0).abs() < 0.01, "{:?}", gradients[1]);
    }

    #[test]
    fn bfloat16_computes_on_parameters_kept_in_single_precision() {
        let network = |kind| {
            crate::seed::draw(1, crate::seed::Purpose::Initialization, 0, || {
                Mlp::new(36, &[20], 10, Initialization::Glorot, kind, Device::Cpu)
            })
        };
        let (low, single) = (network(Kind::BFloat16), network(Kind::Float));
        let random = || Tensor::rand([5, 1, 6, 6], (Kind::Float, Device::Cpu));
        let images = crate::seed::draw(2, crate::seed::Purpose::Embedded, 0, random);
        let labels = Tensor::from_slice(&[1_i64, 2, 3, 4, 5]);
        let (logits, gradients) = low.gradients(&images, &labels, Mode::Eval, Objective::default());
        assert_eq!(logits.kind(), Kind::BFloat16);
        assert!(low.parameters().iter().all(|parameter| parameter.tensor.kind() == Kind::Float));
        // Eight bits of mantissa: relative errors below 2 %, and above those of single precision.
        for (gradient, exact) in gradients.iter().zip(single.gradients(&images, &labels, Mode::Eval, Objective::default()).1) {
            let error = (gradient - &exact).norm().double_value(&[]) / exact.norm().double_value(&[]);
            assert!(error < 0.02 && error > 1e-6, "{error}");
        }
    }
}
