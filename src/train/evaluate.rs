//! Exact metrics of a network on a set of examples.

use crate::data::splits::Inputs;
use crate::history::Metric;
use crate::layers::Mode;
use crate::loss::{cross_entropy, twice_softmaxed_cross_entropy};
use crate::model::Model;
use anyhow::Result;
use serde::Serialize;
use tch::{Kind, Tensor};

/// Values (pixels times channels) per evaluation batch: 1,000 MNIST digits. Large enough for efficient matrix products, small enough for
/// the activations to stay in the cache. A GPU wants larger batches.
const VALUES: i64 = 1_000 * 28 * 28;
const VALUES_ON_GPU: i64 = 8 * VALUES;

/// Number of examples evaluated at a time.
fn examples_at_a_time(inputs: &Inputs) -> i64 {
    let values = if inputs.device().is_cuda() { VALUES_ON_GPU } else { VALUES };
    (values / inputs.image().iter().product::<i64>()).max(1)
}

/// Logits of all examples, `[n, classes]`.
pub fn logits(model: &dyn Model, inputs: &Inputs) -> Tensor {
    let parts = inputs.minibatches(examples_at_a_time(inputs)).map(|part| model.logits(&part.images, Mode::Eval));
    Tensor::cat(&parts.collect::<Vec<_>>(), 0)
}

/// As [`logits`], but calls `go_on` after each batch with its number of examples; an error of `go_on` ends the evaluation.
pub(crate) fn logits_while(model: &dyn Model, inputs: &Inputs, mut go_on: impl FnMut(i64) -> Result<()>) -> Result<Tensor> {
    let mut parts = Vec::new();
    for part in inputs.minibatches(examples_at_a_time(inputs)) {
        parts.push(model.logits(&part.images, Mode::Eval));
        go_on(part.labels.size()[0])?;
    }
    Ok(Tensor::cat(&parts, 0))
}

/// The likeliest class of each example by its logits `[n, classes]`, and the probability that the network gives it.
pub fn predictions(logits: &Tensor) -> Result<Vec<(i64, f64)>> {
    let (confidence, class) = logits.softmax(-1, Kind::Double).max_dim(-1, false);
    Ok(Vec::<i64>::try_from(class)?.into_iter().zip(Vec::<f64>::try_from(confidence)?).collect())
}

/// A misclassified validation image: a line of a CSV.
#[derive(Debug, Serialize)]
pub struct Misclassified {
    /// Its place in the validation set.
    pub validation_example: i64,
    pub label: i64,
    pub prediction: i64,
    /// The probability that the network gives its prediction.
    pub confidence: f64,
}

/// Every misclassified image of a validation set by its logits `[n, classes]` and labels, int64 `[n]`; the most confident errors first.
pub fn misclassified(logits: &Tensor, labels: &Tensor) -> Result<Vec<Misclassified>> {
    let predicted = predictions(logits)?.into_iter().zip(Vec::<i64>::try_from(labels)?);
    let row = |(validation_example, ((prediction, confidence), label))| Misclassified { validation_example, label, prediction, confidence };
    let mut rows: Vec<Misclassified> = (0..).zip(predicted).map(row).filter(|row| row.label != row.prediction).collect();
    rows.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    Ok(rows)
}

/// Every metric of the network, as a mean over all examples.
pub fn evaluate(model: &dyn Model, inputs: &Inputs) -> Vec<(Metric, f64)> {
    metrics(&logits(model, inputs), &inputs.labels)
}

/// Every metric, in double precision, as a mean over all examples, not over minibatches of unequal size. Logits are `[n, classes]`.
pub(super) fn metrics(logits: &Tensor, labels: &Tensor) -> Vec<(Metric, f64)> {
    let logits = logits.to_kind(Kind::Double);
    let right = logits.argmax(-1, false).eq_tensor(labels).to_kind(Kind::Double).mean(None::<Kind>);
    vec![
        (Metric::Loss, cross_entropy(&logits, labels).double_value(&[])),
        (Metric::Accuracy, right.double_value(&[])),
        (Metric::TwiceSoftmaxedLoss, twice_softmaxed_cross_entropy(&logits, labels).double_value(&[])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_confident_errors_come_first() -> Result<()> {
        let logits = Tensor::from_slice(&[0.0, 1.0, 5.0, 0.0, 0.0, 3.0, 0.0, 9.0]).view([4, 2]);
        let rows = misclassified(&logits, &Tensor::from_slice(&[0_i64, 1, 0, 1]))?;
        let found: Vec<(i64, i64, i64)> = rows.iter().map(|row| (row.validation_example, row.label, row.prediction)).collect();
        assert_eq!(found, [(1, 1, 0), (2, 0, 1), (0, 0, 1)], "the fourth is right");
        assert!((rows[0].confidence - 1.0 / (1.0 + (-5.0_f64).exp())).abs() < 1e-12);
        Ok(())
    }
}
