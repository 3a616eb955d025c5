//! The training loop.

use super::callbacks::{Callbacks, Interrupted, Request};
use super::evaluate::{logits_while, metrics};
use super::monitor::NonFiniteMonitor;
use super::state::State;
use crate::data::splits::{Inputs, Minibatch, Splits};
use crate::experiment::{Order, Training};
use crate::history::{History, Record, Split};
use crate::layers::Mode;
use crate::loss::Objective;
use crate::model::{Model, Parameter};
use crate::seed::{Purpose, draw};
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

/// Offset of the random streams of validation images' augmentation; that of training images has stream `epoch` (see [`crate::seed`]).
const VALIDATION_STREAMS: u64 = 1 << 32;

/// Trains `model` from `state` up to `training.epochs`, and evaluates it on every split every `training.evaluate_every` epochs.
/// Afterwards the model has the parameters that `training.keep` asks for.
///
/// # Errors
/// If a loss, a gradient or a parameter is not finite: with epoch, minibatch, learning rate and layer. This is checked once an epoch and
/// before each checkpoint, which avoids a synchronization with the device in each step, and no checkpoint holds NaN. With [`Interrupted`] if
/// `callbacks` asks to stop; with the error of a checkpoint that cannot be written.
pub fn fit(
    model: &dyn Model,
    splits: &Splits,
    training: &Training,
    seed: u64,
    mut state: State,
    callbacks: &mut dyn Callbacks,
) -> Result<History> {
    // `values` are the parameters and, after them, the buffers.
    let (mut parameters, mut values) = (model.parameters(), model.values());
    let objective = Objective { label_smoothing: training.label_smoothing };
    let steps_per_epoch = (splits.train.len() as u64).div_ceil(training.minibatch as u64) as i64;
    while state.epoch < training.epochs && !state.is_stopped {
        let epoch = state.epoch + 1;
        let examples = splits.train.augmented(seed, epoch as u64);
        let order = permutation(training.order, &splits.train, seed, epoch);
        let mut monitor = NonFiniteMonitor::new(&parameters, epoch, steps_per_epoch, state.minibatch);
        // A resumed epoch begins after the minibatches that the checkpoint has seen.
        for indices in order.split(training.minibatch, 0).iter().skip(state.minibatch as usize) {
            let step = state.epoch * steps_per_epoch + state.minibatch;
            if let Some(rate) = training.learning_rate_at(step, training.epochs * steps_per_epoch) {
                state.optimizer.set_learning_rate(rate);
            }
            // Gathered when it is needed, a minibatch stays in the cache; a shuffled copy of all would pass through memory twice.
            let Minibatch { images, labels } = examples.select(indices);
            let mode = Mode::Train { seed, minibatch: step as u64 };
            // Forward and backward pass. The monitor computes the losses once more, for all steps of an epoch at once.
            let (logits, gradients) = model.gradients(&images, &labels, mode, objective);
            state.optimizer.step(&mut parameters, &gradients);
            if let Some(ema) = &mut state.ema {
                ema.update(&values, step as u64);
            }
            monitor.observe(logits, labels, &gradients, state.optimizer.learning_rate());
            state.minibatch += 1;
            callbacks.after_minibatch();
            handle_request(callbacks, &mut monitor, &state, &values)?;
        }
        monitor.check(&values)?;
        if epoch % training.evaluate_every == 0 || epoch == training.epochs {
            state.swap_ema(&mut values); // The EMA weights, if there are any, are evaluated.
            let evaluated =
                evaluate_epoch(model, splits, seed, epoch, callbacks).map(|records| state.record(&records, training.keep, &values));
            state.swap_ema(&mut values);
            if let Err(interrupted) = evaluated {
                // All of the epoch's minibatches are done: training resumes with the evaluation.
                callbacks.checkpoint(&state, &values)?;
                return Err(interrupted);
            }
        }
        (state.epoch, state.minibatch) = (epoch, 0);
        state.after_epoch(epoch); // Reduces the learning rate on a plateau; stops early.
        callbacks.after_epoch(&state);
        handle_request(callbacks, &mut monitor, &state, &values)?;
    }
    match &state.best {
        Some(best) => values.iter_mut().zip(&best.values).for_each(|(value, best)| value.tensor.copy_(best)),
        None => state.swap_ema(&mut values),
    }
    Ok(state.history)
}

/// Writes a checkpoint, or ends training, where `callbacks` asks for it.
fn handle_request(callbacks: &mut dyn Callbacks, monitor: &mut NonFiniteMonitor, state: &State, values: &[Parameter]) -> Result<()> {
    let request = callbacks.request();
    if request == Request::Continue {
        return Ok(());
    }
    monitor.check(values)?;
    callbacks.checkpoint(state, values)?;
    ensure!(request != Request::Stop, Interrupted);
    Ok(())
}

/// Every metric on every split that has labels.
///
/// # Errors
/// If `callbacks` asks to stop.
fn evaluate_epoch(model: &dyn Model, splits: &Splits, seed: u64, epoch: i64, callbacks: &mut dyn Callbacks) -> Result<Vec<Record>> {
    let validation = splits.validation.augmented(seed, VALIDATION_STREAMS + epoch as u64);
    let mut records = Vec::new();
    for (split, inputs) in Split::ALL.into_iter().zip([Some(&splits.train), Some(&validation), splits.test.as_ref()]) {
        let Some(inputs) = inputs else { continue };
        let check_stop = |_| {
            ensure!(callbacks.request() != Request::Stop, Interrupted);
            Ok(())
        };
        let metrics = metrics(&logits_while(model, inputs, check_stop)?, &inputs.labels);
        records.extend(metrics.into_iter().map(|(metric, value)| Record { epoch, split, metric, value }));
    }
    Ok(records)
}

/// The order in which an epoch takes the training examples, int64 `[n]`.
fn permutation(order: Order, train: &Inputs, seed: u64, epoch: i64) -> Tensor {
    let options = (Kind::Int64, Device::Cpu);
    let index = match order {
        Order::AsPublished => Tensor::arange(train.len(), options),
        Order::Shuffled => draw(seed, Purpose::Shuffle, epoch as u64, || Tensor::randperm(train.len(), options)),
    };
    index.to_device(train.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;
    use crate::data::Examples;
    use crate::experiment::{ExperimentFile, Layer};
    use crate::libtorch::tests::transfers;
    use crate::model::Cnn;
    use crate::seed::Purpose;
    use std::path::Path;

    /// The report's VGG, narrow, with all that its training has and an average over its steps: epochs of 4 and of 12 minibatches wait for
    /// the device as often, as far as that shows on the CPU (see [`transfers`]).
    #[test]
    fn no_step_of_the_vgg_moves_values_between_host_and_device() -> Result<()> {
        // So small that a second thread would only be waited for.
        tch::set_num_threads(1);
        let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
        let mut experiment = ExperimentFile::read(&experiments.join("kaggle_vgg.toml"))?.variant("vgg")?;
        let narrow = |layer: &Layer| match layer {
            Layer::Convolution(_) => Layer::Convolution(4),
            Layer::FullyConnected(outputs) if *outputs > 2 => Layer::FullyConnected(8),
            other => *other,
        };
        experiment.model.layers = experiment.model.layers.iter().map(narrow).collect();
        let (images, labels) = draw(1, Purpose::Embedded, 0, || {
            let integers = |high: i64, size: &[i64], kind| Tensor::randint(high, size, (kind, Device::Cpu));
            (integers(256, &[60, 3, 32, 32], Kind::Uint8), integers(2, &[60], Kind::Int64))
        });
        let splits = Splits::new(&Examples { images, labels }, None, &experiment, 1, Device::Cpu)?;
        let architecture = Architecture::new([3, 32, 32], &experiment.model.layers)?;
        let count = |minibatch| -> Result<i64> {
            let initialization = experiment.model.initialization;
            let network = draw(1, Purpose::Initialization, 0, || Cnn::new(&architecture, initialization, Kind::Float, Device::Cpu));
            let training = Training { epochs: 2, minibatch, ema_decay: 0.9, ..experiment.training()?.clone() };
            let (history, count) = transfers(|| fit(&network, &splits, &training, 1, State::new(&training), &mut ()));
            history.map(|_| count)
        };
        assert_eq!(splits.train.len(), 48);
        let (few, many) = (count(12)?, count(4)?);
        assert!(few > 0, "each epoch is looked at");
        assert_eq!(few, many, "with three times as many steps");
        Ok(())
    }
}
