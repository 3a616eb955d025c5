//! Losses, gradients and parameters that are not finite, noticed without waiting for the device at every step.

use crate::loss::cross_entropies;
use crate::model::Parameter;
use anyhow::{Result, bail};
use tch::{Kind, Tensor};

/// Keeps of every step what is needed to say later where training diverged: logits, labels, and the gradients of the biases.
///
/// A bias's gradient is the sum of what flows back into its layer: if any of that is not finite, neither is the sum. And biases are small
/// enough for their gradients to be kept until the next check. So are the weights of normalizations, the other parameters of one dimension.
#[derive(Debug)]
pub struct NonFiniteMonitor {
    /// The biases' and normalizations' places among the parameters.
    biases: Vec<usize>,
    epoch: i64,
    steps_per_epoch: i64,
    /// Number of minibatches of the epoch before `steps`.
    checked: usize,
    /// Not yet checked.
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// `[n, classes]`.
    logits: Tensor,
    /// int64, `[n]`.
    labels: Tensor,
    /// Of all biases, one after the other; none where the network has no biases.
    gradients: Option<Tensor>,
    learning_rate: f64,
}

impl NonFiniteMonitor {
    /// Before minibatch `minibatch` (counted from 0) of `epoch`.
    pub fn new(parameters: &[Parameter], epoch: i64, steps_per_epoch: i64, minibatch: i64) -> NonFiniteMonitor {
        let biases = (0..parameters.len()).filter(|index| parameters[*index].tensor.dim() == 1).collect();
        NonFiniteMonitor { biases, epoch, steps_per_epoch, checked: minibatch as usize, steps: Vec::new() }
    }

    /// Records a step: logits and labels of its minibatch, the gradients of all parameters, and the learning rate.
    pub fn observe(&mut self, logits: Tensor, labels: Tensor, gradients: &[Tensor], learning_rate: f64) {
        let of_biases: Vec<&Tensor> = self.biases.iter().map(|index| &gradients[*index]).collect();
        let gradients = (!of_biases.is_empty()).then(|| Tensor::cat(&of_biases, 0));
        self.steps.push(Step { logits, labels, gradients, learning_rate });
    }

    /// Checks all steps recorded since the last check, and `parameters` as they are now.
    ///
    /// # Errors
    /// If a loss, a gradient or a parameter is not finite: the first such step, and the layer.
    pub fn check(&mut self, parameters: &[Parameter]) -> Result<()> {
        let (steps, before) = (std::mem::take(&mut self.steps), self.checked);
        let Some(last) = steps.last() else { return Ok(()) };
        self.checked += steps.len();
        let all = |part: fn(&Step) -> Option<&Tensor>| steps.iter().filter_map(part).collect::<Vec<_>>();
        let (logits, labels) = (Tensor::cat(&all(|step| Some(&step.logits)), 0), Tensor::cat(&all(|step| Some(&step.labels)), 0));
        let mut finite = vec![all_finite(&losses(&logits, &labels))];
        finite.extend(last.gradients.as_ref().map(|_| all_finite(&Tensor::stack(&all(|step| step.gradients.as_ref()), 0))));
        finite.extend(parameters.iter().map(|parameter| all_finite(&parameter.tensor)));
        // The one moment at which the device is waited for.
        if is_true(&Tensor::stack(&finite, 0).all()) {
            return Ok(());
        }
        let advice = "training diverged; try a smaller training.learning_rate";
        let place = |index: usize| {
            let (minibatch, steps_per_epoch, rate) = (before + index + 1, self.steps_per_epoch, steps[index].learning_rate);
            format!("in epoch {}, minibatch {minibatch} of {steps_per_epoch}, at learning rate {rate}: {advice}", self.epoch)
        };
        for (index, Step { logits, labels, gradients, .. }) in steps.iter().enumerate() {
            let layer = gradients.as_ref().and_then(|gradients| self.last_layer(gradients, parameters));
            let losses = Vec::<f64>::try_from(losses(logits, labels).to_kind(Kind::Double))?;
            if let Some(loss) = losses.iter().find(|loss| !loss.is_finite()) {
                let layer = layer.map_or(String::new(), |layer| format!(", and with it the gradients from {layer} back"));
                bail!("the loss is {loss}{layer}, {}", place(index));
            }
            if let Some(layer) = layer {
                bail!("the gradient of {layer} is not finite, {}", place(index));
            }
        }
        match parameters.iter().find(|parameter| !is_true(&all_finite(&parameter.tensor))) {
            Some(Parameter { name, .. }) => bail!("{name} is not finite after the step, {}", place(steps.len() - 1)),
            None => Ok(()),
        }
    }

    /// The last layer whose `gradients` are not finite, at which it began: they flow from the last layer to the first.
    fn last_layer<'a>(&self, gradients: &Tensor, parameters: &'a [Parameter]) -> Option<&'a str> {
        let biases = || self.biases.iter().map(|index| &parameters[*index]);
        let sizes: Vec<i64> = biases().map(|bias| bias.tensor.numel() as i64).collect();
        let gradients = gradients.split_with_sizes(&sizes, 0);
        let (Parameter { name, .. }, _) = biases().zip(&gradients).rfind(|(_, gradient)| !is_true(&all_finite(gradient)))?;
        Some(name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer))
    }
}

/// Cross-entropy of each example, `[n]`, in single precision.
fn losses(logits: &Tensor, labels: &Tensor) -> Tensor {
    cross_entropies(&logits.to_kind(Kind::Float), labels)
}

/// Whether all values are finite, on their device.
fn all_finite(values: &Tensor) -> Tensor {
    values.isfinite().all()
}

fn is_true(value: &Tensor) -> bool {
    value.int64_value(&[]) == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).to_kind(Kind::Float)
    }

    fn parameters() -> Vec<Parameter> {
        let named = |name: &str, size: &[i64]| Parameter { name: name.to_owned(), tensor: Tensor::zeros(size, (Kind::Float, Device::Cpu)) };
        vec![named("one.weight", &[3, 2]), named("one.bias", &[2]), named("two.weight", &[2, 2]), named("two.bias", &[2])]
    }

    fn labels() -> Tensor {
        Tensor::zeros([2], (Kind::Int64, Device::Cpu))
    }

    /// The message after three steps, the second of them with these values; the first two minibatches of the epoch were done before.
    fn message(logit: f64, one: f64, two: f64, weight: f64) -> String {
        let parameters = parameters();
        let mut monitor = NonFiniteMonitor::new(&parameters, 3, 9, 2);
        for step in 0..3 {
            let (logit, one, two) = if step == 1 { (logit, one, two) } else { (1.0, 1.0, 1.0) };
            let gradients = [tensor(&[0.0; 6]), tensor(&[0.0, one]), tensor(&[0.0; 4]), tensor(&[two, 0.0])];
            monitor.observe(tensor(&[0.0, 1.0, logit, 0.0]).view([2, 2]), labels(), &gradients, 0.1);
        }
        let _ = parameters[2].tensor.shallow_clone().fill_(weight);
        monitor.check(&parameters).map_or_else(|error| error.to_string(), |()| "nothing".to_owned())
    }

    #[test]
    fn what_is_not_finite_is_named_with_step_and_layer() {
        let at = |minibatch| format!("in epoch 3, minibatch {minibatch} of 9, at learning rate 0.1");
        assert_eq!(message(1.0, 1.0, 1.0, 1.0), "nothing");
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = message(1.0, value, 1.0, 1.0);
            assert!(error.contains("the gradient of one is not finite") && error.contains(&at(4)), "{value}: {error}");
            let error = message(1.0, value, value, 1.0);
            assert!(error.contains("the gradient of two is not finite") && error.contains(&at(4)), "{value}: {error}");
            let error = message(1.0, 1.0, 1.0, value);
            assert!(error.contains("two.weight is not finite after the step") && error.contains(&at(5)), "{value}: {error}");
        }
        let error = message(f64::NAN, 1.0, f64::NAN, 1.0);
        assert!(error.contains("the loss is NaN, and with it the gradients from two back") && error.contains(&at(4)), "{error}");
    }

    #[test]
    fn each_step_is_checked_once() {
        let parameters = parameters();
        let mut monitor = NonFiniteMonitor::new(&parameters, 3, 9, 0);
        monitor.check(&parameters).expect("nothing to check");
        let gradients: Vec<Tensor> = parameters.iter().map(|parameter| parameter.tensor.zeros_like()).collect();
        for step in 0..9 {
            let logits = tensor(&[0.0, if step == 7 { f64::NAN } else { 0.0 }]).view([1, 2]).repeat([2, 1]);
            monitor.observe(logits, labels(), &gradients, 0.1);
            if step % 3 == 2 {
                let checked = monitor.check(&parameters);
                assert_eq!(checked.is_err(), step == 8);
                assert!(checked.err().is_none_or(|error| error.to_string().contains("minibatch 8 of 9")));
            }
        }
    }
}
