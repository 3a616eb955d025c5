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
    /// Of each bias, and each weight of a normalization, its place among the parameters, its name, and how many values it has.
    biases: Vec<(usize, String, i64)>,
    epoch: i64,
    steps_per_epoch: i64,
    /// How many minibatches of the epoch were checked before those below.
    checked: i64,
    /// Of each step: logits `[n, classes]`, labels `[n]`, the gradients of all biases `[values]`, and the learning rate.
    logits: Vec<Tensor>,
    labels: Vec<Tensor>,
    gradients: Vec<Tensor>,
    rates: Vec<f64>,
}

impl NonFiniteMonitor {
    /// Before minibatch `minibatch` (counted from 0) of `epoch`.
    pub fn new(parameters: &[Parameter], epoch: i64, steps_per_epoch: i64, minibatch: i64) -> NonFiniteMonitor {
        let bias = |(index, parameter): (usize, &Parameter)| (index, parameter.name.clone(), parameter.tensor.numel() as i64);
        let biases = parameters.iter().enumerate().filter(|(_, parameter)| parameter.tensor.dim() == 1).map(bias).collect();
        let (logits, labels, gradients, rates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        NonFiniteMonitor { biases, epoch, steps_per_epoch, checked: minibatch, logits, labels, gradients, rates }
    }

    /// Records a step: logits and labels of its minibatch, the gradients of all parameters, and the learning rate.
    pub fn observe(&mut self, logits: Tensor, labels: Tensor, gradients: &[Tensor], learning_rate: f64) {
        self.logits.push(logits);
        self.labels.push(labels);
        self.rates.push(learning_rate);
        if !self.biases.is_empty() {
            let of_biases: Vec<&Tensor> = self.biases.iter().map(|(index, ..)| &gradients[*index]).collect();
            self.gradients.push(Tensor::cat(&of_biases, 0));
        }
    }

    /// Checks all steps recorded since the last check, and `parameters` as they are now.
    ///
    /// # Errors
    /// If a loss, a gradient or a parameter is not finite: the first such step, and the layer.
    pub fn check(&mut self, parameters: &[Parameter]) -> Result<()> {
        let steps = self.logits.len();
        if steps == 0 {
            return Ok(());
        }
        let sizes: Vec<i64> = self.labels.iter().map(|labels| labels.size()[0]).collect();
        let (logits, labels) = (Tensor::cat(&std::mem::take(&mut self.logits), 0), Tensor::cat(&std::mem::take(&mut self.labels), 0));
        let (gradients, rates) = (std::mem::take(&mut self.gradients), std::mem::take(&mut self.rates));
        let losses = cross_entropies(&logits.to_kind(Kind::Float), &labels);
        let gradients = (!gradients.is_empty()).then(|| Tensor::stack(&gradients, 0).isfinite());
        let before = self.checked;
        self.checked += steps as i64;
        let finite = [losses.isfinite().all()].into_iter().chain(gradients.iter().map(Tensor::all));
        let finite = finite.chain(parameters.iter().map(|parameter| parameter.tensor.isfinite().all()));
        // The one moment at which the device is waited for.
        if Tensor::stack(&finite.collect::<Vec<_>>(), 0).all().int64_value(&[]) == 1 {
            return Ok(());
        }
        let place = |step: usize| {
            let (minibatch, rate) = (before + step as i64 + 1, rates[step]);
            format!("in epoch {}, minibatch {minibatch} of {}, at learning rate {rate}", self.epoch, self.steps_per_epoch)
        };
        let advice = "training diverged; try a smaller training.learning_rate";
        let losses = losses.split_with_sizes(&sizes, 0);
        for (step, losses) in losses.iter().enumerate() {
            let layer = gradients.as_ref().and_then(|gradients| self.layer(&gradients.get(step as i64)));
            if let Some(example) = first_false(&losses.isfinite()) {
                let layer = layer.map_or(String::new(), |layer| format!(", and with it the gradients from {layer} back"));
                bail!("the loss is {}{layer}, {}: {advice}", losses.double_value(&[example]), place(step));
            }
            if let Some(layer) = layer {
                bail!("the gradient of {layer} is not finite, {}: {advice}", place(step));
            }
        }
        match parameters.iter().find(|parameter| parameter.tensor.isfinite().all().int64_value(&[]) == 0) {
            Some(Parameter { name, .. }) => bail!("{name} is not finite after the step, {}: {advice}", place(steps - 1)),
            None => Ok(()),
        }
    }

    /// The layer at which gradients began not to be finite, if any did: they flow from the last layer to the first.
    fn layer(&self, is_finite: &Tensor) -> Option<&str> {
        let mut end = is_finite.size()[0];
        self.biases.iter().rev().find_map(|(_, name, values)| {
            end -= values;
            let is_good = is_finite.narrow(0, end, *values).all().int64_value(&[]) == 1;
            (!is_good).then(|| name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer))
        })
    }
}

/// The place of the first value that is false.
fn first_false(good: &Tensor) -> Option<i64> {
    Vec::<bool>::try_from(good).ok()?.iter().position(|good| !good).map(|place| place as i64)
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
