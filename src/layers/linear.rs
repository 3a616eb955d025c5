//! The fully connected layer.

use super::init::Fan;
use super::module::check_width;
use super::{Description, InitScheme, LayerConfig, Mode, Module, Place, Relu, Shape};
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// a = h W + b, with h `[n, fan_in]`, W `[fan_in, fan_out]`, b `[fan_out]` and a `[n, fan_out]`.
#[derive(Debug)]
pub struct Linear {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl Linear {
    /// A layer with parameters as `init` draws them.
    pub fn new(fan_in: i64, fan_out: i64, init: impl Into<InitScheme>, kind: Kind, device: Device) -> Linear {
        let init = init.into();
        let fan = Fan { fan_in, fan_out };
        let weight = init.weights.weight(&[fan_in, fan_out], fan).to_device(device).to_kind(kind);
        Linear { weight, bias: init.biases.bias(fan_out, fan).to_device(device).to_kind(kind) }
    }

    /// h W + b, in the precision of `input`: parameters of a higher one are rounded to it.
    pub fn forward(&self, input: &Tensor) -> Tensor {
        let kind = input.kind();
        if kind == self.weight.kind() {
            return self.bias.addmm(input, &self.weight);
        }
        self.bias.to_kind(kind).addmm(input, &self.weight.to_kind(kind))
    }

    /// dJ/dh = delta W^T, where J is the loss and delta = dJ/da, `[n, fan_out]`.
    pub fn input_gradient(&self, delta: &Tensor) -> Tensor {
        let kind = delta.kind();
        if kind == self.weight.kind() {
            return delta.mm(&self.weight.tr());
        }
        delta.mm(&self.weight.to_kind(kind).tr())
    }

    /// dJ/dW = h^T delta and dJ/db = the sum of delta's rows, in the precision of the parameters.
    pub fn parameter_gradients(&self, input: &Tensor, delta: &Tensor) -> [Tensor; 2] {
        let kind = self.weight.kind();
        [input.tr().mm(delta).to_kind(kind), delta.sum_dim_intlist(0, false, None::<Kind>).to_kind(kind)]
    }
}

impl Module for Linear {
    /// [`Linear::forward`] of all values of each example.
    fn forward(&self, input: &Tensor, _mode: Mode) -> Tensor {
        self.forward(&input.flatten(1, -1))
    }

    fn parameters(&self) -> Vec<(String, &Tensor)> {
        vec![("weight".to_owned(), &self.weight), ("bias".to_owned(), &self.bias)]
    }

    /// The weight is `[fan_out, fan_in]` there.
    fn state_dict(&self) -> Vec<(String, Tensor)> {
        vec![("weight".to_owned(), self.weight.detach().tr()), ("bias".to_owned(), self.bias.detach())]
    }
}

/// `{ fully_connected = outputs }`.
pub(super) struct FullyConnectedConfig {
    pub outputs: i64,
}

impl LayerConfig for FullyConnectedConfig {
    fn check(&self) -> Result<(), String> {
        check_width(self.outputs)
    }

    fn describe(&self, input: Shape) -> Result<Description> {
        let (outputs, weights) = (self.outputs, input.numel() * self.outputs);
        Ok(Description {
            relu: Relu::After,
            weights,
            biases: outputs,
            weight_formula: format!("{} × {outputs}", input.to_string().replace('x', " × ")),
            multiply_adds: weights,
            ..Description::new("FC", "fc", ("fully connected", 0xa080d0), Shape::Vector(outputs))
        })
    }

    fn build(&self, place: &Place) -> Box<dyn Module> {
        Box::new(Linear::new(place.input.numel(), self.outputs, place.init, place.kind, place.device))
    }
}
