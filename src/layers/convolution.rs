//! The convolutional layer.

use super::init::Fan;
use super::module::check_width;
use super::{Description, InitScheme, LayerConfig, Mode, Module, Place, Relu, Shape};
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Height and width of the filters.
pub(super) const KERNEL: i64 = 3;

/// `{ convolution = filters }`.
pub(super) struct ConvolutionConfig {
    pub filters: i64,
}

impl LayerConfig for ConvolutionConfig {
    fn check(&self) -> Result<(), String> {
        check_width(self.filters)
    }

    fn describe(&self, input: Shape) -> Result<Description> {
        let ([channels, height, width], filters) = (input.image()?, self.filters);
        let (output, weights) = (Shape::Image { channels: filters, height, width }, channels * KERNEL * KERNEL * filters);
        Ok(Description {
            relu: Relu::After,
            weights,
            biases: filters,
            weight_formula: format!("({KERNEL} × {KERNEL} × {channels}) × {filters}"),
            multiply_adds: weights * height * width,
            ..Description::new("Conv", "conv", ("convolution", 0xffd066), output)
        })
    }

    fn build(&self, place: &Place) -> Box<dyn Module> {
        Box::new(Convolution::new(place.input.channels(), self.filters, place.init, place.kind, place.device))
    }
}

/// a\[n, o, y, x\] = b\[o\] + sum over c, i, j of W\[o, c, i, j\] h\[n, c, y + i - 1, x + j - 1\], where h is zero outside the image.
///
/// h `[n, inputs, height, width]`, W `[outputs, inputs, 3, 3]`, b `[outputs]`, a `[n, outputs, height, width]`.
///
/// For odd kernel size k and stride s: padding floor(k / 2) takes the place of 1, a\[.., y, x\] reads h at s y + i - floor(k / 2) and
/// s x + j - floor(k / 2), and a is `[n, outputs, ceil(height / s), ceil(width / s)]`.
///
/// W is kept channels-last, and libtorch then makes `a` channels-last too, whatever h is: on the CPU that is
/// faster (PyTorch's step of the report's network in both layouts: `cargo bench --profile dev --bench cnn -- step`).
#[derive(Debug)]
pub struct Convolution {
    pub weight: Tensor,
    pub bias: Tensor,
    stride: i64,
}

impl Convolution {
    /// A layer of 3x3 filters with parameters as `init` draws them.
    pub fn new(inputs: i64, outputs: i64, init: impl Into<InitScheme>, kind: Kind, device: Device) -> Convolution {
        Convolution::sized(inputs, outputs, KERNEL, 1, init.into(), kind, device)
    }

    /// A layer of `kernel` x `kernel` filters (`kernel` odd), with stride `stride` and padding `kernel / 2`.
    pub fn sized(inputs: i64, outputs: i64, kernel: i64, stride: i64, init: InitScheme, kind: Kind, device: Device) -> Convolution {
        let fan = Fan { fan_in: inputs * kernel * kernel, fan_out: outputs * kernel * kernel };
        let weight = init.weights.weight(&[outputs, inputs, kernel, kernel], fan).to_device(device).to_kind(kind);
        Convolution { weight: channels_last(&weight), bias: init.biases.bias(outputs, fan).to_device(device).to_kind(kind), stride }
    }
}

impl Module for Convolution {
    fn forward(&self, input: &Tensor, _mode: Mode) -> Tensor {
        let (kind, kernel) = (input.kind(), self.weight.size()[2]);
        // On processors without AVX-512, oneDNN's weight gradient of a 1x1 convolution with a stride writes out of bounds (channels-last,
        // fewer than 8 input channels: a crash, a hang or wrong values). Taking the pixels first is the same by definition.
        let (input, stride) = match (kernel, self.stride) {
            (1, stride) if stride > 1 => (&input.slice(2, None, None, stride).slice(3, None, None, stride), 1),
            (_, stride) => (input, stride),
        };
        input.conv2d(&self.weight.to_kind(kind), Some(self.bias.to_kind(kind)), [stride; 2], [kernel / 2; 2], [1, 1], 1)
    }

    fn parameters(&self) -> Vec<(String, &Tensor)> {
        vec![("weight".to_owned(), &self.weight), ("bias".to_owned(), &self.bias)]
    }
}

/// The same values in the same shape `[n, c, h, w]`, with the channels of a pixel side by side in memory.
fn channels_last(tensor: &Tensor) -> Tensor {
    // tch has no memory-format argument, and `contiguous` leaves a tensor of one channel with strides that libtorch reads as the
    // default layout: so memory is laid out afresh.
    let (n, c, h, w) = tensor.size4().expect("a weight has four dimensions");
    let mut laid_out = Tensor::empty([n, h, w, c], (tensor.kind(), tensor.device())).permute([0, 3, 1, 2]);
    laid_out.copy_(tensor);
    laid_out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Initialization;
    use crate::seed::{Purpose, draw};

    #[test]
    fn it_computes_its_definition() {
        let layer =
            draw(1, Purpose::Initialization, 0, || Convolution::new(2, 3, Initialization::KaimingUniform, Kind::Double, Device::Cpu));
        let input = draw(2, Purpose::Initialization, 0, || Tensor::randn([2, 2, 5, 4], (Kind::Double, Device::Cpu)));
        let output = layer.forward(&input, Mode::Eval);
        assert_eq!(output.size(), [2, 3, 5, 4]);
        let pixel = |n: i64, c: i64, y: i64, x: i64| {
            let is_inside = (0..5).contains(&y) && (0..4).contains(&x);
            if is_inside { input.double_value(&[n, c, y, x]) } else { 0.0 }
        };
        for (n, o, y, x) in [(0, 0, 0, 0), (0, 1, 2, 2), (1, 2, 4, 3), (1, 0, 0, 3), (0, 2, 3, 0)] {
            let mut a = layer.bias.double_value(&[o]);
            for (c, i, j) in (0..2).flat_map(|c| (0..3).flat_map(move |i| (0..3).map(move |j| (c, i, j)))) {
                a += layer.weight.double_value(&[o, c, i, j]) * pixel(n, c, y + i - 1, x + j - 1);
            }
            assert!((output.double_value(&[n, o, y, x]) - a).abs() < 1e-12, "at {n} {o} {y} {x}");
        }
    }

    /// With the weight gradient against its definition: see `Convolution::forward`.
    #[test]
    fn kernels_of_one_and_three_pixels_with_a_stride_compute_their_definition_and_its_gradient() {
        let options = (Kind::Float, Device::Cpu);
        for (inputs, kernel, stride) in (1..=12).flat_map(|inputs| [(inputs, 1, 2), (inputs, 3, 2), (inputs, 1, 3), (inputs, 1, 1)]) {
            let init = Initialization::KaimingUniform.into();
            let (layer, images) = draw(1, Purpose::Initialization, 0, || {
                let layer = Convolution::sized(inputs, 6, kernel, stride, init, options.0, options.1);
                (layer, channels_last(&Tensor::randn([16, inputs, 6, 6], options)))
            });
            let weight = layer.weight.set_requires_grad(true);
            let output = layer.forward(&images, Mode::Eval);
            let delta = draw(2, Purpose::Initialization, 0, || Tensor::randn(output.size(), options));
            let gradient = Tensor::run_backward(&[(&output * &delta).sum(Kind::Float)], &[&weight], false, false).remove(0);

            // A column for each output pixel, of all pixels that its kernel covers.
            let columns = images.contiguous().im2col([kernel; 2], [1, 1], [kernel / 2; 2], [stride; 2]);
            let rows = weight.detach().contiguous().view([6, -1]);
            let expected = (rows.matmul(&columns) + layer.bias.view([6, 1])).view_as(&output);
            assert!(output.allclose(&expected, 1e-4, 1e-5, false), "{inputs} channels, kernel {kernel}, stride {stride}");
            let expected = delta.contiguous().flatten(2, 3).matmul(&columns.transpose(1, 2)).sum_dim_intlist(0, false, Kind::Float);
            assert!(
                gradient.allclose(&expected.view_as(&gradient), 1e-4, 1e-4, false),
                "{inputs} channels, kernel {kernel}, stride {stride}"
            );
        }
    }

    #[test]
    fn values_stay_channels_last_from_layer_to_layer() {
        let layer = |inputs, outputs| Convolution::new(inputs, outputs, Initialization::Zero, Kind::Float, Device::Cpu);
        let images = Tensor::zeros([2, 1, 6, 6], (Kind::Float, Device::Cpu));
        let first = layer(1, 8).forward(&images, Mode::Eval);
        assert_eq!(first.stride(), [288, 1, 48, 8], "an image's, a channel's, a row's and a pixel's");
        assert_eq!(layer(8, 3).forward(&first, Mode::Eval).stride(), [108, 1, 18, 3]);
    }
}
