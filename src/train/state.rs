//! Where training stands after an epoch: everything that the next one depends on, in memory and as a file.

use super::checkpoint::{read_tensors, write_tensors};
use crate::experiment::Training;
use crate::history::History;
use crate::model::Parameter;
use crate::optim::{EarlyStopping, ReduceLrOnPlateau, Sgd};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tch::Tensor;

/// The state of a training run between two epochs, but for the network's parameters, which the network holds.
#[derive(Debug)]
pub struct State {
    /// The last epoch that is done; 0 before the first.
    pub epoch: i64,
    /// Whether early stopping has ended the training.
    pub is_stopped: bool,
    pub sgd: Sgd,
    pub plateau: Option<ReduceLrOnPlateau>,
    pub early_stopping: Option<EarlyStopping>,
    pub history: History,
    /// Where the best parameters are to be kept: those so far.
    pub best: Option<Best>,
}

/// The parameters after the epoch with the best validation accuracy.
#[derive(Debug)]
pub struct Best {
    pub epoch: i64,
    pub accuracy: f64,
    pub parameters: Vec<Tensor>,
}

/// What of a state is no tensor.
#[derive(Debug, Serialize, Deserialize)]
struct Numbers {
    /// Of the trial that this is a state of.
    trial: String,
    epoch: i64,
    is_stopped: bool,
    learning_rate: f64,
    best: Option<(i64, f64)>,
    plateau: Option<ReduceLrOnPlateau>,
    early_stopping: Option<EarlyStopping>,
}

impl State {
    /// Before the first epoch.
    pub fn new(training: &Training) -> State {
        let plateau = training.reduce_on_plateau.as_ref();
        State {
            epoch: 0,
            is_stopped: false,
            sgd: Sgd::new(training),
            plateau: plateau.map(|rule| ReduceLrOnPlateau::new(rule.factor, rule.patience, rule.threshold)),
            early_stopping: training.early_stopping.as_ref().map(|rule| EarlyStopping::new(rule.patience)),
            history: History::default(),
            best: None,
        }
    }

    /// Writes the state and the network's `parameters` to `path`: whole or not at all. `trial` says whose state it is.
    pub fn save(&self, parameters: &[Parameter], trial: &str, path: &Path) -> Result<()> {
        let State { epoch, is_stopped, sgd, plateau, early_stopping, history, best } = self;
        let numbers = Numbers {
            trial: trial.to_owned(),
            epoch: *epoch,
            is_stopped: *is_stopped,
            learning_rate: sgd.learning_rate,
            best: best.as_ref().map(|best| (best.epoch, best.accuracy)),
            plateau: plateau.clone(),
            early_stopping: early_stopping.clone(),
        };
        let mut tensors: Vec<(String, Tensor)> = vec![
            (NUMBERS.to_owned(), Tensor::from_slice(toml::to_string(&numbers)?.as_bytes())),
            (HISTORY.to_owned(), Tensor::from_slice(&history.to_csv()?)),
        ];
        let best = best.as_ref().map_or(&[][..], |best| &best.parameters);
        let mut add = |prefix: &str, name: &str, tensor: &Tensor| tensors.push((format!("{prefix}{name}"), tensor.shallow_clone()));
        for (index, Parameter { name, tensor }) in parameters.iter().enumerate() {
            add(PARAMETER, name, tensor);
            sgd.velocities.get(index).into_iter().for_each(|velocity| add(VELOCITY, name, velocity));
            best.get(index).into_iter().for_each(|best| add(BEST, name, best));
        }
        write_tensors(&tensors, path)
    }

    /// Reads what [`State::save`] wrote to `path` and sets `parameters` to those in it.
    ///
    /// # Errors
    /// If the file is damaged, or is not of this `trial` or of a network with these parameters.
    pub fn load(training: &Training, parameters: &mut [Parameter], trial: &str, path: &Path) -> Result<State> {
        let saved = read_tensors(path)?;
        let bytes = |name: &str| -> Result<Vec<u8>> { Ok(Vec::try_from(&saved.get(name)?.flatten(0, -1))?) };
        let text = String::from_utf8(bytes(NUMBERS)?).with_context(|| format!("in {}", path.display()))?;
        let numbers: Numbers = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        ensure!(
            numbers.trial == trial,
            "{} is the state of another trial ({}, expected {trial}): the experiment, the data or the seed have changed; --fresh trains anew",
            path.display(),
            numbers.trial
        );
        let mut state = State { epoch: numbers.epoch, is_stopped: numbers.is_stopped, ..State::new(training) };
        state.sgd.learning_rate = numbers.learning_rate;
        (state.plateau, state.early_stopping) = (numbers.plateau, numbers.early_stopping);
        state.history = History::parse(&bytes(HISTORY)?, path)?;
        let like = |prefix: &str, Parameter { name, tensor }: &Parameter| -> Result<Tensor> {
            let mut copy = tensor.empty_like();
            copy.copy_(saved.shaped(&format!("{prefix}{name}"), &tensor.size())?);
            Ok(copy)
        };
        let all = |prefix: &str, parameters: &[Parameter]| parameters.iter().map(|one| like(prefix, one)).collect::<Result<Vec<_>>>();
        if training.momentum > 0.0 {
            state.sgd.velocities = all(VELOCITY, parameters)?;
        }
        if let Some((epoch, accuracy)) = numbers.best {
            state.best = Some(Best { epoch, accuracy, parameters: all(BEST, parameters)? });
        }
        let saved = all(PARAMETER, parameters)?;
        for (parameter, saved) in parameters.iter_mut().zip(saved) {
            parameter.tensor.copy_(&saved);
        }
        Ok(state)
    }
}

const NUMBERS: &str = "state";
const HISTORY: &str = "history";
const PARAMETER: &str = "parameter/";
const VELOCITY: &str = "velocity/";
const BEST: &str = "best/";
