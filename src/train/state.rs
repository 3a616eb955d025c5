//! The state of a training run between two minibatches: everything that the next one depends on, in memory and as tensors.

use super::ema::Ema;
use super::parameters::Saved;
use crate::experiment::{Keep, Training};
use crate::history::{History, Metric, Record, Split};
use crate::model::Parameter;
use crate::optim::{self, EarlyStopping, Optimizer, ReduceLrOnPlateau};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tch::Tensor;

/// The state of a training run: everything that the next minibatch depends on except the network's values (see
/// [`crate::model::Model::values`]). There is no generator state: random streams are seeded anew for each epoch and minibatch (see
/// [`crate::seed`]).
#[derive(Debug)]
pub struct State {
    /// Number of epochs done, their evaluation included.
    pub epoch: i64,
    /// Number of minibatches of the next epoch that are done.
    pub minibatch: i64,
    /// Whether early stopping has ended the training.
    pub is_stopped: bool,
    pub optimizer: Box<dyn Optimizer>,
    pub plateau: Option<ReduceLrOnPlateau>,
    pub early_stopping: Option<EarlyStopping>,
    pub history: History,
    /// The best values so far, where these are to be kept.
    pub best: Option<Best>,
    /// The EMA of the network's values, where `training.ema_decay` asks for it.
    pub ema: Option<Ema>,
    /// Seconds that training took before it was interrupted, all earlier runs together.
    pub earlier_seconds: f64,
    started: Instant,
}

/// The network after the epoch with the best validation accuracy: its state dict, in order.
#[derive(Debug)]
pub struct Best {
    pub epoch: i64,
    pub accuracy: f64,
    pub values: Vec<Tensor>,
}

/// Identifies the run that a checkpoint belongs to, as keys and values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Experiment, seed, data and version of the code. A checkpoint of another training run is refused.
    pub trial: BTreeMap<String, String>,
    /// Device and threads. On another machine training continues, equal up to rounding instead of bit for bit.
    pub machine: BTreeMap<String, String>,
}

impl RunIdentity {
    /// A message for each key whose value differs.
    fn differences(saved: &BTreeMap<String, String>, here: &BTreeMap<String, String>) -> Vec<String> {
        let keys: BTreeSet<&String> = saved.keys().chain(here.keys()).collect();
        let value = |map: &BTreeMap<String, String>, key: &String| map.get(key).cloned().unwrap_or("nothing".to_owned());
        let pairs = keys.into_iter().map(|key| (key, value(saved, key), value(here, key)));
        pairs.filter(|(_, saved, here)| saved != here).map(|(key, saved, here)| format!("{key} was {saved} and is {here}")).collect()
    }
}

/// The non-tensor part of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Numbers {
    epoch: i64,
    minibatch: i64,
    is_stopped: bool,
    learning_rate: f64,
    /// The names of the optimizer's tensors.
    optimizer: Vec<String>,
    best: Option<(i64, f64)>,
    plateau: Option<ReduceLrOnPlateau>,
    early_stopping: Option<EarlyStopping>,
    seconds: f64,
    identity: RunIdentity,
}

impl State {
    /// Before the first epoch.
    pub fn new(training: &Training) -> State {
        let plateau = training.reduce_on_plateau.as_ref();
        State {
            epoch: 0,
            minibatch: 0,
            is_stopped: false,
            optimizer: optim::build(training),
            plateau: plateau.map(|rule| ReduceLrOnPlateau::new(rule.factor, rule.patience, rule.threshold)),
            early_stopping: training.early_stopping.as_ref().map(|rule| EarlyStopping::new(rule.patience)),
            history: History::default(),
            best: None,
            ema: (training.ema_decay > 0.0).then(|| Ema::new(training.ema_decay)),
            earlier_seconds: 0.0,
            started: Instant::now(),
        }
    }

    /// Adds an epoch's `records` to the history, and keeps `values` if its validation accuracy is the best so far and `keep` wants the best.
    pub(super) fn record(&mut self, records: &[Record], keep: Keep, values: &[Parameter]) {
        self.history.records.extend(records);
        let epoch = self.epoch + 1;
        let accuracy = self.history.get(epoch, Split::Validation, Metric::Accuracy).unwrap_or(f64::NAN);
        if keep == Keep::Best && self.best.as_ref().is_none_or(|best| accuracy > best.accuracy) {
            self.best = Some(Best { epoch, accuracy, values: values.iter().map(|value| value.tensor.copy()).collect() });
        }
    }

    /// Lets the plateau rule and early stopping look at the validation loss after `epoch`.
    pub(super) fn after_epoch(&mut self, epoch: i64) {
        let loss = self.history.get(epoch, Split::Validation, Metric::Loss).unwrap_or(f64::NAN);
        if let Some(plateau) = &mut self.plateau {
            self.optimizer.set_learning_rate(plateau.observe(loss, self.optimizer.learning_rate()));
        }
        if let Some(early_stopping) = &mut self.early_stopping {
            self.is_stopped = early_stopping.observe(loss);
        }
    }

    /// Exchanges the network's `values` for their EMA, where there is one; a second call undoes it.
    pub(super) fn swap_ema(&mut self, values: &mut [Parameter]) {
        if let Some(ema) = &mut self.ema {
            ema.swap(values);
        }
    }

    /// Epoch and minibatch, in words.
    pub fn place(&self) -> String {
        match self.minibatch {
            0 => format!("after epoch {}", self.epoch),
            minibatch => format!("in epoch {}, after minibatch {minibatch}", self.epoch + 1),
        }
    }

    /// The state and the network's `values` as tensors by name.
    pub(super) fn to_tensors(&self, values: &[Parameter], identity: &RunIdentity) -> Result<Vec<(String, Tensor)>> {
        let State { epoch, minibatch, is_stopped, optimizer, plateau, early_stopping, history, best, ema, earlier_seconds, started } = self;
        let numbers = Numbers {
            epoch: *epoch,
            minibatch: *minibatch,
            is_stopped: *is_stopped,
            learning_rate: optimizer.learning_rate(),
            optimizer: optimizer.state().into_iter().map(|(name, _)| name).collect(),
            best: best.as_ref().map(|best| (best.epoch, best.accuracy)),
            plateau: plateau.clone(),
            early_stopping: early_stopping.clone(),
            seconds: earlier_seconds + started.elapsed().as_secs_f64(),
            identity: identity.clone(),
        };
        let mut tensors: Vec<(String, Tensor)> = vec![
            (NUMBERS.to_owned(), Tensor::from_slice(toml::to_string(&numbers)?.as_bytes())),
            (HISTORY.to_owned(), Tensor::from_slice(&history.to_csv()?)),
        ];
        let best = best.as_ref().map_or(&[][..], |best| &best.values);
        let ema = ema.as_ref().map_or(&[][..], |ema| &ema.tensors);
        let mut add = |prefix: &str, name: &str, tensor: &Tensor| tensors.push((format!("{prefix}{name}"), tensor.shallow_clone()));
        for (index, Parameter { name, tensor }) in values.iter().enumerate() {
            add(VALUE, name, tensor);
            best.get(index).into_iter().for_each(|best| add(BEST, name, best));
            ema.get(index).into_iter().for_each(|mean| add(EMA, name, mean));
        }
        tensors.extend(optimizer.state().into_iter().map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor)));
        Ok(tensors)
    }

    /// The state that is `saved`; sets the network's `values` to those in it. Also what is different about the machine, if anything.
    ///
    /// # Errors
    /// If it is not whole, or is of another training than `identity`'s or of a network with other values; `values` are unchanged.
    pub(super) fn of_tensors(
        saved: &Saved,
        training: &Training,
        values: &mut [Parameter],
        identity: &RunIdentity,
    ) -> Result<(State, Vec<String>)> {
        let numbers: Numbers = toml::from_str(&String::from_utf8(saved.bytes(NUMBERS)?)?).context("in its numbers")?;
        let differences = RunIdentity::differences(&numbers.identity.trial, &identity.trial);
        ensure!(differences.is_empty(), "it is of another training: {}; --fresh trains from scratch", differences.join(", "));
        let mut state =
            State { epoch: numbers.epoch, minibatch: numbers.minibatch, is_stopped: numbers.is_stopped, ..State::new(training) };
        (state.plateau, state.early_stopping) = (numbers.plateau, numbers.early_stopping);
        state.earlier_seconds = numbers.seconds;
        state.history = History::parse(&saved.bytes(HISTORY)?, &saved.path)?;
        let like = |prefix: &str, Parameter { name, tensor }: &Parameter| -> Result<Tensor> {
            let mut copy = tensor.empty_like();
            copy.copy_(saved.shaped(&format!("{prefix}{name}"), tensor)?);
            Ok(copy)
        };
        let all = |prefix: &str, values: &[Parameter]| values.iter().map(|one| like(prefix, one)).collect::<Result<Vec<_>>>();
        let named = |name: &String| Ok((name.clone(), saved.get(&format!("{OPTIMIZER}{name}"))?.shallow_clone()));
        let of_optimizer = numbers.optimizer.iter().map(named).collect::<Result<_>>()?;
        state.optimizer.restore(&of_optimizer, values)?;
        state.optimizer.set_learning_rate(numbers.learning_rate);
        if let Some((epoch, accuracy)) = numbers.best {
            state.best = Some(Best { epoch, accuracy, values: all(BEST, values)? });
        }
        let has_stepped = state.epoch > 0 || state.minibatch > 0;
        if let (Some(ema), true) = (&mut state.ema, has_stepped) {
            ema.tensors = all(EMA, values)?;
        }
        let saved = all(VALUE, values)?;
        for (value, saved) in values.iter_mut().zip(saved) {
            value.tensor.copy_(&saved);
        }
        Ok((state, RunIdentity::differences(&numbers.identity.machine, &identity.machine)))
    }
}

// Tensors of a checkpoint are laid out as the network holds them: a linear layer's weight as [inputs, outputs], unlike in
// `Model::state_dict`, which is what a trained network is saved as.
const NUMBERS: &str = "state";
const HISTORY: &str = "history";
const VALUE: &str = "value/";
const BEST: &str = "best/";
const EMA: &str = "ema/";
const OPTIMIZER: &str = "optimizer/";
