//! Values that are not finite, noticed without waiting for the device at every step.

use crate::layers::Gradient;
use crate::loss::cross_entropies;
use crate::model::Parameter;
use anyhow::{Result, bail};
use tch::{Kind, Tensor};

/// What is needed of each step to say later where training went wrong.
///
/// Biases tell for their layers: a bias's gradient is the sum of what flows back into its layer, so that if any of that is not finite,
/// neither is the sum. They are small enough to be kept from every step until somebody looks.
#[derive(Debug)]
pub struct Finite {
    /// Of each bias, in the order of the parameters: its name and how many values it has.
    biases: Vec<(String, i64)>,
    /// Where each of them is among the parameters.
    places: Vec<usize>,
    /// How many minibatches of the epoch were looked at before those below.
    before: i64,
    logits: Vec<Tensor>,
    gradients: Vec<Tensor>,
}

/// Where in training something is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub epoch: i64,
    /// Minibatches in an epoch.
    pub minibatches: i64,
    pub learning_rate: f64,
}

impl Finite {
    /// Before minibatch `before` (counted from 0) of an epoch.
    pub fn new(parameters: &[Parameter], before: i64) -> Finite {
        let places: Vec<usize> = (0..parameters.len()).filter(|index| parameters[*index].tensor.dim() == 1).collect();
        let bias = |index: &usize| (parameters[*index].name.clone(), parameters[*index].tensor.numel() as i64);
        Finite { biases: places.iter().map(bias).collect(), places, before, logits: Vec::new(), gradients: Vec::new() }
    }

    /// Notes a step: the logits of its minibatch and the gradients it took.
    pub fn note(&mut self, logits: Tensor, gradients: &[Gradient]) {
        self.logits.push(logits);
        let value = |index: &usize| match &gradients[*index] {
            // Scaled or not, it is finite or it is not.
            Gradient::Whole(value) | Gradient::Scaled { value, .. } => value.shallow_clone(),
            product => product.whole(),
        };
        let values: Vec<Tensor> = self.places.iter().map(value).collect();
        if !values.is_empty() {
            self.gradients.push(Tensor::cat(&values, 0));
        }
    }

    /// Looks at all steps noted since the last look; `labels` are those of the epoch's examples in its order, `minibatch` its size.
    ///
    /// # Errors
    /// If a loss, a gradient or a parameter is not finite: the first such step, and the layer.
    pub fn look(&mut self, parameters: &[Parameter], labels: &Tensor, minibatch: i64, place: Place) -> Result<()> {
        let steps = self.logits.len() as i64;
        if steps == 0 {
            return Ok(());
        }
        let (logits, gradients) = (Tensor::cat(&std::mem::take(&mut self.logits), 0), std::mem::take(&mut self.gradients));
        let first_example = self.before * minibatch;
        let (before, labels) = (self.before, labels.narrow(0, first_example, logits.size()[0]));
        self.before += steps;
        let losses = cross_entropies(&logits.to_kind(Kind::Float), &labels);
        let good_losses = losses.isfinite();
        let good_gradients = (!gradients.is_empty()).then(|| Tensor::stack(&gradients, 0).isfinite());
        let good_parameters: Vec<Tensor> = parameters.iter().map(|parameter| parameter.tensor.isfinite().all()).collect();
        let parts = [good_losses.all()]
            .into_iter()
            .chain(good_gradients.iter().map(Tensor::all))
            .chain(good_parameters.iter().map(Tensor::shallow_clone));
        // The one moment at which the device is waited for.
        if Tensor::stack(&parts.collect::<Vec<_>>(), 0).all().int64_value(&[]) == 1 {
            return Ok(());
        }

        let Place { epoch, minibatches, learning_rate } = place;
        let at =
            |step: i64| format!("in epoch {epoch}, minibatch {} of {minibatches}, at learning rate {learning_rate}", before + step + 1);
        let advice = "training diverged; try a smaller training.learning_rate";
        let bad_loss = first_false(&good_losses).map(|example| (example / minibatch, losses.double_value(&[example])));
        let bad_gradient = good_gradients.as_ref().and_then(|good| first_false(&good.all_dim(1, false)));
        let layer = |step: i64| -> Option<&str> {
            // Gradients flow from the last layer to the first: the last of those that are not finite is where it began.
            let good = good_gradients.as_ref()?.get(step);
            let mut end = good.size()[0];
            self.biases.iter().rev().find_map(|(name, values)| {
                end -= values;
                (good.narrow(0, end, *values).all().int64_value(&[]) == 0)
                    .then(|| name.rsplit_once(", ").map_or(name.as_str(), |(layer, _)| layer))
            })
        };
        match (bad_loss, bad_gradient) {
            (Some((step, loss)), gradient) if gradient.is_none_or(|gradient| step <= gradient) => {
                let layer = layer(step).map_or(String::new(), |layer| format!(", and with it the gradients from {layer} back"));
                bail!("the loss is {loss}{layer}, {}: {advice}", at(step))
            }
            (_, Some(step)) => bail!("the gradient of {} is not finite, {}: {advice}", layer(step).unwrap_or("a layer"), at(step)),
            (_, None) => {
                let bad = parameters.iter().zip(&good_parameters).find(|(_, good)| good.int64_value(&[]) == 0);
                let name = bad.map_or("a parameter", |(parameter, _)| parameter.name.as_str());
                bail!("{name} is not finite after the step, {}: {advice}", at(steps - 1))
            }
        }
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

    const PLACE: Place = Place { epoch: 3, minibatches: 9, learning_rate: 0.1 };

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).to_kind(Kind::Float)
    }

    fn parameters() -> Vec<Parameter> {
        let named = |name: &str, size: &[i64]| Parameter { name: name.to_owned(), tensor: Tensor::zeros(size, (Kind::Float, Device::Cpu)) };
        vec![named("one, weight", &[3, 2]), named("one, bias", &[2]), named("two, weight", &[2, 2]), named("two, bias", &[2])]
    }

    /// What is said after three steps, the second of them with these values, the first two minibatches of the epoch being done before.
    fn said(logit: f64, one: f64, two: f64, weight: f64) -> String {
        let mut parameters = parameters();
        let mut finite = Finite::new(&parameters, 2);
        for step in 0..3 {
            let (logit, one, two) = if step == 1 { (logit, one, two) } else { (1.0, 1.0, 1.0) };
            let logits = tensor(&[0.0, 1.0, logit, 0.0]).view([2, 2]);
            let whole = |size: &[i64]| Gradient::Whole(Tensor::zeros(size, (Kind::Float, Device::Cpu)));
            let scaled = Gradient::Scaled { value: tensor(&[two, 0.0]), divisor: -0.1 };
            finite.note(logits, &[whole(&[3, 2]), Gradient::Whole(tensor(&[0.0, one])), whole(&[2, 2]), scaled]);
        }
        let _ = parameters[2].tensor.fill_(weight);
        let labels = Tensor::zeros([18], (Kind::Int64, Device::Cpu));
        finite.look(&parameters, &labels, 2, PLACE).map_or_else(|error| error.to_string(), |()| "nothing".to_owned())
    }

    #[test]
    fn what_is_not_finite_is_named_with_step_and_layer() {
        let at = |minibatch| format!("in epoch 3, minibatch {minibatch} of 9, at learning rate 0.1");
        assert_eq!(said(1.0, 1.0, 1.0, 1.0), "nothing");
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = said(1.0, value, 1.0, 1.0);
            assert!(error.contains("the gradient of one is not finite") && error.contains(&at(4)), "{value}: {error}");
            let error = said(1.0, value, value, 1.0);
            assert!(error.contains("the gradient of two is not finite") && error.contains(&at(4)), "{value}: {error}");
            let error = said(1.0, 1.0, 1.0, value);
            assert!(error.contains("two, weight is not finite after the step") && error.contains(&at(5)), "{value}: {error}");
        }
        let error = said(f64::NAN, 1.0, f64::NAN, 1.0);
        assert!(error.contains("the loss is NaN, and with it the gradients from two back") && error.contains(&at(4)), "{error}");
    }

    #[test]
    fn each_step_is_looked_at_once() {
        let parameters = parameters();
        let labels = Tensor::zeros([18], (Kind::Int64, Device::Cpu));
        let mut finite = Finite::new(&parameters, 0);
        finite.look(&parameters, &labels, 2, PLACE).expect("nothing to look at");
        for step in 0..9 {
            let logits = tensor(&[0.0, if step == 7 { f64::NAN } else { 0.0 }]).view([1, 2]).repeat([2, 1]);
            finite.note(logits, &parameters.iter().map(|parameter| Gradient::Whole(parameter.tensor.zeros_like())).collect::<Vec<_>>());
            if step % 3 == 2 {
                let seen = finite.look(&parameters, &labels, 2, PLACE);
                assert_eq!(seen.is_err(), step == 8);
                assert!(seen.err().is_none_or(|error| error.to_string().contains("minibatch 8 of 9")));
            }
        }
    }
}
