//! Training the trials of a list, each kept as it finishes: one alone, or perceptrons of equal shape as one.

use super::interrupt;
use super::progress::Display;
use super::provenance::{self, Provenance};
use super::scalars::Scalars;
use super::trials::{EXPERIMENT, HISTORY, Outcome, PARAMETERS, PROVENANCE};
use crate::architecture::Architecture;
use crate::data::Examples;
use crate::data::splits::Splits;
use crate::device;
use crate::experiment::{Experiment, Initialization, Keep, Order, Precision, Training, Validation};
use crate::files::{Lock, remove_partial, write_whole};
use crate::history::History;
use crate::model::{self, Model, Parameter};
use crate::train::{Checkpoints, Member, Observer, Owner, Resumed, State, Wish, can_be_stacked, expected_time, fit_together, parameters};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tch::Device;

/// One trial to train, with handles on the data for the thread that trains it.
pub(super) struct Trial {
    pub experiment: Experiment,
    pub provenance: Provenance,
    pub folder: PathBuf,
    /// Where TensorBoard is to find its scalars, if it is to.
    pub scalars: Option<PathBuf>,
    pub train: Examples,
    pub test: Option<Examples>,
    pub classes: i64,
    /// Whether to say beforehand how long it will take.
    pub tell_cost: bool,
    /// Whether an interrupted run of this trial is to be continued.
    pub resume: bool,
    /// Work that an interruption may cost: what has taken longer since it was last kept is kept.
    pub checkpoint_after: Duration,
}

impl Trial {
    pub fn minibatches(&self) -> u64 {
        let Experiment { training: Some(training), .. } = &self.experiment else { return 0 };
        training.epochs as u64 * self.minibatches_an_epoch()
    }

    fn minibatches_an_epoch(&self) -> u64 {
        let Experiment { split: Some(split), training: Some(training), .. } = &self.experiment else { return 0 };
        (split.taken(self.train.len()) as u64).div_ceil(training.minibatch as u64)
    }
}

/// What trials have in common that can be trained as one: everything but the learning rate and its plateau, the order, the initialization,
/// the seed, and which epoch is kept. None where each can be trained alone only.
pub(super) fn shape(experiment: &Experiment) -> Option<String> {
    let mut common = experiment.clone();
    let (split, training) = (common.split.as_ref()?, common.training.as_mut()?);
    let is_plain = split.validation == Validation::Last && common.augmentation.is_none() && can_be_stacked(training);
    let model = &mut common.model;
    if !is_plain || !model.layers.is_empty() || model.precision == Precision::Bf16 {
        return None;
    }
    (training.learning_rate, training.order, training.keep, training.reduce_on_plateau) = (1.0, Order::Shuffled, Keep::Last, None);
    (model.initialization, model.bias_initialization) = (Initialization::Zero, None);
    Some(common.to_toml())
}

/// Trials of equal shape together, where they are to be stacked, in at least `workers` stacks where there are as many trials; the others
/// each alone.
pub(super) fn stacks(trials: Vec<Trial>, workers: usize) -> Vec<Vec<Trial>> {
    let mut by_shape: Vec<(Option<String>, Vec<Trial>)> = Vec::new();
    for trial in trials {
        let shape = shape(&trial.experiment).filter(|_| trial.provenance.is_stacked);
        match by_shape.iter_mut().find(|(known, _)| shape.is_some() && *known == shape) {
            Some((_, stack)) => stack.push(trial),
            None => by_shape.push((shape, vec![trial])),
        }
    }
    let mut stacks = Vec::new();
    for (_, mut trials) in by_shape {
        let size = trials.len().div_ceil(workers).min(LARGEST_STACK);
        while !trials.is_empty() {
            let rest = trials.split_off(size.min(trials.len()));
            stacks.push(std::mem::replace(&mut trials, rest));
        }
    }
    stacks
}

/// More networks in a stack make no step shorter: its products fill the device by then.
const LARGEST_STACK: usize = 32;

/// A trial that is about to be trained.
struct Ready<'a> {
    trial: &'a Trial,
    name: String,
    model: Box<dyn Model>,
    checkpoints: Checkpoints,
    owner: Owner,
    _lock: Lock,
}

/// Trains and keeps the trials of a stack; where training fails for one of them, the others go on.
///
/// # Errors
/// If a trial cannot be begun; those of training, each for its trial.
pub(super) fn train_together(stack: &[Trial], device: Device, display: &Display) -> Result<Vec<Result<Outcome>>> {
    let Some(Trial { train, test, experiment, provenance, .. }) = stack.first() else { return Ok(Vec::new()) };
    let started = Instant::now();
    let splits = Splits::new(train, test.as_ref(), experiment, provenance.seed, device)?;
    let mut waiting = stack.iter().map(|trial| make_ready(trial, &splits, device, display)).collect::<Result<Vec<_>>>()?;
    let mut outcomes = Vec::new();
    // What was interrupted goes on together where it stands at the same minibatch.
    let place = |state: &State| (state.epoch, state.minibatch);
    while let Some(first) = waiting.first().map(|(_, state)| place(state)) {
        let (group, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, state)| place(state) == first);
        waiting = others;
        let (group, states): (Vec<Ready>, Vec<State>) = group.into_iter().unzip();
        let histories = train_group(&group, states, &splits, display)?;
        // Trials of a stack share its time.
        let seconds = started.elapsed().as_secs_f64() / stack.len() as f64;
        outcomes.extend(group.iter().zip(histories).map(|(ready, history)| keep(ready, history, seconds)));
    }
    Ok(outcomes)
}

fn make_ready<'a>(trial: &'a Trial, splits: &Splits, device: Device, display: &Display) -> Result<(Ready<'a>, State)> {
    let Trial { experiment, provenance, folder, classes, resume, tell_cost, .. } = trial;
    let name = provenance.name();
    let lock = Lock::take(folder)?;
    remove_partial(folder)?;
    device::set_arithmetic(experiment.model.precision == Precision::Tf32);
    let model = model::build(&experiment.model, splits.train.image(), *classes, provenance.seed, device)?;
    let training = experiment.training()?;
    if *tell_cost && let Some(cost) = cost(experiment, splits)? {
        let time = humantime::format_duration(rounded(expected_time(&*model, splits, training)));
        tell!("{name}: {cost}; about {time} for {} epochs on this machine, as a few steps took", training.epochs);
    }
    let (checkpoints, owner) = (checkpoints(folder), provenance.owner(experiment)?);
    let state = match resume {
        true => resume_from(&checkpoints, training, &*model, &owner, &name)?,
        false => {
            checkpoints.remove()?;
            State::new(training)
        }
    };
    display.go_on_from(state.epoch as u64 * trial.minibatches_an_epoch() + state.minibatch as u64);
    Ok((Ready { trial, name, model, checkpoints, owner, _lock: lock }, state))
}

fn train_group(group: &[Ready], states: Vec<State>, splits: &Splits, display: &Display) -> Result<Vec<Result<History>>> {
    let watch = |(ready, state): (_, &State)| Watch::begin(ready, display, state);
    let mut watches = group.iter().zip(&states).map(watch).collect::<Result<Vec<_>>>()?;
    let member = |(state, watch): (State, _)| -> Result<Member> {
        let watch: &mut Watch = watch;
        let Trial { experiment, provenance, .. } = watch.ready.trial;
        Ok(Member::new(experiment.training()?, provenance.seed, state, watch))
    };
    let members = states.into_iter().zip(&mut watches).map(member).collect::<Result<Vec<_>>>()?;
    let models: Vec<&dyn Model> = group.iter().map(|ready| &*ready.model).collect();
    fit_together(&models, splits, members)
}

/// Keeps a trial. Provenance is written last: a folder without it holds no finished trial.
fn keep(ready: &Ready, history: Result<History>, seconds: f64) -> Result<Outcome> {
    let Ready { trial: Trial { experiment, provenance, folder, .. }, name, model, checkpoints, .. } = ready;
    let history = history.with_context(|| {
        let last = checkpoints.newest().ok().flatten();
        format!("trial {name}{}", last.map_or(String::new(), |path| format!(" (its last checkpoint is {})", path.display())))
    })?;
    let provenance = Provenance { seconds, date: provenance::date(), ..provenance.clone() };
    write_whole(&folder.join(HISTORY), &history.to_csv()?)?;
    parameters::save(&model.state_dict(), &folder.join(PARAMETERS))?;
    write_whole(&folder.join(EXPERIMENT), experiment.to_toml().as_bytes())?;
    write_whole(&folder.join(PROVENANCE), toml::to_string(&provenance)?.as_bytes())?;
    checkpoints.remove()?;
    Ok(Outcome { id: provenance.id(), variant: provenance.variant, seed: provenance.seed, history, seconds, folder: folder.clone() })
}

/// Where a trial that is kept in `folder` stood, if it was interrupted.
pub(super) fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints::new(folder.join("checkpoints"))
}

fn resume_from(checkpoints: &Checkpoints, training: &Training, model: &dyn Model, owner: &Owner, name: &str) -> Result<State> {
    let Some(Resumed { state, path, notices }) = checkpoints.resume(training, &mut model.values(), owner)? else {
        return Ok(State::new(training));
    };
    notices.iter().for_each(|notice| tell!("{name}: {notice}"));
    tell!("{name}: going on {}, from {}", state.place(), path.display());
    Ok(state)
}

/// Shows how far a trial is, keeps where it stands from time to time, and stops it where a signal asks for that.
struct Watch<'a> {
    ready: &'a Ready<'a>,
    display: &'a Display,
    kept: Instant,
    scalars: Option<Scalars>,
}

impl<'a> Watch<'a> {
    fn begin(ready: &'a Ready, display: &'a Display, state: &State) -> Result<Watch<'a>> {
        let Trial { scalars, experiment, .. } = ready.trial;
        let begin = |folder: &PathBuf| Scalars::begin(folder, experiment.training()?, state);
        let scalars = scalars.as_ref().map(begin).transpose()?;
        Ok(Watch { ready, display, kept: Instant::now(), scalars })
    }
}

impl Observer for Watch<'_> {
    fn wish(&mut self) -> Wish {
        if interrupt::asked().is_some() {
            return Wish::Stop;
        }
        if self.kept.elapsed() >= self.ready.trial.checkpoint_after { Wish::Keep } else { Wish::GoOn }
    }

    fn minibatch(&mut self) {
        self.display.advance(1);
    }

    fn epoch(&mut self, state: &State) {
        let epochs = self.ready.trial.experiment.training.as_ref().map_or(0, |training| training.epochs);
        self.display.epoch(&self.ready.name, state.epoch, epochs, &state.history);
        // The history has all of this too: a full disk is no reason to lose what is being trained.
        if let Some(Err(error)) = self.scalars.as_mut().map(|scalars| scalars.epoch(state)) {
            tell!("{}: {error:#}; training goes on without", self.ready.name);
            self.scalars = None;
        }
    }

    fn keep(&mut self, state: &State, parameters: &[Parameter]) -> Result<()> {
        let Ready { name, checkpoints, owner, .. } = self.ready;
        let path = checkpoints.write(state, parameters, owner)?;
        self.kept = Instant::now();
        if interrupt::asked().is_some() {
            tell!("{name}: stopped {}, kept in {}", state.place(), path.display());
        }
        Ok(())
    }
}

/// The work of a training that takes long enough to be told beforehand.
fn cost(experiment: &Experiment, splits: &Splits) -> Result<Option<String>> {
    let (model, training) = (&experiment.model, experiment.training()?);
    if model.layers.is_empty() {
        return Ok(None);
    }
    let forward = Architecture::new(splits.train.image(), &model.layers)?.multiply_adds() as f64;
    // The backward pass takes two products for each of the forward one.
    let all = 3.0 * forward * (splits.train.len() * training.epochs) as f64;
    let words = || format!("{:.0} million multiply-adds an image forward, {all:.1e} for all of training", forward / 1e6);
    Ok((all > WORTH_TELLING).then(words))
}

/// Multiply-adds of some minutes on two cores.
const WORTH_TELLING: f64 = 1e14;

/// To minutes, or to seconds where it is less than ten minutes.
pub(super) fn rounded(duration: Duration) -> Duration {
    let unit = if duration.as_secs() < 600 { 1 } else { 60 };
    Duration::from_secs(duration.as_secs().div_ceil(unit) * unit)
}
