//! Batch and group normalization.

use super::module::check_width;
use super::{Description, LayerConfig, Mode, Module, Place, Relu, Shape};
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

/// `eps`, as in PyTorch.
const EPSILON: f64 = 1e-5;
/// `momentum` of the running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// y = weight (x - mean) / sqrt(variance + 1e-5) + bias, for each channel of x `[n, channels, height, width]` or each value of x
/// `[n, channels]` (Ioffe and Szegedy 2015).
///
/// In training mode, mean and variance are those of the minibatch, and the running statistics are updated with momentum 0.1; in evaluation
/// mode they are the running statistics. All four tensors are `[channels]`.
#[derive(Debug)]
pub struct BatchNorm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub running_mean: Tensor,
    pub running_variance: Tensor,
}

impl BatchNorm {
    /// Weight 1, bias 0, running mean 0, running variance 1.
    pub fn new(channels: i64, kind: Kind, device: Device) -> BatchNorm {
        let (ones, zeros) = (|| Tensor::ones([channels], (kind, device)), || Tensor::zeros([channels], (kind, device)));
        BatchNorm { weight: ones(), bias: zeros(), running_mean: zeros(), running_variance: ones() }
    }
}

impl Module for BatchNorm {
    fn forward(&self, input: &Tensor, mode: Mode) -> Tensor {
        let BatchNorm { weight, bias, running_mean, running_variance } = self;
        // One value has no variance.
        let has_variance = input.numel() > weight.numel();
        let training = mode != Mode::Eval && has_variance;
        input.batch_norm(Some(weight), Some(bias), Some(running_mean), Some(running_variance), training, MOMENTUM, EPSILON, true)
    }

    fn parameters(&self) -> Vec<(String, &Tensor)> {
        vec![("weight".to_owned(), &self.weight), ("bias".to_owned(), &self.bias)]
    }

    fn buffers(&self) -> Vec<(String, &Tensor)> {
        vec![("running_mean".to_owned(), &self.running_mean), ("running_var".to_owned(), &self.running_variance)]
    }
}

/// `"batch_norm"`.
pub(super) struct BatchNormConfig;

impl LayerConfig for BatchNormConfig {
    fn describe(&self, input: Shape) -> Result<Description> {
        Ok(describe("BatchNorm", "bn", input))
    }

    fn build(&self, place: &Place) -> Box<dyn Module> {
        Box::new(BatchNorm::new(place.input.channels(), place.kind, place.device))
    }
}

/// A normalization with a weight and a bias for each channel.
fn describe(label: &'static str, module: &'static str, input: Shape) -> Description {
    let channels = input.channels();
    Description {
        relu: Relu::Delayed,
        weights: channels,
        biases: channels,
        weight_formula: channels.to_string(),
        ..Description::new(label, module, ("normalization", 0x8cc084), input)
    }
}

/// y = weight (x - mean) / sqrt(variance + 1e-5) + bias, with mean and variance over each group of channels within an example of x
/// `[n, channels, height, width]` or `[n, channels]` (Wu and He 2018). Weight and bias are `[channels]`.
#[derive(Debug)]
pub struct GroupNorm {
    pub groups: i64,
    pub weight: Tensor,
    pub bias: Tensor,
}

impl GroupNorm {
    pub fn new(groups: i64, channels: i64, kind: Kind, device: Device) -> GroupNorm {
        GroupNorm { groups, weight: Tensor::ones([channels], (kind, device)), bias: Tensor::zeros([channels], (kind, device)) }
    }
}

impl Module for GroupNorm {
    fn forward(&self, input: &Tensor, _mode: Mode) -> Tensor {
        let rounded = |parameter: &Tensor| Some(parameter.to_kind(input.kind()));
        input.group_norm(self.groups, rounded(&self.weight), rounded(&self.bias), EPSILON, true)
    }

    fn parameters(&self) -> Vec<(String, &Tensor)> {
        vec![("weight".to_owned(), &self.weight), ("bias".to_owned(), &self.bias)]
    }
}

/// `{ group_norm = groups }`.
pub(super) struct GroupNormConfig {
    pub groups: i64,
}

impl LayerConfig for GroupNormConfig {
    fn check(&self) -> Result<(), String> {
        check_width(self.groups)
    }

    fn describe(&self, input: Shape) -> Result<Description> {
        let (channels, groups) = (input.channels(), self.groups);
        ensure!(channels % groups == 0, "gets {channels} channels, expected a multiple of {groups}");
        Ok(describe("GroupNorm", "gn", input))
    }

    fn build(&self, place: &Place) -> Box<dyn Module> {
        Box::new(GroupNorm::new(self.groups, place.input.channels(), place.kind, place.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};

    const OPTIONS: (Kind, Device) = (Kind::Double, Device::Cpu);
    const TRAIN: Mode = Mode::Train { seed: 1, minibatch: 0 };

    fn random(size: &[i64]) -> Tensor {
        draw(1, Purpose::Embedded, 0, || Tensor::randn(size, OPTIONS) * 3.0 + 2.0)
    }

    fn channels(values: &[f64]) -> Tensor {
        Tensor::from_slice(values)
    }

    #[test]
    fn batch_norm_computes_its_definition_and_remembers_in_training_only() {
        for size in [[6, 2, 3, 5].as_slice(), &[6, 2]] {
            let (input, mut norm) = (random(size), BatchNorm::new(2, Kind::Double, Device::Cpu));
            (norm.weight, norm.bias) = (channels(&[0.5, 2.0]), channels(&[1.0, -1.0]));
            // [channels, values of each].
            let columns = |tensor: &Tensor| tensor.transpose(0, 1).flatten(1, -1);
            let mean = columns(&input).mean_dim(1, true, None::<Kind>);
            let moved = columns(&input) - &mean;
            let variance = (&moved * &moved).mean_dim(1, true, None::<Kind>);
            let expected = moved / (&variance + 1e-5).sqrt() * norm.weight.unsqueeze(1) + norm.bias.unsqueeze(1);
            assert!(columns(&norm.forward(&input, TRAIN)).allclose(&expected, 1e-9, 1e-12, false));
            let count = columns(&input).size()[1] as f64;
            let (running_mean, running_variance) = (mean * 0.1, variance * (0.1 * count / (count - 1.0)) + 0.9);
            assert!(norm.running_mean.allclose(&running_mean.squeeze_dim(1), 1e-9, 1e-12, false));
            assert!(norm.running_variance.allclose(&running_variance.squeeze_dim(1), 1e-9, 1e-12, false), "unbiased");

            let remembered = (norm.running_mean.copy(), norm.running_variance.copy());
            let expected = (columns(&input) - running_mean) / (running_variance + 1e-5).sqrt() * norm.weight.unsqueeze(1);
            assert!(columns(&norm.forward(&input, Mode::Eval)).allclose(&(expected + norm.bias.unsqueeze(1)), 1e-9, 1e-12, false));
            assert_eq!((norm.running_mean, norm.running_variance), remembered);
        }
    }

    #[test]
    fn a_minibatch_of_one_value_a_channel_is_not_normalized_by_itself() {
        let norm = BatchNorm::new(3, Kind::Float, Device::Cpu);
        let output = norm.forward(&Tensor::from_slice(&[5_f32, 6.0, 7.0]).view([1, 3]), TRAIN);
        assert!(output.get(0).allclose(&Tensor::from_slice(&[5_f32, 6.0, 7.0]), 1e-4, 0.0, false), "by the running mean 0 and variance 1");
        assert_eq!(norm.running_variance, Tensor::ones([3], (Kind::Float, Device::Cpu)));
    }

    #[test]
    fn group_norm_computes_its_definition() {
        let (input, mut norm) = (random(&[2, 6, 3, 5]), GroupNorm::new(3, 6, Kind::Double, Device::Cpu));
        (norm.weight, norm.bias) = (channels(&[1., 2., 3., 4., 5., 6.]), channels(&[6., 5., 4., 3., 2., 1.]));
        let groups = input.reshape([2, 3, -1]);
        let moved = &groups - groups.mean_dim(2, true, None::<Kind>);
        let variance = (&moved * &moved).mean_dim(2, true, None::<Kind>);
        let normal = (moved / (variance + 1e-5).sqrt()).reshape([2, 6, 3, 5]);
        let expected = normal * norm.weight.view([6, 1, 1]) + norm.bias.view([6, 1, 1]);
        assert!(norm.forward(&input, TRAIN).allclose(&expected, 1e-9, 1e-12, false));
    }

    #[test]
    fn both_take_values_of_a_lower_precision() {
        let input = random(&[8, 4, 6, 6]).to_kind(Kind::Float);
        let (batch, group) = (BatchNorm::new(4, Kind::Float, Device::Cpu), GroupNorm::new(2, 4, Kind::Float, Device::Cpu));
        let low = input.to_kind(Kind::BFloat16);
        for (exact, rounded) in
            [(batch.forward(&input, TRAIN), batch.forward(&low, TRAIN)), (group.forward(&input, TRAIN), group.forward(&low, TRAIN))]
        {
            assert_eq!(rounded.kind(), Kind::BFloat16);
            assert!(rounded.to_kind(Kind::Float).allclose(&exact, 0.05, 0.05, false));
        }
        assert_eq!(batch.running_mean.kind(), Kind::Float);
    }
}
