//! The residual block.

use super::{BatchNorm, Convolution, Mode};
use crate::architecture::KERNEL;
use crate::experiment::Start;
use tch::{Device, Kind, Tensor};

/// y = ReLU(N2(C2(ReLU(N1(C1(x))))) + S(x)): two 3x3 convolutions C with batch normalization N, and a shortcut S past both (He et al. 2015,
/// Figure 2).
///
/// Where x has as many channels as the block has filters, S(x) = x. Otherwise C1 takes every second pixel, and S is a 1x1 convolution that
/// does the same, with batch normalization (option B of section 3.3); from `[n, inputs, height, width]` to
/// `[n, filters, ceil(height / 2), ceil(width / 2)]`.
#[derive(Debug)]
pub struct ResidualBlock {
    pub first: (Convolution, BatchNorm),
    pub second: (Convolution, BatchNorm),
    pub shortcut: Option<(Convolution, BatchNorm)>,
}

impl ResidualBlock {
    /// A block with weights as `start` draws them.
    pub fn new(inputs: i64, filters: i64, start: Start, kind: Kind, device: Device) -> ResidualBlock {
        let changes = inputs != filters;
        let stride = if changes { 2 } else { 1 };
        let part = |inputs, kernel, stride| {
            (Convolution::sized(inputs, filters, kernel, stride, start, kind, device), BatchNorm::new(filters, kind, device))
        };
        ResidualBlock {
            first: part(inputs, KERNEL, stride),
            second: part(filters, KERNEL, 1),
            shortcut: changes.then(|| part(inputs, 1, stride)),
        }
    }

    pub fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        let apply = |(convolution, norm): &(Convolution, BatchNorm), values: &Tensor| norm.forward(&convolution.forward(values), mode);
        let inner = apply(&self.second, &apply(&self.first, input).relu_());
        let past = self.shortcut.as_ref().map_or_else(|| input.shallow_clone(), |shortcut| apply(shortcut, input));
        (inner + past).relu_()
    }

    /// What it learns, by name.
    pub fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        let tensors = self.parts().flat_map(|(layer, norm)| [&layer.weight, &layer.bias, &norm.weight, &norm.bias]);
        PARAMETERS.as_flattened().iter().copied().zip(tensors).collect()
    }

    /// What its normalizations remember, by name.
    pub fn buffers(&self) -> Vec<(&'static str, &Tensor)> {
        let tensors = self.parts().flat_map(|(_, norm)| [&norm.running_mean, &norm.running_variance]);
        BUFFERS.as_flattened().iter().copied().zip(tensors).collect()
    }

    fn parts(&self) -> impl Iterator<Item = &(Convolution, BatchNorm)> {
        [&self.first, &self.second].into_iter().chain(&self.shortcut)
    }
}

/// The names of the three parts' parameters, and of what their normalizations remember.
const PARAMETERS: [[&str; 4]; 3] = [
    ["first convolution, weight", "first convolution, bias", "first norm, weight", "first norm, bias"],
    ["second convolution, weight", "second convolution, bias", "second norm, weight", "second norm, bias"],
    ["shortcut convolution, weight", "shortcut convolution, bias", "shortcut norm, weight", "shortcut norm, bias"],
];
const BUFFERS: [[&str; 2]; 3] = [
    ["first norm, running mean", "first norm, running variance"],
    ["second norm, running mean", "second norm, running variance"],
    ["shortcut norm, running mean", "shortcut norm, running variance"],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Initialization;
    use crate::seed::{Purpose, draw};

    #[test]
    fn it_adds_what_two_convolutions_make_of_its_input_to_the_input() {
        let (mode, options) = (Mode::Eval, (Kind::Double, Device::Cpu));
        for (inputs, filters, size) in [(3, 3, [2, 3, 6, 5]), (3, 4, [2, 4, 3, 3])] {
            let start = Initialization::KaimingUniform.into();
            let (block, input) = draw(1, Purpose::Initialization, 0, || {
                (ResidualBlock::new(inputs, filters, start, Kind::Double, Device::Cpu), Tensor::randn([2, inputs, 6, 5], options))
            });
            let output = block.forward(&input, mode);
            assert_eq!(output.size(), size);
            // A new normalization divides by sqrt(1 + 1e-5), and nothing else.
            let norm = |values: Tensor| values / (1.0_f64 + 1e-5).sqrt();
            let stride = if inputs == filters { 1 } else { 2 };
            let convolution = |layer: &Convolution, values: &Tensor, stride: i64, padding: i64| {
                norm(values.conv2d(&layer.weight, Some(&layer.bias), [stride; 2], [padding; 2], [1, 1], 1))
            };
            let inner = convolution(&block.second.0, &convolution(&block.first.0, &input, stride, 1).relu(), 1, 1);
            let past = block.shortcut.as_ref().map_or(input.shallow_clone(), |(layer, _)| convolution(layer, &input, 2, 0));
            assert!(output.allclose(&(inner + past).relu(), 1e-9, 1e-12, false), "{filters} filters");
        }
    }
}
