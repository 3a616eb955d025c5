//! Networks: the trait [`Model`], and the report's MLP, CNN and VGG.

mod cnn;
mod distilled;
mod explain;
mod mlp;
mod test_time_augmentation;

pub use cnn::Cnn;
pub use distilled::Distilled;
pub use mlp::Mlp;
pub use test_time_augmentation::TestTimeAugmentation;

use crate::architecture::{Architecture, Shape};
use crate::experiment::{self, Views};
use crate::layers::Mode;
use crate::loss::Objective;
use crate::seed::{Purpose, draw};
use anyhow::{Result, bail, ensure};
use tch::{Device, Tensor};

/// A named parameter or buffer. The tensor is a handle: it shares its storage with the network's own.
#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    pub tensor: Tensor,
}

/// A network that classifies images.
pub trait Model {
    /// Every parameter, in the order in which [`Model::gradients`] gives their gradients.
    fn parameters(&self) -> Vec<Parameter>;

    /// Logits `[n, classes]` of images `[n, channels, height, width]`.
    fn logits(&self, images: &Tensor, mode: Mode) -> Tensor;

    /// Logits of a training minibatch, and the gradients of `objective` with respect to every parameter. Labels are int64, `[n]`; where autograd
    /// differentiates, probabilities `[n, classes]`, too.
    fn gradients(&self, images: &Tensor, labels: &Tensor, mode: Mode, objective: Objective) -> (Tensor, Vec<Tensor>);

    /// Evidence for class `classes[i]` (int64 `[n]`) in image i, `[n, rows, columns]`: the class activation map (Zhou et al. 2016) where
    /// the network ends with global average pooling and one linear layer, else the saliency map |d logit / d pixel| (Simonyan et al.
    /// 2014); 0 where autograd does not follow [`Model::logits`].
    fn explain(&self, images: &Tensor, classes: &Tensor) -> Tensor {
        explain::saliency(images, classes, |images| self.logits(images, Mode::Eval))
    }

    /// Buffers as in `torch.nn`: running means and variances, which training updates without gradients and inference uses.
    fn buffers(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Parameters, then buffers, in the network's own layout: a linear weight is `[inputs, outputs]`, unlike in [`Model::state_dict`].
    fn values(&self) -> Vec<Parameter> {
        let mut values = self.parameters();
        values.extend(self.buffers());
        values
    }

    /// The state dict, parameters, then buffers, with PyTorch's names and shapes: a linear layer's weight is `[outputs, inputs]`. The tensors
    /// share the storage of the network's own.
    fn state_dict(&self) -> Vec<Parameter> {
        self.values()
    }

    /// Number of trainable parameters.
    fn parameter_count(&self) -> i64 {
        self.parameters().iter().map(|parameter| parameter.tensor.numel() as i64).sum()
    }
}

/// Builds the network `model` for images `[channels, height, width]` and so many `classes`, initialized from `seed`.
///
/// # Errors
/// If its layers do not fit the images or the classes, or its number of parameters differs from `model.parameters`.
pub fn build(model: &experiment::Model, image: [i64; 3], classes: i64, seed: u64, device: Device) -> Result<Box<dyn Model>> {
    let experiment::Model { hidden, layers, precision, parameters, test_time_augmentation, .. } = model;
    let kind = precision.kind();
    let network: Box<dyn Model> = if layers.is_empty() {
        let pixels = image.iter().product();
        draw(seed, Purpose::Initialization, 0, || Box::new(Mlp::new(pixels, hidden, classes, model.init_scheme(), kind, device)))
    } else {
        let architecture = Architecture::new(image, layers)?;
        let output = architecture.output();
        ensure!(
            output == Shape::Vector(classes),
            "the last layer of model.layers gives {output} values, expected {{ fully_connected = {classes} }}, one value for each class"
        );
        draw(seed, Purpose::Initialization, 0, || Box::new(Cnn::new(&architecture, model.init_scheme(), kind, device)))
    };
    let (found, stated) = (network.parameter_count(), parameters.unwrap_or(network.parameter_count()));
    ensure!(
        found == stated,
        "the network has {found} parameters, but model.parameters is {stated}; correct model.parameters, or the layers"
    );
    Ok(if *test_time_augmentation == Views::Single {
        network
    } else {
        Box::new(TestTimeAugmentation::new(network, *test_time_augmentation))
    })
}

/// The layers of the network that `model` describes, for images `[channels, height, width]`.
///
/// # Errors
/// If the built network's number of parameters differs from that of the layers, or from `model.parameters`.
pub fn architecture(model: &experiment::Model, image: [i64; 3]) -> Result<Architecture> {
    let architecture = Architecture::new(image, &model.layers)?;
    let Shape::Vector(classes) = architecture.output() else { bail!("the last layer of model.layers is not fully connected") };
    let (described, built) = (architecture.parameters(), build(model, image, classes, 0, Device::Cpu)?.parameter_count());
    ensure!(described == built, "model.layers describes {described} parameters, but the network built from it has {built}");
    Ok(architecture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{ExperimentFile, Layer};
    use std::path::Path;

    fn experiment(file: &str, variant: &str) -> Result<experiment::Model> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(file);
        Ok(ExperimentFile::read(&path)?.variant(variant)?.model)
    }

    /// The counts that the report prints for its networks on MNIST; the text says 26,505 once.
    #[test]
    fn the_networks_have_the_reported_numbers_of_parameters() -> Result<()> {
        let counts = [
            ("table2_sweep.toml", "best", 669_706),
            ("table2_sweep.toml", "attempt_1", 269_322),
            ("table2_sweep.toml", "attempt_2", 535_818),
            ("table2_sweep.toml", "attempt_3", 55_050),
            ("table2_sweep.toml", "attempt_4", 26_506),
            ("fig10_11_cnn_capacity.toml", "large", 570_436),
            ("fig10_11_cnn_capacity.toml", "small", 2_066),
        ];
        for (file, variant, count) in counts {
            let mut model = experiment(file, variant)?;
            let build = |model: &experiment::Model| build(model, [1, 28, 28], 10, 1, Device::Cpu);
            assert_eq!(build(&model)?.parameter_count(), count, "{variant}");
            model.parameters = Some(count - 1);
            let error = build(&model).err().expect("a wrong count").to_string();
            assert!(error.contains(&count.to_string()) && error.contains("model.parameters"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn a_network_gives_one_value_for_each_class() -> Result<()> {
        let mut model = experiment("fig10_11_cnn_capacity.toml", "small")?;
        model.parameters = None;
        for last in [Layer::FullyConnected(9), Layer::MaxPool] {
            model.layers.pop();
            model.layers.push(last);
            let error = build(&model, [1, 28, 28], 10, 1, Device::Cpu).err().expect("not ten").to_string();
            assert!(error.contains("expected { fully_connected = 10 }"), "{error}");
        }
        Ok(())
    }
}
