//! Training one trial, and keeping it.

use super::progress::{Display, rounded};
use super::scalars::Scalars;
use super::store::{Outcome, Trial, checkpoints_in};
use super::{Run, interrupt, weights};
use crate::architecture::Architecture;
use crate::data::Examples;
use crate::data::splits::Splits;
use crate::device;
use crate::experiment::{Experiment, Precision, Training};
use crate::files::{Lock, remove_partial};
use crate::model::{self, Distilled, Model, Parameter};
use crate::train::{Callbacks, Checkpoints, Request, Resumed, RunIdentity, State, expected_time, fit};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tch::Device;

/// Makes the network of an experiment for images `[channels, height, width]` of so many classes, as a seed draws it, on a device.
pub type Build<'a> = dyn Fn(&Experiment, [i64; 3], i64, u64, Device) -> Result<Box<dyn Model>> + Sync + 'a;

/// The network to train.
#[derive(Clone, Copy)]
pub(super) struct Network<'a> {
    /// Tells its trials from those of others; empty for the network of the TOML.
    pub name: &'a str,
    pub build: &'a Build<'a>,
}

impl Network<'_> {
    /// The network of the TOML.
    pub const OF_EXPERIMENT: Network<'static> = Network {
        name: "",
        build: &|experiment, image, classes, seed, device| {
            let network = model::build(&experiment.model, image, classes, seed, device)?;
            let Some(teacher) = &experiment.model.teacher else { return Ok(network) };
            Ok(Box::new(Distilled::new(network, weights::committed(teacher, image, classes, device)?)))
        },
    };
}

/// One trial to train, with handles on the data for the thread that trains it.
pub(super) struct Job {
    pub trial: Trial,
    pub train: Examples,
    pub test: Option<Examples>,
    pub classes: i64,
    /// Whether to say beforehand how long it will take.
    pub tell_cost: bool,
    /// The folder of the interrupted run that is to be continued.
    pub interrupted: Option<PathBuf>,
    /// Work that an interruption may cost: what has taken longer since it was last kept is kept.
    pub checkpoint_after: Duration,
}

impl Job {
    pub fn minibatches(&self) -> u64 {
        let epochs = self.trial.experiment.training.as_ref().map_or(0, |training| training.epochs);
        epochs as u64 * self.minibatches_an_epoch()
    }

    fn minibatches_an_epoch(&self) -> u64 {
        let Experiment { split: Some(split), training: Some(training), .. } = &self.trial.experiment else { return 0 };
        (split.taken(self.train.len()) as u64).div_ceil(training.minibatch as u64)
    }
}

/// Trains a trial and keeps it; what another process has finished or begun since the job was made is taken over.
pub(super) fn train(run: &Run, job: Job, network: Network, display: &Display) -> Result<Outcome> {
    let Trial { experiment, provenance, folder } = &job.trial;
    let (started, name, training, fresh) = (Instant::now(), provenance.name(), experiment.training()?, run.flags.fresh);
    let _lock = Lock::take(folder)?;
    remove_partial(folder)?;
    if !fresh && let Some(outcome) = job.trial.finished_in(folder, false)? {
        display.go_on_from(job.minibatches());
        return Ok(outcome);
    }
    job.trial.begin()?;
    device::set_arithmetic(experiment.model.precision == Precision::Tf32);
    let splits = Splits::new(&job.train, job.test.as_ref(), experiment, provenance.seed, run.device)?;
    let model = (network.build)(experiment, splits.train.image(), job.classes, provenance.seed, run.device)?;
    if job.tell_cost && is_long(experiment, &splits)? {
        let time = humantime::format_duration(rounded(expected_time(&*model, &splits, training)));
        tell!("{name}: about {time} for {} epochs on this machine, as a few steps took", training.epochs);
    }
    let (checkpoints, identity) = (checkpoints_in(folder), provenance.identity(experiment)?);
    if fresh {
        checkpoints.remove()?;
    }
    let elsewhere = job.interrupted.as_ref().filter(|from| *from != folder);
    let _lock_elsewhere = elsewhere.map(|from| Lock::take(from)).transpose()?;
    let state = match elsewhere {
        Some(from) if checkpoints.newest()?.is_none() => {
            let refused = || format!("{name} was interrupted, and where it stood is kept in {}", from.display());
            resume_from(&checkpoints_in(from), training, &*model, &identity, &name).with_context(refused)?
        }
        _ => resume_from(&checkpoints, training, &*model, &identity, &name)?,
    };
    let earlier_seconds = state.earlier_seconds;
    display.go_on_from(state.epoch as u64 * job.minibatches_an_epoch() + state.minibatch as u64);
    let scalars =
        run.scalars_of(&provenance.variant, provenance.seed).map(|folder| Scalars::begin(&folder, training, &state)).transpose()?;
    let mut callbacks =
        TrialCallbacks { job: &job, name: &name, checkpoints: &checkpoints, identity: &identity, display, kept: Instant::now(), scalars };
    let history = fit(&*model, &splits, training, provenance.seed, state, &mut callbacks).with_context(|| {
        let last = checkpoints.newest().ok().flatten();
        format!("trial {name}{}", last.map_or(String::new(), |path| format!(" (its last checkpoint is {})", path.display())))
    })?;
    let elsewhere = elsewhere.map(|from| checkpoints_in(from));
    let outcome = job.trial.keep(history, &*model, earlier_seconds + started.elapsed().as_secs_f64())?;
    elsewhere.iter().chain([&checkpoints]).try_for_each(Checkpoints::remove)?;
    Ok(outcome)
}

fn resume_from(checkpoints: &Checkpoints, training: &Training, model: &dyn Model, identity: &RunIdentity, name: &str) -> Result<State> {
    let Some(Resumed { state, path, notices }) = checkpoints.resume(training, &mut model.values(), identity)? else {
        return Ok(State::new(training));
    };
    notices.iter().for_each(|notice| tell!("{name}: {notice}"));
    tell!("{name}: going on {}, from {}", state.place(), path.display());
    Ok(state)
}

/// Shows how far a trial is, keeps where it stands from time to time, and stops it where a signal asks for that.
struct TrialCallbacks<'a> {
    job: &'a Job,
    name: &'a str,
    checkpoints: &'a Checkpoints,
    identity: &'a RunIdentity,
    display: &'a Display,
    kept: Instant,
    scalars: Option<Scalars>,
}

impl Callbacks for TrialCallbacks<'_> {
    fn request(&mut self) -> Request {
        if interrupt::asked().is_some() {
            return Request::Stop;
        }
        if self.kept.elapsed() >= self.job.checkpoint_after { Request::Checkpoint } else { Request::Continue }
    }

    fn after_minibatch(&mut self) {
        self.display.advance(1);
    }

    fn after_epoch(&mut self, state: &State) {
        let epochs = self.job.trial.experiment.training.as_ref().map_or(0, |training| training.epochs);
        let is_last = state.epoch == epochs || state.is_stopped;
        self.display.epoch(self.name, state.epoch, epochs, is_last, &state.history);
        // The history has all of this too: a full disk is no reason to lose what is being trained.
        if let Some(Err(error)) = self.scalars.as_mut().map(|scalars| scalars.epoch(state.epoch, &state.history)) {
            tell!("{}: {error:#}; training goes on without", self.name);
            self.scalars = None;
        }
    }

    fn checkpoint(&mut self, state: &State, parameters: &[Parameter]) -> Result<()> {
        let path = self.checkpoints.write(state, parameters, self.identity)?;
        self.kept = Instant::now();
        if interrupt::asked().is_some() {
            tell!("{}: stopped {}, kept in {}", self.name, state.place(), path.display());
        }
        Ok(())
    }
}

/// Whether training takes longer than some minutes on two cores.
fn is_long(experiment: &Experiment, splits: &Splits) -> Result<bool> {
    const MULTIPLY_ADDS: f64 = 1e14;
    let (model, training) = (&experiment.model, experiment.training()?);
    if model.layers.is_empty() {
        return Ok(false);
    }
    let forward = Architecture::new(splits.train.image(), &model.layers)?.multiply_adds() as f64;
    // The backward pass takes two products for each of the forward one.
    Ok(3.0 * forward * (splits.train.len() * training.epochs) as f64 > MULTIPLY_ADDS)
}
