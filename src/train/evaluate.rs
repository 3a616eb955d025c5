//! Exact metrics of a network on a set of examples.

use crate::data::splits::Inputs;
use crate::history::Metric;
use crate::layers::Mode;
use crate::loss::{cross_entropy, twice_softmaxed_cross_entropy};
use crate::model::Model;
use anyhow::Result;
use tch::{Kind, Tensor};

/// Values of images evaluated at a time: a thousand MNIST digits. Large enough for efficient matrix products, small enough for the
/// activations to stay in the cache. A GPU wants more at a time.
const VALUES: i64 = 1_000 * 28 * 28;
const VALUES_ON_GPU: i64 = 8 * VALUES;

/// How many examples are evaluated at a time.
pub(super) fn examples_at_a_time(inputs: &Inputs) -> i64 {
    let values = if inputs.device().is_cuda() { VALUES_ON_GPU } else { VALUES };
    (values / inputs.image().iter().product::<i64>()).max(1)
}

/// Logits of all examples, `[n, classes]`.
pub fn logits(model: &dyn Model, inputs: &Inputs) -> Tensor {
    let parts = inputs.minibatches(examples_at_a_time(inputs)).map(|minibatch| model.logits(&minibatch.images, Mode::Eval));
    Tensor::cat(&parts.collect::<Vec<_>>(), 0)
}

/// The likeliest class of each example by its logits `[n, classes]`, and the probability that the network gives it.
pub fn predictions(logits: &Tensor) -> Result<Vec<(i64, f64)>> {
    let (confidence, class) = logits.softmax(-1, Kind::Double).max_dim(-1, false);
    Ok(Vec::<i64>::try_from(class)?.into_iter().zip(Vec::<f64>::try_from(confidence)?).collect())
}

/// Every metric of the network, as a mean over all examples.
pub fn evaluate(model: &dyn Model, inputs: &Inputs) -> Vec<(Metric, f64)> {
    metrics(&logits(model, inputs), &inputs.labels)
}

/// Every metric as a mean over all examples, not over minibatches of unequal size; nothing is left out.
///
/// `logits` `[n, classes]` are reduced once, in double precision, so that the device is waited for once.
pub(super) fn metrics(logits: &Tensor, labels: &Tensor) -> Vec<(Metric, f64)> {
    let logits = logits.to_kind(Kind::Double);
    let right = logits.argmax(-1, false).eq_tensor(labels).to_kind(Kind::Double).mean(None::<Kind>);
    vec![
        (Metric::Loss, cross_entropy(&logits, labels).double_value(&[])),
        (Metric::Accuracy, right.double_value(&[])),
        (Metric::TwiceSoftmaxedLoss, twice_softmaxed_cross_entropy(&logits, labels).double_value(&[])),
    ]
}
