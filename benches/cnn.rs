//! The report's CNN beside PyTorch: a training step and an epoch with the evaluation of all three splits.
//!
//! `cargo bench --profile dev --bench cnn` runs ours and theirs (benches/peer.py, in PyTorch's default layout and channels-last)
//! alternately on the same machine, threads and data, and prints medians and ratios as Markdown; `-- step`, `epoch` or `bf16` runs a part.

mod peer;

use anyhow::{Context, Result};
use peer::{Bench, Table, alternate};
use reproduction::architecture::Architecture;
use reproduction::data::mnist::{self, CLASSES, Location};
use reproduction::data::splits::Splits;
use reproduction::device;
use reproduction::experiment::{Experiment, ExperimentFile, Precision};
use reproduction::model;
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

fn main() -> Result<()> {
    // `cargo test --benches` starts this too; there is nothing to test.
    if !std::env::args().any(|word| word == "--bench") {
        return Ok(());
    }
    device::select(device::Choice::Cpu)?;
    device::keep_memory();
    let threads = device::set_threads();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let digits = mnist::load(&Location::Search, root)?;
    let bench = Bench::new(root, &digits, threads)?;
    let mut cnn = ExperimentFile::read(&root.join("experiments/fig9_cnn.toml"))?.variant("cnn")?;
    cnn.training.as_mut().context("training")?.epochs = 1;
    let splits = Splits::new(&digits.train, &digits.test, cnn.split()?, 1, Device::Cpu)?;
    let mut low = cnn.clone();
    low.model.precision = Precision::Bf16;

    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let mut table = Table::new("against PyTorch's default layout", "against PyTorch channels-last");
    let training = cnn.training()?;
    let steps = |experiment: &Experiment| {
        let model = model::build(&experiment.model, splits.train.image(), CLASSES, 1, Device::Cpu)?;
        peer::steps(&*model, &splits, training)
    };
    let in_ms = 1e3 * peer::per_step(training);
    if is_wanted("step") {
        let mut peers = [&mut bench.peer("tight", "step", &cnn)?, &mut bench.peer("channels_last", "step", &cnn)?];
        table.add("CNN, training step", in_ms, "ms", &alternate(7, || steps(&cnn), &mut peers)?);
        table.floor("its multiply-adds at the rate of a large matrix product", floor(&cnn, training.minibatch)? * 1e3, "ms");
    }
    if is_wanted("epoch") {
        let mut peers = [&mut bench.peer("tight", "epoch", &cnn)?, &mut bench.peer("channels_last", "epoch", &cnn)?];
        table.add("CNN, epoch with evaluation", 1.0, "s", &alternate(3, || peer::train(&cnn, &splits), &mut peers)?);
        let pairs = alternate(3, || peer::train_side_by_side(&cnn, &splits, threads as usize), &mut peers)?;
        table.add("the same, one trial a core as the examples train, per trial", 1.0, "s", &pairs);
    }
    if is_wanted("bf16") {
        let mut peers = [&mut bench.peer("tight", "step", &cnn)?];
        table.add("CNN, training step, --precision bf16 (theirs in f32)", in_ms, "ms", &alternate(2, || steps(&low), &mut peers)?);
    }
    println!("\n{}, {}, {}\n", device::describe(Device::Cpu), digits.source.name, bench.version()?);
    println!("{table}");
    Ok(())
}

/// Seconds of one training step if its multiply-adds ran at the rate of a large matrix product: forward, gradients of weights, and
/// gradients of inputs but for the images.
fn floor(experiment: &Experiment, minibatch: i64) -> Result<f64> {
    let architecture = Architecture::new([1, 28, 28], &experiment.model.layers)?;
    let first = architecture.stages.first().map_or(0, |stage| stage.multiply_adds);
    let multiply_adds = minibatch * (3 * architecture.multiply_adds() - first);
    let side = 2_048;
    let random = || Tensor::rand([side, side], (Kind::Float, Device::Cpu));
    let (a, b, product) = (random(), random(), random());
    let round = || {
        let started = Instant::now();
        let _ = a.mm_out(&product, &b);
        started.elapsed().as_secs_f64()
    };
    let seconds = peer::median((0..9).map(|_| round()).collect());
    Ok(multiply_adds as f64 * seconds / (side * side * side) as f64)
}
