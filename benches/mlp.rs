//! The MLP beside PyTorch: a training step, an epoch with the evaluation of all three splits, and the sweep of Table 2.
//!
//! `cargo bench --bench mlp` runs ours and theirs (benches/peer.py) alternately on the same machine, threads and data, and prints
//! medians and ratios as Markdown; `-- step`, `epoch`, `example`, `bf16`, `small` or `sweep` runs a part, `-- whole` all 60 epochs of Table 2.
//! At its first run pip puts PyTorch into benches/python/, the same version as this libtorch, and JAX into benches/python-jax/.

mod peer;

use anyhow::{Context, Result};
use peer::{Bench, Peer, Table, alternate};
use reproduction::data::mnist::CLASSES;
use reproduction::data::splits::Splits;
use reproduction::experiment::{Experiment, Precision};
use reproduction::model;
use reproduction::train::side_by_side;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Repetitions in one round of measuring the floor.
const REPETITIONS: u32 = 200;

/// Images that an evaluation of MNIST takes at once.
const EVALUATED_AT_ONCE: i64 = 1_000;

fn main() -> Result<()> {
    let Some(bench) = Bench::start()? else { return Ok(()) };
    let (digits, threads) = (&bench.digits, bench.threads);
    let file = bench.experiments("table2_sweep.toml")?;
    let networks = file.default_variants().iter().map(|name| one_epoch(file.variant(name)?)).collect::<Result<Vec<Experiment>>>()?;
    let best = &networks[0];
    let splits = Splits::new(&digits.train, digits.test.as_ref(), best, 1, Device::Cpu)?;
    let mut table = Table::new(&["PyTorch tight", "PyTorch idiomatic", "torch.compile", "JAX"]);
    if bench.is_wanted("step") {
        let training = best.training()?;
        let model = model::build(&best.model, splits.train.image(), CLASSES.len() as i64, 1, Device::Cpu)?;
        let steps = alternate(15, || peer::steps(&*model, &splits, training), &mut [&mut bench.peer("tight", "step", best)?])?;
        table.add("512-512, training step", 1e6 * peer::per_step(training), "µs", &steps);
        table.floor("the step's matrix products alone", products(&best.model.hidden, training.minibatch, true) * 1e6, "µs");
    }
    if bench.is_wanted("epoch") {
        let styles = ["tight", "idiomatic", "compiled"].map(|style| bench.peer(style, "epoch", best));
        let mut peers = styles.into_iter().chain([bench.jax("mlp")]).collect::<Result<Vec<_>>>()?;
        let mut peers: Vec<&mut Peer> = peers.iter_mut().collect();
        let epochs = alternate(9, || peer::train(best, &splits), &mut peers)?;
        table.add("512-512, epoch with evaluation", 1.0, "s", &epochs);
        let (train, all) = (splits.train.len(), splits.train.len() + 2 * splits.validation.len());
        let step = products(&best.model.hidden, best.training()?.minibatch, true);
        let forward = products(&best.model.hidden, EVALUATED_AT_ONCE, false);
        let steps = train as f64 / best.training()?.minibatch as f64;
        table.floor("the epoch's matrix products alone", steps * step + all as f64 / EVALUATED_AT_ONCE as f64 * forward, "s");
        let pairs = alternate(9, || peer::train_side_by_side(best, &splits, threads as usize), &mut peers[..1])?;
        table.add("the same, one trial a core as the examples train, per trial", 1.0, "s", &pairs);
    }
    if bench.is_wanted("example") {
        // Figure 2's example is this network; its own training takes all threads, as a lone trial does.
        let whole = || bench.example("fig2_4_best_mlp", &["--seeds", "1"], [2, 8]);
        let (mut loop_alone, mut whole_run) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            loop_alone.push(peer::train(best, &splits)?);
            whole_run.push(whole()?);
        }
        table.floor("512-512, epoch with evaluation, `fit` alone", peer::median(loop_alone), "s");
        table.floor("the same in a run of `fig2_4_best_mlp`, 8 epochs less 2", peer::median(whole_run), "s");
    }
    if bench.is_wanted("bf16") {
        let mut low = best.clone();
        low.model.precision = Precision::Bf16;
        let epochs = alternate(3, || peer::train(&low, &splits), &mut [&mut bench.peer("tight", "epoch", best)?])?;
        table.add("512-512, --precision bf16 (theirs in f32)", 1.0, "s", &epochs);
    }
    if bench.is_wanted("small") {
        for network in &networks[1..] {
            let epochs = alternate(9, || peer::train(network, &splits), &mut [&mut bench.peer("tight", "epoch", network)?])?;
            let hidden = &network.model.hidden;
            table.add(&format!("{}-{}, epoch with evaluation", hidden[0], hidden[1]), 1.0, "s", &epochs);
        }
    }
    if bench.is_wanted("sweep") {
        let sweeps = alternate(3, || sweep(&networks, &splits, threads as usize, 6), &mut [&mut bench.peer("tight", "sweep", best)?])?;
        table.add("Table 2, five networks, 6 epochs each", 1.0, "s", &sweeps);
    }
    // Minutes; so only where it is asked for by name, and once.
    if bench.is_named("whole") {
        let ours = sweep(&networks, &splits, threads as usize, 60)?;
        let theirs = bench.peer("tight", "whole", best)?.round()?;
        table.add("Table 2, five networks, 60 epochs each, one round", 1.0, "s", &[vec![ours], vec![theirs]]);
    }
    bench.finish(&table)
}

fn one_epoch(mut experiment: Experiment) -> Result<Experiment> {
    experiment.training.as_mut().context("training")?.epochs = 1;
    Ok(experiment)
}

/// The five networks as `table2_sweep` trains them: one trial a core.
fn sweep(networks: &[Experiment], splits: &Splits, cores: usize, epochs: i64) -> Result<f64> {
    let started = Instant::now();
    let trials = networks.iter().map(|network| (network.clone(), splits.share())).collect();
    let train = |(mut network, splits): (Experiment, Splits)| {
        network.training.as_mut().context("training")?.epochs = epochs;
        peer::train(&network, &splits)
    };
    side_by_side(trials, cores, train)?;
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds of the matrix products of one forward pass, and of the backward pass with it: the work that no implementation in single precision
/// can leave out.
fn products(hidden: &[i64], minibatch: i64, with_backward: bool) -> f64 {
    let widths: Vec<i64> = [&[784], hidden, &[10]].concat();
    let random = |rows: i64, columns: i64| Tensor::rand([rows, columns], (Kind::Float, Device::Cpu));
    let operands = |pair: &[i64]| (random(minibatch, pair[0]), random(pair[0], pair[1]), random(minibatch, pair[1]));
    let layers: Vec<(Tensor, Tensor, Tensor)> = widths.windows(2).map(operands).collect();
    let results: Vec<(Tensor, Tensor, Tensor)> = widths.windows(2).map(operands).collect();
    let round = || {
        let started = Instant::now();
        for _ in 0..REPETITIONS {
            for (index, ((input, weight, delta), (to_input, to_weight, output))) in layers.iter().zip(&results).enumerate() {
                let _ = input.mm_out(output, weight);
                if with_backward {
                    let _ = input.tr().mm_out(to_weight, delta);
                }
                if with_backward && index > 0 {
                    let _ = delta.mm_out(to_input, &weight.tr());
                }
            }
        }
        started.elapsed().as_secs_f64() / f64::from(REPETITIONS)
    };
    peer::median((0..7).map(|_| round()).collect())
}
