//! Trains a small CNN on MNIST for two epochs, and prints how many of the test images it gets right.

use anyhow::{Context, Result};
use reproduction::data::splits::Splits;
use reproduction::data::{Location, mnist};
use reproduction::device::Choice;
use reproduction::experiment::ExperimentFile;
use reproduction::history::{Metric, Split};
use reproduction::{device, model, train};
use std::path::Path;

fn main() -> Result<()> {
    println!("{:.2} % of the test images are right", 100.0 * accuracy(&Location::Search)?);
    Ok(())
}

/// The accuracy on the test images, a fraction, after training on MNIST from `location`.
pub fn accuracy(location: &Location) -> Result<f64> {
    let (seed, device) = (1, device::select(Choice::Auto)?);
    let experiment = ExperimentFile::parse(EXPERIMENT, Path::new("."))?.variant("cnn")?;
    let digits = mnist::load(location, Path::new("."))?;
    let splits = Splits::new(&digits.train, digits.test.as_ref(), &experiment, seed, device)?;
    let model = model::build(&experiment.model, [1, 28, 28], 10, seed, device)?;
    let training = experiment.training()?;
    let history = train::fit(&*model, &splits, training, seed, train::State::new(training), &mut ())?;
    history.get(training.epochs, Split::Test, Metric::Accuracy).context("the test images are measured after the last epoch")
}

/// As in experiments/, where the keys are told.
const EXPERIMENT: &str = r#"
    run = ["cnn"]
    split = { validation = "last", validation_examples = 5000 }
    model.initialization = "glorot"
    model.layers = [{ convolution = 8 }, "max_pool", { convolution = 16 }, "max_pool", { fully_connected = 10 }]
    training = { epochs = 2, minibatch = 64, learning_rate = 0.05, momentum = 0.9, order = "shuffled" }
    variants.cnn = {}
"#;
