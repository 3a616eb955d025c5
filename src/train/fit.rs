//! The one training loop.

use super::evaluate::{examples_at_a_time, metrics};
use super::finite::{Finite, Place};
use super::networks::{Lone, Networks, Several};
use super::observer::{Interrupted, Observer, Wish};
use super::state::{Best, State};
use crate::data::splits::{Inputs, Splits};
use crate::experiment::{Keep, Order, Training};
use crate::history::{History, Metric, Record, Split};
use crate::model::{Model, Parameter};
use crate::seed::{Purpose, draw};
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

/// The positions of the random streams that change validation images begin here, those for training images at 0.
const VALIDATION: u64 = 1 << 32;

/// One network in training: what decides its course, where it stands, and who watches.
pub struct Member<'a> {
    pub(super) training: &'a Training,
    pub(super) seed: u64,
    pub(super) state: State,
    observer: &'a mut dyn Observer,
    /// Why its training ended before its time, if it did.
    failure: Option<anyhow::Error>,
}

impl<'a> Member<'a> {
    pub fn new(training: &'a Training, seed: u64, state: State, observer: &'a mut dyn Observer) -> Member<'a> {
        Member { training, seed, state, observer, failure: None }
    }

    fn goes_on(&self) -> bool {
        self.failure.is_none() && self.state.epoch < self.training.epochs && !self.state.is_stopped
    }

    fn fails_with(&mut self, result: Result<()>) {
        if let (Err(error), None) = (result, &self.failure) {
            self.failure = Some(error);
        }
    }

    /// Before minibatch `step` of all `steps`, both counted over the whole training: sets its learning rate, where that has a schedule.
    fn begin_step(&mut self, step: u64, steps: u64) {
        // In the middle of the step, so that neither the first nor the last is taken at a rate of 0.
        if let Some(rate) = self.training.scheduled_rate((step as f64 + 0.5) / steps as f64) {
            self.state.sgd.learning_rate = rate;
        }
    }

    /// After it.
    fn end_step(&mut self, step: u64, values: &[Parameter]) {
        if let Some(average) = &mut self.state.average {
            average.observe(values, step);
        }
        self.state.minibatch += 1;
        self.observer.minibatch();
    }

    fn exchange_average(&mut self, values: &mut [Parameter]) {
        if let Some(average) = &mut self.state.average {
            average.exchange(values);
        }
    }

    /// Takes what was measured after `epoch`, if anything was, and lets the rules of its training draw their conclusions.
    fn end_epoch(&mut self, epoch: i64, measured: Vec<Record>, values: &[Parameter]) {
        let Member { training, state, observer, .. } = self;
        state.history.records.extend(measured);
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
            state.best = Some(Best { epoch, accuracy, values: values.iter().map(|value| value.tensor.copy()).collect() });
        }
        observer.epoch(state);
    }

    /// Its history, if training did not fail; `values` then become those that `training.keep` asks for.
    fn end(mut self, values: &mut [Parameter]) -> Result<History> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match &self.state.best {
            Some(best) => values.iter_mut().zip(&best.values).for_each(|(value, best)| value.tensor.copy_(best)),
            None => self.exchange_average(values),
        }
        Ok(self.state.history)
    }
}

/// Trains `model` on, from `state`, up to `training.epochs` and measures it on all splits after each, or as often as `training` says. In
/// the end it has the parameters that `training.keep` asks for.
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
    state: State,
    observer: &mut dyn Observer,
) -> Result<History> {
    in_step(&mut Lone::new(model), splits, vec![Member::new(training, seed, state, observer)]).remove(0)
}

/// [`fit`] for several perceptrons of equal shape at the same time, as one (see [`crate::model::Stack`]), or for one network of any kind.
/// Each ends as it would alone, to rounding; where training fails for one, the others go on.
///
/// # Errors
/// If several cannot be trained as one (see [`can_be_stacked`]), or do not stand at the same minibatch. For each the same as [`fit`].
pub fn fit_together(models: &[&dyn Model], splits: &Splits, members: Vec<Member>) -> Result<Vec<Result<History>>> {
    let place = |member: &Member| (member.training.epochs, member.training.minibatch, member.state.epoch, member.state.minibatch);
    let fits = |member: &Member| can_be_stacked(member.training) && place(member) == place(&members[0]);
    ensure!(models.len() == members.len(), "{} networks for {} trainings, expected as many", models.len(), members.len());
    if let [model] = models {
        return Ok(in_step(&mut Lone::new(*model), splits, members));
    }
    let is_augmented = splits.train.is_augmented() || splits.validation.is_augmented();
    ensure!(!is_augmented, "trainings with random changes of images do not go in step: each draws its own from its seed");
    ensure!(members.iter().all(fits), "these trainings do not go in step: they differ in more than learning rate, order and seed");
    let mut several = Several::new(models);
    let histories = in_step(&mut several, splits, members);
    for (index, model) in models.iter().enumerate() {
        for (mut own, trained) in model.values().into_iter().zip(several.values(index)) {
            own.tensor.copy_(&trained.tensor);
        }
    }
    Ok(histories)
}

/// Whether perceptrons that are trained so can be trained as one: by plain gradient descent for all of the epochs.
pub fn can_be_stacked(training: &Training) -> bool {
    let Training { momentum, weight_decay, label_smoothing, weight_averaging, early_stopping, .. } = training;
    [momentum, weight_decay, label_smoothing, weight_averaging].iter().all(|setting| **setting == 0.0) && early_stopping.is_none()
}

/// Trains `networks`, whose members stand at the same minibatch and have the same number of epochs to go.
fn in_step(networks: &mut dyn Networks, splits: &Splits, mut members: Vec<Member>) -> Vec<Result<History>> {
    let mut values: Vec<Vec<Parameter>> = (0..members.len()).map(|index| networks.values(index)).collect();
    while let Some(Member { training, seed, state, .. }) = members.iter().find(|member| member.goes_on()) {
        let (epoch, done, seed, Training { minibatch, epochs, measure_every, .. }) = (state.epoch + 1, state.minibatch, *seed, *training);
        let order = orders(&members, &splits.train, epoch);
        let examples = splits.train.augmented(seed, epoch as u64);
        let minibatches = (splits.train.len() as u64).div_ceil(*minibatch as u64) as i64;
        let mut finite = Finite::new(&values[0], Place { epoch, minibatch: *minibatch, minibatches }, done);
        for (place, index) in (0..).zip(&order.split(*minibatch, 1)).skip(done as usize) {
            let step = ((epoch - 1) * minibatches + place) as u64;
            members.iter_mut().for_each(|member| member.begin_step(step, (epochs * minibatches) as u64));
            // Gathered when it is needed, a minibatch stays in the cache; a shuffled copy of all would pass through memory twice.
            let (logits, biases) = networks.learn(&examples, index, step, &mut members);
            finite.note(members.iter().map(|member| member.state.sgd.learning_rate).collect(), logits, &biases);
            members.iter_mut().zip(&values).for_each(|(member, values)| member.end_step(step, values));
            let wish = strongest_wish(&mut members);
            if wish != Wish::GoOn {
                look(&mut finite, &mut members, &values, &splits.train, &order);
                attend(wish, &mut members, &values);
                if !members.iter().any(Member::goes_on) {
                    break;
                }
            }
        }
        look(&mut finite, &mut members, &values, &splits.train, &order);
        if !members.iter().any(Member::goes_on) {
            break;
        }
        let is_measured = epoch % measure_every == 0 || epoch == *epochs;
        let measured = if is_measured {
            // What is measured, and kept if it is the best, is the average where there is one.
            exchange_averages(&mut members, &mut values);
            measure(networks, splits, seed, epoch, &mut members)
        } else {
            Some(vec![Vec::new(); members.len()])
        };
        // If it was interrupted, all of the epoch's minibatches are done, and what goes on from here measures first.
        let wish = if measured.is_none() { Wish::Stop } else { Wish::GoOn };
        for ((member, measured), values) in members.iter_mut().zip(measured.unwrap_or_default()).zip(&values) {
            if member.failure.is_none() {
                member.end_epoch(epoch, measured, values);
            }
        }
        if is_measured {
            exchange_averages(&mut members, &mut values);
        }
        let wish = wish.max(strongest_wish(&mut members));
        attend(wish, &mut members, &values);
    }
    members.into_iter().zip(&mut values).map(|(member, values)| member.end(values)).collect()
}

/// Gives each network its average, or, a second time, its own values back.
fn exchange_averages(members: &mut [Member], values: &mut [Vec<Parameter>]) {
    members.iter_mut().zip(values).for_each(|(member, values)| member.exchange_average(values));
}

/// Whose steps so far were not finite fails.
fn look(finite: &mut Finite, members: &mut [Member], values: &[Vec<Parameter>], train: &Inputs, order: &Tensor) {
    let looked = finite.look(values, &train.labels.take(order));
    members.iter_mut().zip(looked).for_each(|(member, looked)| member.fails_with(looked));
}

/// To stop is the strongest wish. Whose training has failed wants nothing any more: what it wants kept never would be.
fn strongest_wish(members: &mut [Member]) -> Wish {
    let good = members.iter_mut().filter(|member| member.failure.is_none());
    good.map(|member| member.observer.wish()).max().unwrap_or(Wish::GoOn)
}

/// Does what an observer wants, for every network that is still good.
fn attend(wish: Wish, members: &mut [Member], values: &[Vec<Parameter>]) {
    for (member, values) in members.iter_mut().zip(values).filter(|(member, _)| wish != Wish::GoOn && member.failure.is_none()) {
        let kept = member.observer.keep(&member.state, values);
        member.fails_with(kept);
        if wish == Wish::Stop {
            member.fails_with(Err(Interrupted.into()));
        }
    }
}

/// Measures the networks on every split that has labels: for each of them, what was found. None if an observer wants to stop.
fn measure(networks: &dyn Networks, splits: &Splits, seed: u64, epoch: i64, members: &mut [Member]) -> Option<Vec<Vec<Record>>> {
    let validation = splits.validation.augmented(seed, VALIDATION + epoch as u64);
    let mut records: Vec<Vec<Record>> = members.iter().map(|_| Vec::new()).collect();
    for (split, inputs) in Split::ALL.into_iter().zip([Some(&splits.train), Some(&validation), splits.test.as_ref()]) {
        let Some(inputs) = inputs else { continue };
        let mut parts = Vec::new();
        for part in inputs.minibatches(examples_at_a_time(inputs)) {
            parts.push(networks.logits(&part.images));
            if strongest_wish(members) == Wish::Stop {
                return None;
            }
        }
        let logits = Tensor::cat(&parts, 1);
        for (records, index) in records.iter_mut().zip(0..) {
            let measured = metrics(&logits.get(index), &inputs.labels);
            records.extend(measured.into_iter().map(|(metric, value)| Record { epoch, split, metric, value }));
        }
    }
    Some(records)
}

/// The orders in which the members take the training examples of an epoch, int64 `[members, n]`.
fn orders(members: &[Member], train: &Inputs, epoch: i64) -> Tensor {
    let of = |member: &Member| order(member.training.order, train, member.seed, epoch);
    Tensor::stack(&members.iter().map(of).collect::<Vec<_>>(), 0)
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
            let training = Training { epochs: 2, minibatch, weight_averaging: 0.9, ..experiment.training()?.clone() };
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
