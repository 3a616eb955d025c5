//! Training one trial, and keeping it.

use super::progress::Progress;
use super::scalars::Scalars;
use super::store::{Outcome, Trial, checkpoints_in};
use super::{Run, interrupt, weights};
use crate::data::Examples;
use crate::data::splits::Splits;
use crate::device;
use crate::experiment::{Experiment, Precision};
use crate::files::{Lock, remove_partial};
use crate::model::{self, Distilled, Model, Parameter};
use crate::train::{Callbacks, Checkpoints, Request, Resumed, RunIdentity, State, fit};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tch::Device;

/// Makes the network of an experiment for images `[channels, height, width]` of so many classes, as a seed draws it, on a device.
pub type Build<'a> = dyn Fn(&Experiment, [i64; 3], i64, u64, Device) -> Result<Box<dyn Model>> + Sync + 'a;

/// A network in place of the TOML's, with the name that tells its trials from others.
pub(super) type OwnNetwork<'a> = Option<(&'a str, &'a Build<'a>)>;

/// One trial to train, with handles on the data for the thread that trains it.
pub(super) struct Job {
    pub trial: Trial,
    pub train: Examples,
    pub test: Option<Examples>,
    pub classes: i64,
    pub epochs: i64,
    /// An epoch's.
    pub minibatches: i64,
    /// The folder of the interrupted run that is to be continued.
    pub interrupted: Option<PathBuf>,
    /// Work that an interruption may cost: a checkpoint is written as often.
    pub checkpoint_after: Duration,
}

/// Trains a trial and keeps it; what another process has finished or begun since the job was made is taken over.
pub(super) fn train(run: &Run, job: Job, network: OwnNetwork, progress: &Progress) -> Result<Outcome> {
    let Trial { experiment, provenance, folder, .. } = &job.trial;
    let (started, name, seed, training) = (Instant::now(), provenance.name(), provenance.seed, experiment.training()?);
    let _lock = Lock::take(folder)?;
    remove_partial(folder)?;
    if !run.flags.fresh
        && let Some(outcome) = job.trial.finished_in(folder, false)?
    {
        progress.skip(job.epochs * job.minibatches);
        return Ok(outcome);
    }
    job.trial.begin()?;
    device::set_arithmetic(experiment.model.precision == Precision::Tf32);
    let splits = Splits::new(&job.train, job.test.as_ref(), experiment, seed, run.device)?;
    let image = splits.train.image();
    let mut model = match network {
        Some((_, build)) => build(experiment, image, job.classes, seed, run.device)?,
        None => model::build(&experiment.model, image, job.classes, seed, run.device)?,
    };
    if let Some(teacher) = &experiment.model.teacher {
        ensure!(network.is_none(), "model.teacher is given, expected none for a network of one's own; leave it out");
        model = Box::new(Distilled::new(model, weights::teacher(teacher, image, job.classes, run.device)?));
    }

    let (checkpoints, identity) = (checkpoints_in(folder), provenance.identity(experiment)?);
    if run.flags.fresh {
        checkpoints.remove()?;
    }
    let has_own = checkpoints.newest()?.is_some();
    let begun_in = job.interrupted.as_ref().filter(|_| !has_own).unwrap_or(folder);
    let _other_lock = (begun_in != folder).then(|| Lock::take(begun_in)).transpose()?;
    let earlier = checkpoints_in(begun_in);
    let resumed = earlier.resume(training, &mut model.values(), &identity);
    let resumed = resumed.with_context(|| format!("{name} was interrupted, and where it stood is kept in {}", begun_in.display()))?;
    if let Some(Resumed { state, path, notices }) = &resumed {
        notices.iter().for_each(|notice| tell!("{name}: {notice}"));
        tell!("{name}: going on {}, from {}", state.place(), path.display());
    }
    let state = resumed.map_or_else(|| State::new(training), |resumed| resumed.state);
    let earlier_seconds = state.earlier_seconds;
    progress.skip(state.epoch * job.minibatches + state.minibatch);

    let scalars = run.scalars_of(provenance).map(|folder| Scalars::begin(&folder, training, &state)).transpose()?;
    let mut callbacks =
        TrialCallbacks { job: &job, name: &name, checkpoints: &checkpoints, identity: &identity, progress, kept: Instant::now(), scalars };
    let history = fit(&*model, &splits, training, seed, state, &mut callbacks).with_context(|| {
        let last = checkpoints.newest().ok().flatten();
        format!("trial {name}{}", last.map_or(String::new(), |path| format!(" (its last checkpoint is {})", path.display())))
    })?;
    let outcome = job.trial.keep(history, &*model, earlier_seconds + started.elapsed().as_secs_f64())?;
    earlier.remove()?;
    checkpoints.remove()?;
    Ok(outcome)
}

/// Shows the progress of a trial, writes its checkpoints, and stops it where a signal asks for that.
struct TrialCallbacks<'a> {
    job: &'a Job,
    name: &'a str,
    checkpoints: &'a Checkpoints,
    identity: &'a RunIdentity,
    progress: &'a Progress,
    /// When the last checkpoint was written.
    kept: Instant,
    scalars: Option<Scalars>,
}

impl Callbacks for TrialCallbacks<'_> {
    fn request(&mut self) -> Request {
        match interrupt::asked() {
            Some(_) => Request::Stop,
            None if self.kept.elapsed() >= self.job.checkpoint_after => Request::Checkpoint,
            None => Request::Continue,
        }
    }

    fn after_minibatch(&mut self) {
        self.progress.advance(1);
    }

    fn after_epoch(&mut self, state: &State) {
        let is_last = state.epoch == self.job.epochs || state.is_stopped;
        self.progress.epoch(self.name, state.epoch, self.job.epochs, is_last, &state.history);
        // The history has all of this too: a full disk is no reason to lose what is being trained.
        if let Some(Err(error)) = self.scalars.as_mut().map(|scalars| scalars.epoch(state.epoch, &state.history)) {
            tell!("{}: {error:#}; training goes on without", self.name);
            self.scalars = None;
        }
    }

    fn checkpoint(&mut self, state: &State, values: &[Parameter]) -> Result<()> {
        let path = self.checkpoints.write(state, values, self.identity)?;
        self.kept = Instant::now();
        if interrupt::asked().is_some() {
            tell!("{}: stopped {}, kept in {}", self.name, state.place(), path.display());
        }
        Ok(())
    }
}
