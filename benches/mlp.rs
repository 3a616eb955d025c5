//! The MLP beside PyTorch: a training step, an epoch with the evaluation of all three splits, and the sweep of Table 2.
//!
//! `cargo bench --bench mlp` runs ours and theirs (benches/peer.py) alternately on the same machine, threads and data, and prints
//! medians and ratios as Markdown; `-- step`, `epoch`, `bf16`, `small` or `sweep` runs a part, `-- whole` all 60 epochs of Table 2. At its first run pip puts PyTorch into benches/python/, the same version as this libtorch.

mod peer;

use anyhow::{Context, Result};
use peer::{Peer, Table, alternate};
use reproduction::data::mnist::{self, Location};
use reproduction::data::splits::Splits;
use reproduction::device;
use reproduction::experiment::{Experiment, ExperimentFile, Precision};
use reproduction::model::{Mlp, Model};
use reproduction::optim::Sgd;
use reproduction::seed::{Purpose, draw};
use reproduction::train::{fit, side_by_side};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Steps in one round of the step benchmark.
const STEPS: i64 = 200;
/// The report's five networks.
const TABLE_2: [&[i64]; 5] = [&[512, 512], &[256, 256], &[512, 256], &[64, 64], &[32, 32]];

fn main() -> Result<()> {
    // `cargo test --benches` starts this too; there is nothing to test.
    if !std::env::args().any(|word| word == "--bench") {
        return Ok(());
    }
    device::select(device::Choice::Cpu)?;
    let threads = device::set_threads();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let digits = mnist::load(&Location::Search, root)?;
    let data = peer::write_idx(&digits)?;
    let mut experiment = ExperimentFile::read(&root.join("experiments/fig1_init.toml"))?.variant("glorot")?;
    experiment.training.as_mut().context("training")?.epochs = 1;
    let splits = Splits::new(&digits.train, &digits.test, &experiment.split, 1, Device::Cpu)?;
    let peer = |style: &str, work: &str, hidden: &[i64]| Peer::start(root, style, work, data.path(), hidden, threads);

    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let best: &[i64] = &[512, 512];
    let mut table = Table::new("against PyTorch tight", "against PyTorch idiomatic");
    if is_wanted("step") {
        let steps = alternate(15, || step(&splits, &experiment), &mut [&mut peer("tight", "step", best)?])?;
        table.add("512-512, training step", 1e6 / STEPS as f64, "µs", &steps);
        table.floor("its matrix products alone", floor(best, experiment.training()?.minibatch) * 1e6, "µs");
    }
    if is_wanted("epoch") {
        let mut peers = [&mut peer("tight", "epoch", best)?, &mut peer("idiomatic", "epoch", best)?];
        let epochs = alternate(9, || epoch(&splits, &experiment, best, Precision::F32), &mut peers)?;
        table.add("512-512, epoch with evaluation", 1.0, "s", &epochs);
        let pairs = alternate(9, || pair(&splits, &experiment, best, threads as usize), &mut peers[..1])?;
        table.add("the same, one trial a core as the examples train, per trial", 1.0, "s", &pairs);
    }
    if is_wanted("bf16") {
        let low = alternate(3, || epoch(&splits, &experiment, best, Precision::Bf16), &mut [&mut peer("tight", "epoch", best)?])?;
        table.add("512-512, --precision bf16 (theirs in f32)", 1.0, "s", &low);
    }
    if is_wanted("small") {
        for hidden in &TABLE_2[1..] {
            let epochs = alternate(9, || epoch(&splits, &experiment, hidden, Precision::F32), &mut [&mut peer("tight", "epoch", hidden)?])?;
            table.add(&format!("{}-{}, epoch with evaluation", hidden[0], hidden[1]), 1.0, "s", &epochs);
        }
    }
    if is_wanted("sweep") {
        let sweeps = alternate(3, || sweep(&splits, &experiment, threads as usize, 6), &mut [&mut peer("tight", "sweep", best)?])?;
        table.add("Table 2, five networks, 6 epochs each", 1.0, "s", &sweeps);
    }
    // Minutes; so only where it is asked for by name, and once.
    if wanted.iter().any(|word| word == "whole") {
        let ours = sweep(&splits, &experiment, threads as usize, 60)?;
        let theirs = peer("tight", "whole", best)?.round()?;
        table.add("Table 2, five networks, 60 epochs each, one round", 1.0, "s", &[vec![ours], vec![theirs]]);
    }
    println!("\n{}, {}, {}\n", device::describe(Device::Cpu), digits.source.name, peer::version(root)?);
    println!("{table}");
    Ok(())
}

fn network(splits: &Splits, experiment: &Experiment, hidden: &[i64], precision: Precision) -> Result<(Mlp, Experiment)> {
    let mut experiment = experiment.clone();
    experiment.model.hidden = hidden.to_vec();
    experiment.model.parameters = None;
    experiment.model.precision = precision;
    let pixels = splits.train.images.size()[1..].iter().product();
    let model = draw(1, Purpose::Initialization, 0, || Mlp::from_experiment(&experiment, pixels, Device::Cpu))?;
    Ok((model, experiment))
}

fn step(splits: &Splits, experiment: &Experiment) -> Result<f64> {
    let (model, experiment) = network(splits, experiment, &[512, 512], Precision::F32)?;
    let mut parameters = model.parameters();
    let mut sgd = Sgd { learning_rate: experiment.training()?.learning_rate };
    let started = Instant::now();
    for minibatch in splits.train.minibatches(experiment.training()?.minibatch).take(STEPS as usize) {
        let (_, gradients) = model.gradients(&minibatch.images, &minibatch.labels, sgd.loss_scale());
        sgd.step(&mut parameters, &gradients);
    }
    Ok(started.elapsed().as_secs_f64())
}

fn epoch(splits: &Splits, experiment: &Experiment, hidden: &[i64], precision: Precision) -> Result<f64> {
    let (model, experiment) = network(splits, experiment, hidden, precision)?;
    let started = Instant::now();
    fit(&model, splits, experiment.training()?, 1, &mut |_| ())?;
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds per trial where every core trains one of its own.
fn pair(splits: &Splits, experiment: &Experiment, hidden: &[i64], cores: usize) -> Result<f64> {
    let started = Instant::now();
    let train = |splits: &Splits| {
        tch::set_num_threads(1);
        epoch(splits, experiment, hidden, Precision::F32)
    };
    side_by_side((0..cores).map(|_| splits.share()).collect(), cores, train, |_, _| Ok(()))?;
    Ok(started.elapsed().as_secs_f64() / cores as f64)
}

/// The five networks as `table2_sweep` trains them: one trial a core.
fn sweep(splits: &Splits, experiment: &Experiment, cores: usize, epochs: i64) -> Result<f64> {
    let started = Instant::now();
    let trials = TABLE_2.iter().map(|hidden| (*hidden, splits.share())).collect();
    let train = |(hidden, splits): &(&[i64], Splits)| {
        tch::set_num_threads(1);
        let (model, mut experiment) = network(splits, experiment, hidden, Precision::F32)?;
        experiment.training.as_mut().context("training")?.epochs = epochs;
        fit(&model, splits, experiment.training()?, 1, &mut |_| ())
    };
    side_by_side(trials, cores, train, |_, _| Ok(()))?;
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds of the matrix products of one training step: the work that no implementation in single precision can leave out.
fn floor(hidden: &[i64], minibatch: i64) -> f64 {
    let widths: Vec<i64> = [&[784], hidden, &[10]].concat();
    let random = |rows: i64, columns: i64| Tensor::rand([rows, columns], (Kind::Float, Device::Cpu));
    let operands = |pair: &[i64]| (random(minibatch, pair[0]), random(pair[0], pair[1]), random(minibatch, pair[1]));
    let layers: Vec<(Tensor, Tensor, Tensor)> = widths.windows(2).map(operands).collect();
    let results: Vec<(Tensor, Tensor, Tensor)> = widths.windows(2).map(operands).collect();
    let round = || {
        let started = Instant::now();
        for _ in 0..STEPS {
            for (index, ((input, weight, delta), (to_input, to_weight, output))) in layers.iter().zip(&results).enumerate() {
                let _ = input.mm_out(output, weight);
                let _ = input.tr().mm_out(to_weight, delta);
                if index > 0 {
                    let _ = delta.mm_out(to_input, &weight.tr());
                }
            }
        }
        started.elapsed().as_secs_f64() / STEPS as f64
    };
    peer::median((0..7).map(|_| round()).collect())
}
