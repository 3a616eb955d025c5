//! The residual block.

use super::convolution::KERNEL;
use super::module::{check_width, prefixed};
use super::{BatchNorm, Convolution, Description, InitScheme, LayerConfig, Mode, Module, Place, Relu, Shape};
use anyhow::Result;
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
    /// A block with weights as `init` draws them.
    pub fn new(inputs: i64, filters: i64, init: InitScheme, kind: Kind, device: Device) -> ResidualBlock {
        let changes = inputs != filters;
        let stride = if changes { 2 } else { 1 };
        let part = |inputs, kernel, stride| {
            (Convolution::sized(inputs, filters, kernel, stride, init, kind, device), BatchNorm::new(filters, kind, device))
        };
        ResidualBlock {
            first: part(inputs, KERNEL, stride),
            second: part(filters, KERNEL, 1),
            shortcut: changes.then(|| part(inputs, 1, stride)),
        }
    }

    /// Its convolutions and normalizations, in order, by the names that PyTorch users give them.
    fn parts(&self) -> Vec<(&'static str, &dyn Module)> {
        let ((conv1, bn1), (conv2, bn2)) = (&self.first, &self.second);
        let mut parts: Vec<(&'static str, &dyn Module)> = vec![("conv1", conv1), ("bn1", bn1), ("conv2", conv2), ("bn2", bn2)];
        if let Some((convolution, norm)) = &self.shortcut {
            parts.extend([("shortcut.0", convolution as &dyn Module), ("shortcut.1", norm)]);
        }
        parts
    }
}

impl Module for ResidualBlock {
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        let apply =
            |(convolution, norm): &(Convolution, BatchNorm), values: &Tensor| norm.forward(&convolution.forward(values, mode), mode);
        let inner = apply(&self.second, &apply(&self.first, input).relu_());
        let past = self.shortcut.as_ref().map_or_else(|| input.shallow_clone(), |shortcut| apply(shortcut, input));
        (inner + past).relu_()
    }

    fn parameters(&self) -> Vec<(String, &Tensor)> {
        self.parts().into_iter().flat_map(|(name, part)| prefixed(name, part.parameters())).collect()
    }

    fn buffers(&self) -> Vec<(String, &Tensor)> {
        self.parts().into_iter().flat_map(|(name, part)| prefixed(name, part.buffers())).collect()
    }
}

/// `{ residual_block = filters }`.
pub(super) struct ResidualBlockConfig {
    pub filters: i64,
}

impl LayerConfig for ResidualBlockConfig {
    fn check(&self) -> Result<(), String> {
        check_width(self.filters)
    }

    fn describe(&self, input: Shape) -> Result<Description> {
        let ([channels, height, width], filters) = (input.image()?, self.filters);
        let changes = channels != filters;
        let (height, width) = if changes { ((height + 1) / 2, (width + 1) / 2) } else { (height, width) };
        // Inputs of a filter of each convolution; its normalization has a weight and a bias for each filter.
        let fans = [channels * KERNEL * KERNEL, filters * KERNEL * KERNEL].into_iter().chain(changes.then_some(channels));
        let (count, products) = fans.fold((0, 0), |(count, products), fan_in| (count + 1, products + fan_in * filters));
        Ok(Description {
            relu: Relu::Inside,
            weights: products + count * filters,
            biases: 2 * count * filters,
            weight_formula: format!("two of {KERNEL} × {KERNEL} × {filters}"),
            multiply_adds: products * height * width,
            ..Description::new("Block", "block", ("residual block", 0x6fa8dc), Shape::Image { channels: filters, height, width })
        })
    }

    fn build(&self, place: &Place) -> Box<dyn Module> {
        Box::new(ResidualBlock::new(place.input.channels(), self.filters, place.init, place.kind, place.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Initialization;
    use crate::seed::{Purpose, draw};

    #[test]
    fn it_adds_what_two_convolutions_make_of_its_input_to_the_input() {
        let (mode, options) = (Mode::Eval, (Kind::Double, Device::Cpu));
        for (inputs, filters, size) in [(3, 3, [2, 3, 6, 5]), (3, 4, [2, 4, 3, 3])] {
            let init = Initialization::KaimingUniform.into();
            let (block, input) = draw(1, Purpose::Initialization, 0, || {
                (ResidualBlock::new(inputs, filters, init, Kind::Double, Device::Cpu), Tensor::randn([2, inputs, 6, 5], options))
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
