//! The one training loop.

use super::evaluate::{logits_in_parts, metrics};
use super::finite::{Finite, Place};
use super::state::{Best, State};
use crate::data::splits::{Inputs, Splits};
use crate::experiment::{Keep, Order, Training};
use crate::history::{History, Metric, Record, Split};
use crate::layers::Mode;
use crate::model::{Model, Parameter};
use crate::seed::{Purpose, draw};
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Who watches a training run, and may want something of it.
pub trait Observer {
    /// Asked after each minibatch, after each epoch, and while the network is measured.
    fn wish(&mut self) -> Wish {
        Wish::GoOn
    }

    /// One more minibatch was learned from.
    fn minibatch(&mut self) {}

    /// An epoch ended and everything was measured.
    fn epoch(&mut self, _state: &State) {}

    /// Keeps where training stands, from which it could go on, with the network's parameters.
    ///
    /// # Errors
    /// If it cannot; training ends.
    fn keep(&mut self, _state: &State, _parameters: &[Parameter]) -> Result<()> {
        Ok(())
    }
}

/// What an observer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    GoOn,
    /// Keep where training stands, and go on.
    Keep,
    /// Keep where training stands, and end.
    Stop,
}

/// Nobody watches.
impl Observer for () {}

/// The error with which training ends where its observer wants it to.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// The positions of the random streams that change validation images begin here, those for training images at 0.
const VALIDATION: u64 = 1 << 32;

/// Trains `model` on, from `state`, up to `training.epochs` and measures it on all splits after each. In the end it has the parameters
/// that `training.keep` asks for.
///
/// # Errors
/// If a loss, a gradient or a parameter is not finite: with the epoch, the minibatch, the learning rate and the layer. They are looked at
/// once an epoch and before a state is kept, so the device is never waited for in between, and a kept state is a good one. If
/// `observer` stops it, with [`Interrupted`]; if it fails, with its error.
pub fn fit(
    model: &dyn Model,
    splits: &Splits,
    training: &Training,
    seed: u64,
    mut state: State,
    observer: &mut dyn Observer,
) -> Result<History> {
    let mut parameters = model.parameters();
    let minibatches = (splits.train.len() as u64).div_ceil(training.minibatch as u64) as i64;
    while state.epoch < training.epochs && !state.is_stopped {
        let epoch = state.epoch + 1;
        let order = order(training.order, &splits.train, seed, epoch);
        let labels = splits.train.labels.index_select(0, &order);
        let examples = splits.train.augmented(seed, epoch as u64);
        let place = Place { epoch, minibatches, learning_rate: state.sgd.learning_rate };
        let mut finite = Finite::new(&parameters, state.minibatch);
        for index in order.split(training.minibatch, 0).iter().skip(state.minibatch as usize) {
            // Gathered when it is needed, a minibatch stays in the cache; a shuffled copy of all would pass through memory twice.
            let minibatch = examples.select(index);
            let mode = Mode::Train { seed, minibatch: ((epoch - 1) * minibatches + state.minibatch) as u64 };
            let (logits, gradients) = model.gradients(&minibatch.images, &minibatch.labels, mode, state.sgd.loss_scale());
            state.sgd.step(&mut parameters, &gradients);
            finite.note(logits, &gradients);
            state.minibatch += 1;
            observer.minibatch();
            let wish = observer.wish();
            if wish != Wish::GoOn {
                finite.look(&parameters, &labels, training.minibatch, place)?;
                attend(wish, &state, &parameters, observer)?;
            }
        }
        finite.look(&parameters, &labels, training.minibatch, place)?;
        let Some(records) = measure(model, splits, seed, epoch, observer) else {
            // All of its minibatches are done: what goes on from here measures first.
            return attend(Wish::Stop, &state, &parameters, observer).map(|()| state.history);
        };
        state.history.records.extend(records);
        (state.epoch, state.minibatch) = (epoch, 0);
        let of_validation = |metric| state.history.get(epoch, Split::Validation, metric).unwrap_or(f64::NAN);
        let (loss, accuracy) = (of_validation(Metric::Loss), of_validation(Metric::Accuracy));
        if let Some(plateau) = &mut state.plateau {
            state.sgd.learning_rate = plateau.observe(loss, state.sgd.learning_rate);
        }
        if let Some(early_stopping) = &mut state.early_stopping {
            state.is_stopped = early_stopping.observe(loss);
        }
        if training.keep == Keep::Best && state.best.as_ref().is_none_or(|best| accuracy > best.accuracy) {
            state.best = Some(Best { epoch, accuracy, parameters: parameters.iter().map(|parameter| parameter.tensor.copy()).collect() });
        }
        observer.epoch(&state);
        attend(observer.wish(), &state, &parameters, observer)?;
    }
    for (parameter, best) in parameters.iter_mut().zip(state.best.iter().flat_map(|best| &best.parameters)) {
        parameter.tensor.copy_(best);
    }
    Ok(state.history)
}

/// Does what the observer wants.
fn attend(wish: Wish, state: &State, parameters: &[Parameter], observer: &mut dyn Observer) -> Result<()> {
    if wish != Wish::GoOn {
        observer.keep(state, parameters)?;
    }
    if wish == Wish::Stop { Err(Interrupted.into()) } else { Ok(()) }
}

/// Measures the network on every split that has labels; none if the observer wants to stop.
fn measure(model: &dyn Model, splits: &Splits, seed: u64, epoch: i64, observer: &mut dyn Observer) -> Option<Vec<Record>> {
    let validation = splits.validation.augmented(seed, VALIDATION + epoch as u64);
    let mut records = Vec::new();
    for (split, inputs) in Split::ALL.into_iter().zip([Some(&splits.train), Some(&validation), splits.test.as_ref()]) {
        let Some(inputs) = inputs else { continue };
        let mut parts = Vec::new();
        for part in logits_in_parts(model, inputs) {
            parts.push(part);
            if observer.wish() == Wish::Stop {
                return None;
            }
        }
        let measured = metrics(&Tensor::cat(&parts, 0), &inputs.labels);
        records.extend(measured.into_iter().map(|(metric, value)| Record { epoch, split, metric, value }));
    }
    Some(records)
}

/// The order in which an epoch takes the training examples, int64 `[n]`.
fn order(order: Order, train: &Inputs, seed: u64, epoch: i64) -> Tensor {
    let options = (Kind::Int64, Device::Cpu);
    let index = match order {
        Order::AsPublished => Tensor::arange(train.len(), options),
        Order::Shuffled => draw(seed, Purpose::Shuffle, epoch as u64, || Tensor::randperm(train.len(), options)),
    };
    index.to_device(train.device())
}
