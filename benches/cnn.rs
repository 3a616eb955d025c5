//! The report's CNN beside PyTorch: a training step and an epoch with the evaluation of all three splits.
//!
//! `cargo bench --profile dev --bench cnn` runs ours and theirs (benches/peer.py, in PyTorch's default layout and channels-last)
//! alternately on the same machine, threads and data, and prints medians and ratios as Markdown; `-- step`, `epoch` or `bf16` runs a part, `-- jax` an epoch beside JAX.

mod peer;

use anyhow::{Context, Result};
use peer::{Bench, Peer, Table, alternate};
use reproduction::architecture::{Architecture, Shape};
use reproduction::data::Examples;
use reproduction::data::mnist::CLASSES;
use reproduction::data::splits::Splits;
use reproduction::experiment::{Experiment, Initialization, Layer, Precision};
use reproduction::layers::{Convolution, MaxPool, Mode, Module};
use reproduction::model;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

fn main() -> Result<()> {
    let Some(bench) = Bench::start()? else { return Ok(()) };
    let (digits, threads) = (&bench.digits, bench.threads);
    let mut cnn = bench.experiments("fig9_cnn.toml")?.variant("cnn")?;
    cnn.training.as_mut().context("training")?.epochs = 1;
    let splits = Splits::new(&digits.train, digits.test.as_ref(), &cnn, 1, Device::Cpu)?;
    let mut low = cnn.clone();
    low.model.precision = Precision::Bf16;

    let mut table = Table::new(&["PyTorch tight", "PyTorch channels-last", "torch.compile", "JAX"]);
    let training = cnn.training()?;
    let steps = |experiment: &Experiment| {
        let model = model::build(&experiment.model, splits.train.image(), CLASSES.len() as i64, 1, Device::Cpu)?;
        peer::steps(&*model, &splits, training)
    };
    let in_ms = 1e3 * peer::per_step(training);
    if bench.is_wanted("step") {
        let mut peers = [&mut bench.peer("tight", "step", &cnn)?, &mut bench.peer("channels_last", "step", &cnn)?];
        table.add("CNN, training step", in_ms, "ms", &alternate(7, || steps(&cnn), &mut peers)?);
        let architecture = Architecture::new(splits.train.image(), &cnn.model.layers)?;
        table.floor("its multiply-adds at the rate of a large matrix product", floor(&architecture, training.minibatch) * 1e3, "ms");
        for (stage, next) in architecture.stages.iter().zip(&architecture.stages[1..]) {
            if let (Layer::Convolution(filters), Shape::Image { channels, height, width }) = (stage.layer, stage.input) {
                let images = [training.minibatch, channels, height, width];
                let seconds = convolution(images, filters, next.layer == Layer::MaxPool, stage.name == "Conv1");
                table.floor(&format!("{} with the pool and ReLU after it, alone", stage.name), seconds * 1e3, "ms");
            }
        }
    }
    if bench.is_wanted("epoch") {
        let styles = ["tight", "channels_last", "compiled"];
        let mut peers = styles.iter().map(|style| bench.peer(style, "epoch", &cnn)).collect::<Result<Vec<_>>>()?;
        let mut peers: Vec<&mut Peer> = peers.iter_mut().collect();
        table.add("CNN, epoch with evaluation", 1.0, "s", &alternate(3, || peer::train(&cnn, &splits), &mut peers)?);
        let pairs = alternate(3, || peer::train_side_by_side(&cnn, &splits, threads as usize), &mut peers)?;
        table.add("the same, one trial a core as the examples train, per trial", 1.0, "s", &pairs);
    }
    if bench.is_named("jax") {
        // Of fewer images, since JAX's convolutions of few channels are slow on a CPU; it leaves out an incomplete minibatch.
        let first = |examples: &Examples, count| examples.select(&Tensor::arange(count, (Kind::Int64, Device::Cpu)));
        let few =
            Splits::new(&first(&digits.train, 12_000), digits.test.as_ref().map(|test| first(test, 2_000)).as_ref(), &cnn, 1, Device::Cpu)?;
        let mut seconds = alternate(3, || peer::train(&cnn, &few), &mut [&mut bench.jax("cnn")?])?;
        seconds.splice(1..1, [vec![], vec![], vec![]]);
        table.add("CNN, epoch of 10,800 images, evaluation of 14,000", 1.0, "s", &seconds);
    }
    if bench.is_wanted("bf16") {
        let mut peers = [&mut bench.peer("tight", "step", &cnn)?];
        table.add("CNN, training step, --precision bf16 (theirs in f32)", in_ms, "ms", &alternate(2, || steps(&low), &mut peers)?);
    }
    bench.finish(&table)
}

/// Seconds of one training step if its multiply-adds ran at the rate of a large matrix product: forward, gradients of weights, and
/// gradients of inputs but for the images.
fn floor(architecture: &Architecture, minibatch: i64) -> f64 {
    let first = architecture.stages.first().map_or(0, |stage| stage.description.multiply_adds);
    let multiply_adds = minibatch * (3 * architecture.multiply_adds() - first);
    let side = 2_048;
    let random = || Tensor::rand([side, side], (Kind::Float, Device::Cpu));
    let (a, b, product) = (random(), random(), random());
    let seconds = timed(|| drop(a.mm_out(&product, &b)));
    multiply_adds as f64 * seconds / (side * side * side) as f64
}

/// Seconds of a convolution of images `[n, channels, height, width]`, its pool if it has one, and its ReLU, forward and backward; the first one's
/// images need no gradient.
fn convolution(images: [i64; 4], filters: i64, has_pool: bool, is_first: bool) -> f64 {
    let layer = Convolution::new(images[1], filters, Initialization::KaimingUniform, Kind::Float, Device::Cpu);
    let mut leaves = vec![layer.weight.set_requires_grad(true), layer.bias.set_requires_grad(true)];
    // In the layout that the layer before leaves behind.
    let [n, channels, height, width] = images;
    let images = Tensor::rand([n, height, width, channels], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
    let images = images.set_requires_grad(!is_first);
    if !is_first {
        leaves.push(images.shallow_clone());
    }
    timed(|| {
        let mut output = layer.forward(&images, Mode::Eval);
        if has_pool {
            output = MaxPool.forward(&output, Mode::Eval);
        }
        drop(Tensor::run_backward(&[output.relu_().sum(Kind::Float)], &leaves, false, false));
    })
}

/// The median of the seconds that `work` takes.
fn timed(work: impl Fn()) -> f64 {
    let round = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    peer::median((0..21).map(round).collect())
}
