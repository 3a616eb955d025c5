//! The one training loop.

use super::evaluate;
use super::state::{Best, State};
use crate::data::splits::{Inputs, Splits};
use crate::experiment::{Keep, Order, Training};
use crate::history::{History, Metric, Record, Split};
use crate::layers::Mode;
use crate::loss::cross_entropies;
use crate::model::Model;
use crate::seed::{Purpose, draw};
use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

/// What training tells while it runs.
pub enum Progress<'a> {
    /// So many minibatches were learned from since the last word.
    Minibatches(u64),
    /// An epoch ended and everything was measured; training could go on from this state.
    Epoch(&'a State),
}

/// Minibatches between two words of progress.
const STRIDE: usize = 25;

/// The positions of the random streams that change validation images begin here, those for training images at 0.
const VALIDATION: u64 = 1 << 32;

/// Trains `model` on, from `state`, up to `training.epochs` and measures it on all splits after each. In the end it has the parameters
/// that `training.keep` asks for.
///
/// # Errors
/// If the loss of a minibatch is not finite: with the epoch, the minibatch and the learning rate. Losses are looked at once an epoch,
/// from the logits that were kept, so the device is never waited for in between. If `tell` fails, with its error.
pub fn fit(
    model: &dyn Model,
    splits: &Splits,
    training: &Training,
    seed: u64,
    mut state: State,
    tell: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<History> {
    let mut parameters = model.parameters();
    let minibatches_an_epoch = (splits.train.len() as u64).div_ceil(training.minibatch as u64);
    while state.epoch < training.epochs && !state.is_stopped {
        state.epoch += 1;
        let epoch = state.epoch;
        let order = order(training.order, &splits.train, seed, epoch);
        let examples = splits.train.augmented(seed, epoch as u64);
        let mut logits = Vec::new();
        for (index, number) in order.split(training.minibatch, 0).iter().zip((epoch as u64 - 1) * minibatches_an_epoch..) {
            // Gathered when it is needed, a minibatch stays in the cache; a shuffled copy of all would pass through memory twice.
            let minibatch = examples.select(index);
            let mode = Mode::Train { seed, minibatch: number };
            let (output, gradients) = model.gradients(&minibatch.images, &minibatch.labels, mode, state.sgd.loss_scale());
            state.sgd.step(&mut parameters, &gradients);
            logits.push(output);
            if logits.len() % STRIDE == 0 {
                tell(Progress::Minibatches(STRIDE as u64))?;
            }
        }
        tell(Progress::Minibatches((logits.len() % STRIDE) as u64))?;
        ensure_finite(&logits, &splits.train.labels.index_select(0, &order), epoch, training.minibatch, state.sgd.learning_rate)?;
        measure(model, splits, seed, epoch, &mut state.history);
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
        tell(Progress::Epoch(&state))?;
    }
    for (parameter, best) in parameters.iter_mut().zip(state.best.iter().flat_map(|best| &best.parameters)) {
        parameter.tensor.copy_(best);
    }
    Ok(state.history)
}

/// Measures the network on every split that has labels.
fn measure(model: &dyn Model, splits: &Splits, seed: u64, epoch: i64, history: &mut History) {
    let validation = splits.validation.augmented(seed, VALIDATION + epoch as u64);
    for (split, inputs) in Split::ALL.into_iter().zip([Some(&splits.train), Some(&validation), splits.test.as_ref()]) {
        let measured = inputs.map(|inputs| evaluate(model, inputs)).unwrap_or_default().into_iter();
        history.records.extend(measured.map(|(metric, value)| Record { epoch, split, metric, value }));
    }
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

/// `logits` of an epoch's minibatches, `labels` of its examples in the same order.
fn ensure_finite(logits: &[Tensor], labels: &Tensor, epoch: i64, minibatch: i64, learning_rate: f64) -> Result<()> {
    let losses = cross_entropies(&Tensor::cat(logits, 0).to_kind(Kind::Float), labels);
    if losses.isfinite().all().int64_value(&[]) == 1 {
        return Ok(());
    }
    let losses = Vec::<f32>::try_from(&losses)?;
    let example = losses.iter().position(|loss| !loss.is_finite()).unwrap_or(0);
    let (number, total) = (example as i64 / minibatch + 1, (labels.size()[0] + minibatch - 1) / minibatch);
    bail!(
        "the loss is {} in epoch {epoch}, minibatch {number} of {total}, at learning rate {learning_rate}: training diverged; try a smaller training.learning_rate",
        losses[example]
    )
}
