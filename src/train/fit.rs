//! The one training loop.

use super::evaluate;
use crate::data::splits::{Inputs, Splits};
use crate::experiment::{Order, Training};
use crate::history::{History, Record, Split};
use crate::layers::Mode;
use crate::loss::cross_entropies;
use crate::model::Model;
use crate::optim::Sgd;
use crate::seed::{Purpose, draw};
use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

/// What training tells while it runs.
pub enum Progress<'a> {
    /// So many minibatches were learned from since the last word.
    Minibatches(u64),
    /// An epoch ended and everything was measured.
    Epoch { epoch: i64, history: &'a History },
}

/// Minibatches between two words of progress.
const STRIDE: usize = 25;

/// Trains `model` for `training.epochs` and measures it on all three splits after each.
///
/// # Errors
/// If the loss of a minibatch is not finite: with the epoch, the minibatch and the learning rate. Losses are looked at once an epoch,
/// from the logits that were kept, so the device is never waited for in between.
pub fn fit(model: &dyn Model, splits: &Splits, training: &Training, seed: u64, tell: &mut dyn FnMut(Progress)) -> Result<History> {
    let mut parameters = model.parameters();
    let mut sgd = Sgd::new(training);
    let mut minibatches = 0;
    let mut history = History::default();
    for epoch in 1..=training.epochs {
        let order = order(training.order, &splits.train, seed, epoch);
        let mut logits = Vec::new();
        for index in order.split(training.minibatch, 0) {
            // Gathered when it is needed, a minibatch stays in the cache; a shuffled copy of all would pass through memory twice.
            let minibatch = splits.train.select(&index);
            let mode = Mode::Train { seed, minibatch: minibatches };
            minibatches += 1;
            let (output, gradients) = model.gradients(&minibatch.images, &minibatch.labels, mode, sgd.loss_scale());
            sgd.step(&mut parameters, &gradients);
            logits.push(output);
            if logits.len() % STRIDE == 0 {
                tell(Progress::Minibatches(STRIDE as u64));
            }
        }
        tell(Progress::Minibatches((logits.len() % STRIDE) as u64));
        ensure_finite(&logits, &splits.train.labels.index_select(0, &order), epoch, training)?;
        for (split, inputs) in Split::ALL.into_iter().zip([&splits.train, &splits.validation, &splits.test]) {
            let measured = evaluate(model, inputs).into_iter();
            history.records.extend(measured.map(|(metric, value)| Record { epoch, split, metric, value }));
        }
        tell(Progress::Epoch { epoch, history: &history });
    }
    Ok(history)
}

/// The order in which an epoch takes the training examples, int64 `[n]`.
fn order(order: Order, train: &Inputs, seed: u64, epoch: i64) -> Tensor {
    let options = (Kind::Int64, Device::Cpu);
    let index = match order {
        Order::AsPublished => Tensor::arange(train.len(), options),
        Order::Shuffled => draw(seed, Purpose::Shuffle, epoch as u64, || Tensor::randperm(train.len(), options)),
    };
    index.to_device(train.labels.device())
}

/// `logits` of an epoch's minibatches, `labels` of its examples in the same order.
fn ensure_finite(logits: &[Tensor], labels: &Tensor, epoch: i64, training: &Training) -> Result<()> {
    let losses = cross_entropies(&Tensor::cat(logits, 0).to_kind(Kind::Float), labels);
    if losses.isfinite().all().int64_value(&[]) == 1 {
        return Ok(());
    }
    let losses = Vec::<f32>::try_from(&losses)?;
    let example = losses.iter().position(|loss| !loss.is_finite()).unwrap_or(0);
    let minibatch = example as i64 / training.minibatch + 1;
    let total = (labels.size()[0] + training.minibatch - 1) / training.minibatch;
    bail!(
        "the loss is {} in epoch {epoch}, minibatch {minibatch} of {total}, at learning rate {}: training diverged; try a smaller training.learning_rate",
        losses[example],
        training.learning_rate
    )
}
