//! The fully connected layer.

use super::Fan;
use crate::experiment::Start;
use tch::{Device, Kind, Tensor};

/// a = h W + b, with h `[n, fan_in]`, W `[fan_in, fan_out]`, b `[fan_out]` and a `[n, fan_out]`.
#[derive(Debug)]
pub struct Linear {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl Linear {
    /// A layer with parameters as `start` draws them.
    pub fn new(fan_in: i64, fan_out: i64, start: impl Into<Start>, kind: Kind, device: Device) -> Linear {
        let start = start.into();
        let fan = Fan { fan_in, fan_out };
        let weight = start.weights.weight(&[fan_in, fan_out], fan).to_device(device).to_kind(kind);
        Linear { weight, bias: start.biases.bias(fan_out, fan).to_device(device).to_kind(kind) }
    }

    /// h W + b, in the precision of `input`: parameters of a higher one are rounded to it.
    pub fn forward(&self, input: &Tensor) -> Tensor {
        let kind = input.kind();
        if kind == self.weight.kind() {
            return self.bias.addmm(input, &self.weight);
        }
        self.bias.to_kind(kind).addmm(input, &self.weight.to_kind(kind))
    }

    /// dL/dh = delta W^T, where delta = dL/da, `[n, fan_out]`.
    pub fn input_gradient(&self, delta: &Tensor) -> Tensor {
        let kind = delta.kind();
        if kind == self.weight.kind() {
            return delta.mm(&self.weight.tr());
        }
        delta.mm(&self.weight.to_kind(kind).tr())
    }

    /// dL/dW = h^T delta and dL/db = the sum of delta's rows, in the precision of the parameters.
    pub fn parameter_gradients(&self, input: &Tensor, delta: &Tensor) -> [Tensor; 2] {
        let kind = self.weight.kind();
        [input.tr().mm(delta).to_kind(kind), delta.sum_dim_intlist(0, false, None::<Kind>).to_kind(kind)]
    }
}
