//! Five perceptrons of equal shape: one after the other, one a core, and stacked as one; the time of an epoch with its evaluations, per trial.
//!
//! `cargo bench --profile dev --bench stack` on the CPU, `-- cuda` on the first GPU. What `src/run/trials.rs` chooses rests on these.

mod peer;

use anyhow::{Context, Result};
use peer::{Bench, median};
use reproduction::data::mnist::CLASSES;
use reproduction::data::splits::Splits;
use reproduction::experiment::Experiment;
use reproduction::model::{self, Model};
use reproduction::train::{Member, State, fit_together, side_by_side};
use reproduction::{device, table};
use std::time::Instant;
use tch::Device;

/// The seeds of `table2_sweep --seeds 5`.
const TRIALS: usize = 5;
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let Some(bench) = Bench::start()? else { return Ok(()) };
    let device = if bench.is_named("cuda") { device::select(device::Choice::Cuda(0))? } else { Device::Cpu };
    let file = bench.experiments("table2_sweep.toml")?;
    let mut printed = table::new(["network", "one after the other", "one a core", "stacked, all cores", "a stack a core"]);
    for name in file.default_variants() {
        let mut experiment = file.variant(name)?;
        experiment.training.as_mut().context("training")?.epochs = 1;
        let splits = Splits::new(&bench.digits.train, Some(&bench.digits.test), &experiment, 1, device)?;
        let cores = if device == Device::Cpu { bench.threads as usize } else { 1 };
        // Each way: how many stacks at a time, and trials in a stack.
        let ways = [(1, 1), (cores, 1), (1, TRIALS), (cores, TRIALS.div_ceil(cores))];
        let mut seconds = vec![Vec::new(); ways.len()];
        for _ in 0..=ROUNDS {
            for (seconds, (workers, trials)) in seconds.iter_mut().zip(ways) {
                seconds.push(round(&experiment, &splits, workers, trials, bench.threads / workers as i32, device)?);
            }
        }
        let hidden = &experiment.model.hidden;
        // The first round warms up.
        let medians = seconds.into_iter().map(|seconds| format!("{:.3} s", median(seconds[1..].to_vec())));
        printed.add_row(std::iter::once(format!("{}-{}", hidden[0], hidden[1])).chain(medians));
        reproduction::tell!("{printed}");
    }
    reproduction::say!("\n{}\n\n{printed}", device::describe(device));
    Ok(())
}

/// Seconds per trial where `workers` stacks of `trials` networks are trained at a time.
fn round(experiment: &Experiment, splits: &Splits, workers: usize, trials: usize, threads: i32, device: Device) -> Result<f64> {
    let started = Instant::now();
    let stacks: Vec<Splits> = (0..workers).map(|_| splits.share()).collect();
    let train = |splits: &Splits| {
        tch::set_num_threads(threads);
        let build = |seed| model::build(&experiment.model, splits.train.image(), CLASSES.len() as i64, seed as u64, device);
        let models = (0..trials).map(build).collect::<Result<Vec<_>>>()?;
        let training = experiment.training()?;
        let mut observers = vec![(); trials];
        let members =
            observers.iter_mut().enumerate().map(|(seed, nobody)| Member::new(training, seed as u64, State::new(training), nobody));
        let members = members.collect();
        let models: Vec<&dyn Model> = models.iter().map(|model| &**model).collect();
        fit_together(&models, splits, members)?.into_iter().try_for_each(|history| history.map(drop))
    };
    side_by_side(stacks, workers, train, |_, ()| Ok(()))?;
    Ok(started.elapsed().as_secs_f64() / (workers * trials) as f64)
}
