//! Expected training time, from a few timed steps.

use super::evaluate::examples_at_a_time;
use crate::data::splits::Splits;
use crate::experiment::Training;
use crate::layers::Mode;
use crate::loss::Objective;
use crate::model::{Model, Parameter};
use crate::optim;
use std::time::{Duration, Instant};
use tch::Kind;

/// Steps that are taken before the clock starts, and while it runs.
const WARM_UP: i64 = 2;
const TIMED: i64 = 3;

/// How long training `model` will take: minibatches and evaluations of all its epochs, at the speed of a few of each. The network is
/// left as it was.
pub fn expected_time(model: &dyn Model, splits: &Splits, training: &Training) -> Duration {
    let copy = |Parameter { name, tensor }: Parameter| Parameter { name, tensor: tensor.copy() };
    let copies = |values: Vec<Parameter>| values.into_iter().map(copy).collect::<Vec<_>>();
    let (mut parameters, before) = (copies(model.parameters()), copies(model.buffers()));
    let mut optimizer = optim::build(training);
    let examples = splits.train.augmented(0, 0);
    let mut step = || {
        let minibatch = examples.range(0, training.minibatch.min(examples.len()));
        let mode = Mode::Train { seed: 0, minibatch: 0 };
        let (_, gradients) =
            model.gradients(&minibatch.images, &minibatch.labels, mode, Objective { label_smoothing: training.label_smoothing });
        optimizer.step(&mut parameters, &gradients);
        // Looked at, so that a GPU has to finish it.
        parameters[0].tensor.sum(Kind::Float).double_value(&[])
    };
    let evaluated = examples_at_a_time(&splits.train).min(splits.train.len());
    let evaluate = || model.logits(&splits.train.range(0, evaluated).images, Mode::Eval).sum(Kind::Float).double_value(&[]);
    for _ in 0..WARM_UP {
        step();
        evaluate();
    }
    let started = Instant::now();
    for _ in 0..TIMED {
        step();
    }
    let one_step = started.elapsed().as_secs_f64() / TIMED as f64;
    let started = Instant::now();
    for _ in 0..TIMED {
        evaluate();
    }
    let one_example = started.elapsed().as_secs_f64() / (TIMED * evaluated) as f64;
    let measured = splits.train.len() + splits.validation.len() + splits.test.as_ref().map_or(0, |test| test.len());
    for (mut buffer, before) in model.buffers().into_iter().zip(before) {
        buffer.tensor.copy_(&before.tensor);
    }
    let steps = (splits.train.len() as f64 / training.minibatch as f64).ceil();
    let measurements = (training.epochs as f64 / training.measure_every as f64).ceil();
    Duration::from_secs_f64(training.epochs as f64 * steps * one_step + measurements * measured as f64 * one_example)
}
