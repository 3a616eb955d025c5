//! Is a GPU's arithmetic the CPU's? From one seed on both: loss, gradients, an SGD step and an EMA step of a minibatch, and augmentation.
//!
//! `cargo bench --bench gpu_check` compares the first GPU with the CPU, `-- --device cpu` the CPU with itself and single with double
//! precision. It trains nothing, writes nothing, and fails above a bound: 1e-10 in double precision, 1e-4 in single precision without TF32
//! (the median of three seeds, where the first is above it). TF32 and bf16 are printed only.

#[path = "networks.rs"]
mod networks;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use networks::{Network, augmented, splits};
use reproduction::data::splits::Minibatch;
use reproduction::device::{self, Choice};
use reproduction::experiment::{Experiment, Layer, Precision};
use reproduction::layers::Mode;
use reproduction::libtorch::Arithmetic;
use reproduction::loss::Objective;
use reproduction::model::{self, Model, Parameter};
use reproduction::optim;
use reproduction::train::Ema;
use std::ffi::OsString;
use std::process::ExitCode;
use tch::{Device, Kind, Tensor};

/// Compares a GPU's arithmetic with the CPU's: loss, gradients, SGD step, EMA step, augmentation.
#[derive(Debug, Parser)]
#[command(name = "gpu_check", bin_name = "gpu_check", version)]
struct Flags {
    /// Compared with the CPU: auto (the first GPU, else the CPU), cpu (with itself), cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Choice,
    /// Seed of parameters and augmentation
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Images in the minibatch; of the VGG's, which has most values, one
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    images: i64,
    /// Only this network (can be given several times)
    #[arg(long, value_enum)]
    network: Vec<Network>,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

/// The bound of single precision, which augmentation is computed in, too.
const SINGLE: f64 = 1e-4;
const DOUBLE: f64 = 1e-10;

/// A named tensor on the CPU.
type Found = Vec<(String, Tensor)>;

pub fn main() -> ExitCode {
    reproduction::run::finish(run(std::env::args_os()))
}

/// Runs with a command line whose first word is the program's name.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Result<()> {
    let flags = Flags::parse_from(words);
    let device = device::select(flags.device)?;
    device::keep_memory();
    device::set_threads();
    reproduction::say!("{} against {}", device::describe(device), device::describe(Device::Cpu));
    let networks = if flags.network.is_empty() { Network::value_variants() } else { &flags.network };
    let mut failures = Vec::new();
    for network in networks {
        let (experiment, side) = checked(*network)?;
        // An image has 600,000 values before its ReLUs: of eight, one lay too near to zero with 5 of 13 seeds.
        let images = if *network == Network::Vgg { 1 } else { flags.images };
        let case = Case { experiment, side, images };
        let mut reference: Option<(Precision, Found)> = None;
        for comparison in comparisons(device) {
            let Comparison { name, precision, tf32, against, bound } = comparison;
            // References of equal precision follow each other.
            let known = match reference.take() {
                Some((known, found)) if known == against => found,
                _ => case.minibatch(flags.seed, against, Device::Cpu)?,
            };
            if device.is_cuda() {
                Arithmetic { tf32_convolutions: tf32, tf32_products: tf32, benchmark: false }.set();
            }
            let what = format!("{}, {name}", network.name());
            let mut found = worst(&known, &case.minibatch(flags.seed, precision, device)?)?;
            // Where rounding has decided for a ReLU or a pool, it has with one seed; a wrong arithmetic is wrong with every seed.
            if precision == Precision::F32 && exceeds(&found, bound) {
                reproduction::say!("{what}, seed {}: {}", flags.seed, told(&found));
                let mut seeds = vec![found];
                for seed in [flags.seed + 1, flags.seed + 2] {
                    let reference = case.minibatch(seed, against, Device::Cpu)?;
                    seeds.push(worst(&reference, &case.minibatch(seed, precision, device)?)?);
                    reproduction::say!("{what}, seed {seed}: {}", told(&seeds[seeds.len() - 1]));
                }
                found = medians(seeds);
            }
            report(&what, &found, bound, &mut failures);
            reference = Some((against, known));
        }
    }
    for name in ["kaggle_vgg", "kaggle_ahead", "mlp_tuned", "cnn_tuned"] {
        let images = |device| -> Result<Found> {
            let train = splits(&augmented(name)?, flags.images * 7 / 5 + 7, device)?.train;
            let images = train.augmented(flags.seed, 1).range(0, flags.images.min(train.len())).images;
            Ok(vec![("images".to_owned(), images.to_device(Device::Cpu))])
        };
        let worst = worst(&images(Device::Cpu)?, &images(device)?)?;
        report(&format!("augmentation of {name}"), &worst, Some(SINGLE), &mut failures);
    }
    ensure!(failures.is_empty(), "{} of the comparisons above exceed their bounds: {}", failures.len(), failures.join("; "));
    reproduction::say!("all within their bounds");
    Ok(())
}

/// Two ways of computing the same minibatch: on the device, and on the CPU.
struct Comparison {
    name: &'static str,
    precision: Precision,
    tf32: bool,
    /// The CPU's precision.
    against: Precision,
    /// None where the difference is only printed.
    bound: Option<f64>,
}

fn comparisons(device: Device) -> Vec<Comparison> {
    let comparison = |name, precision, tf32, against, bound| Comparison { name, precision, tf32, against, bound };
    let double = comparison("f64", Precision::F64, false, Precision::F64, Some(DOUBLE));
    let single = comparison("f32", Precision::F32, false, Precision::F32, Some(SINGLE));
    if device == Device::Cpu {
        return vec![double, comparison("f32 against f64", Precision::F32, false, Precision::F64, Some(SINGLE)), single];
    }
    let tf32 = comparison("TF32 against f32", Precision::F32, true, Precision::F32, None);
    let bf16 = comparison("bf16 against f32", Precision::Bf16, false, Precision::F32, None);
    vec![double, single, tf32, bf16]
}

/// What is compared: the MLP, the CNN and the VGG as they are but for dropout, whose draws are the device's own. For the normalized layers a
/// small network on the middle of digits, of so many pixels: among many values one lies so near to where a ReLU or a pool changes that
/// rounding decides, and moves the gradient of a bias, a sum that nearly cancels, by up to 1e-2.
fn checked(network: Network) -> Result<(Experiment, Option<i64>)> {
    let mut experiment = network.experiment()?;
    let small = match network {
        Network::Residual => [
            Layer::Convolution(8),
            Layer::BatchNorm,
            Layer::ResidualBlock(8),
            Layer::ResidualBlock(16),
            Layer::GlobalAveragePool,
            Layer::FullyConnected(10),
        ],
        Network::GroupNorm => [
            Layer::Convolution(8),
            Layer::GroupNorm(4),
            Layer::MaxPool,
            Layer::Convolution(16),
            Layer::GroupNorm(4),
            Layer::FullyConnected(10),
        ],
        _ => {
            experiment.model.layers.retain(|layer| !matches!(layer, Layer::Dropout(_)));
            return Ok((experiment, None));
        }
    };
    let mut on_digits = Network::Cnn.experiment()?;
    on_digits.model.layers = small.to_vec();
    on_digits.model.parameters = None;
    on_digits.training = experiment.training;
    Ok((on_digits, Some(12)))
}

struct Case {
    experiment: Experiment,
    /// Height and width of the images' middle, where that is all that is looked at.
    side: Option<i64>,
    images: i64,
}

impl Case {
    /// Loss, gradients, parameters and buffers after an SGD step, and their EMA, of a minibatch in training mode.
    fn minibatch(&self, seed: u64, precision: Precision, device: Device) -> Result<Found> {
        let Case { experiment, side, images } = self;
        // The last two sevenths are for validation. Both devices get the very same values: each rounds the division of a pixel by 255 its own
        // way, and single precision's last bit is far more than the bound of double precision.
        let train = splits(experiment, images * 7 / 5 + 7, Device::Cpu)?.train;
        let Minibatch { mut images, labels } = train.range(0, *images);
        if let Some(side) = side {
            let first = (train.image()[1] - side) / 2;
            images = images.narrow(2, first, *side).narrow(3, first, *side);
        }
        let (_, channels, height, width) = images.size4()?;
        let build = |precision, device| -> Result<Box<dyn Model>> {
            let described = reproduction::experiment::Model { precision, ..experiment.model.clone() };
            let classes = if experiment.normalization.is_some() { 2 } else { 10 };
            model::build(&described, [channels, height, width], classes, seed, device)
        };
        // In double precision a seed draws other numbers: every network gets those of single precision.
        let (start, network) = (build(Precision::F32, Device::Cpu)?, build(precision, device)?);
        for (to, from) in network.values().iter_mut().zip(start.values()) {
            tch::no_grad(|| to.tensor.copy_(&from.tensor));
        }
        let training = experiment.training().context("an experiment that trains")?;
        let mut sgd = optim::build(training);
        let mut ema = Ema::new(0.9);
        ema.update(&network.values(), 0);
        let kind = if precision == Precision::F64 { Kind::Double } else { Kind::Float };
        let objective = Objective { label_smoothing: training.label_smoothing };
        let mode = Mode::Train { seed, minibatch: 0 };
        let (images, labels) = (images.to_device(device).to_kind(kind), labels.to_device(device));
        let (logits, gradients) = network.gradients(&images, &labels, mode, objective);
        let mut parameters = network.parameters();
        let mut found = vec![("loss".to_owned(), objective.loss(&logits.to_kind(kind), &labels))];
        let named = |(parameter, gradient): (&Parameter, &Tensor)| (format!("gradient of {}", parameter.name), gradient.shallow_clone());
        found.extend(parameters.iter().zip(&gradients).map(named));
        sgd.step(&mut parameters, &gradients);
        let values = network.values();
        // Late enough that the decay is the given one.
        ema.update(&values, 1_000);
        let after = values.iter().map(|value| (format!("step of {}", value.name), value.tensor.copy()));
        found.extend(after);
        found.extend(values.iter().zip(&ema.tensors).map(|(value, mean)| (format!("EMA of {}", value.name), mean.shallow_clone())));
        Ok(found.into_iter().map(|(name, tensor)| (name, tensor.detach().to_device(Device::Cpu))).collect())
    }
}

/// The largest relative difference among tensors whose names begin with the same word: that word, the difference, the name.
pub type Worst = Vec<(String, f64, String)>;

/// ||a - b|| / ||a|| in the Euclidean norm, for each tensor of the reference a.
///
/// A gradient of less than 1e-4 of all of them together is measured against those: a bias in front of a batch normalization has none but
/// rounding's.
///
/// # Errors
/// If the two hold other tensors.
pub fn worst(reference: &[(String, Tensor)], found: &[(String, Tensor)]) -> Result<Worst> {
    let names = |found: &[(String, Tensor)]| found.iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect::<Vec<_>>();
    ensure!(names(reference) == names(found), "found {:?}, expected {:?}", names(found), names(reference));
    let norm = |tensor: &Tensor| tensor.to_kind(Kind::Double).norm().double_value(&[]);
    let is_gradient = |name: &str| name.starts_with("gradient");
    let gradients = reference.iter().filter(|(name, _)| is_gradient(name));
    let all = gradients.map(|(_, tensor)| norm(tensor).powi(2)).sum::<f64>().sqrt();
    let mut worst = Worst::new();
    for ((name, a), (_, b)) in reference.iter().zip(found) {
        let own = norm(a);
        let whole = if is_gradient(name) && own < 1e-4 * all { all } else { own };
        let difference = norm(&(a.to_kind(Kind::Double) - b.to_kind(Kind::Double)));
        let relative = if difference == 0.0 { 0.0 } else { difference / whole };
        // What is not a number is the worst of all.
        let relative = if relative.is_nan() { f64::INFINITY } else { relative };
        let group = name.split(' ').next().unwrap_or_default().to_owned();
        match worst.iter_mut().find(|(known, ..)| *known == group) {
            Some(known) if known.1 >= relative => {}
            Some(known) => (known.1, known.2) = (relative, name.clone()),
            None => worst.push((group, relative, name.clone())),
        }
    }
    Ok(worst)
}

fn exceeds(found: &Worst, bound: Option<f64>) -> bool {
    bound.is_some_and(|bound| found.iter().any(|(_, difference, _)| *difference > bound))
}

fn told(found: &Worst) -> String {
    found.iter().map(|(group, difference, _)| format!("{group} {difference:.1e}")).collect::<Vec<_>>().join(", ")
}

/// For each group the median over an odd number of seeds.
fn medians(seeds: Vec<Worst>) -> Worst {
    let groups = 0..seeds.first().map_or(0, Vec::len);
    let median = |group: usize| {
        let mut all: Vec<_> = seeds.iter().filter_map(|worst| worst.get(group).cloned()).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        all.swap_remove(all.len() / 2)
    };
    groups.map(median).collect()
}

/// Prints a line, and adds to `failures` what exceeds the bound.
pub fn report(what: &str, found: &Worst, bound: Option<f64>, failures: &mut Vec<String>) {
    reproduction::say!("{what}: {}{}", told(found), bound.map_or(" (no bound)".to_owned(), |bound| format!(" (bound {bound:.0e})")));
    let Some(bound) = bound else { return };
    let beyond = found.iter().filter(|(_, difference, _)| *difference > bound);
    failures.extend(beyond.map(|(_, difference, name)| format!("{what}, {name}: {difference:.1e}, expected at most {bound:.0e}")));
}
