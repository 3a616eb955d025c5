//! Values that are not finite, noticed without waiting for the device at every step.

use crate::layers::Gradient;
use crate::loss::cross_entropies;
use crate::model::Parameter;
use anyhow::{Result, bail};
use tch::{Kind, Tensor};

/// What is needed of each step to say later where training went wrong, of one network or of several that take their steps together.
///
/// Biases tell for their layers: a bias's gradient is the sum of what flows back into its layer, so that if any of that is not finite,
/// neither is the sum. They are small enough to be kept from every step until somebody looks.
#[derive(Debug)]
pub struct Finite {
    /// Of each bias, in the order of the parameters: its name and how many values it has.
    biases: Vec<(String, i64)>,
    place: Place,
    /// How many minibatches of the epoch were looked at before those below.
    before: i64,
    logits: Vec<Tensor>,
    gradients: Vec<Tensor>,
    /// Of each step, the learning rate of each network.
    rates: Vec<Vec<f64>>,
}

/// Where in training something is.
#[derive(Clone, Debug)]
pub struct Place {
    pub epoch: i64,
    /// Examples in a minibatch.
    pub minibatch: i64,
    /// Minibatches in an epoch.
    pub minibatches: i64,
}

/// Whether a parameter is a layer's bias, by its name.
pub fn is_bias(parameter: &Parameter) -> bool {
    parameter.name.ends_with("bias")
}

/// The gradient or a multiple of it, whichever is there: the one is finite where the other is.
pub fn multiple(gradient: &Gradient) -> Tensor {
    match gradient {
        Gradient::Whole(value) | Gradient::Scaled { value, .. } => value.shallow_clone(),
        product => product.whole(),
    }
}

impl Finite {
    /// Before minibatch `before` (counted from 0) of the epoch of `place`, for networks with parameters like these.
    pub fn new(parameters: &[Parameter], place: Place, before: i64) -> Finite {
        let bias = |parameter: &Parameter| (parameter.name.clone(), parameter.tensor.numel() as i64);
        let biases = parameters.iter().filter(|parameter| is_bias(parameter)).map(bias).collect();
        Finite { biases, place, before, logits: Vec::new(), gradients: Vec::new(), rates: Vec::new() }
    }

    /// Notes a step: the learning rate of each network, the logits of its minibatch `[networks, n, classes]`, and of each bias the gradients,
    /// or multiples of them, `[networks, outputs]`.
    pub fn note(&mut self, rates: Vec<f64>, logits: Tensor, biases: &[Tensor]) {
        self.rates.push(rates);
        self.logits.push(logits);
        if !biases.is_empty() {
            self.gradients.push(Tensor::cat(biases, 1));
        }
    }

    /// Looks at all steps noted since the last look, for each network with its `parameters`; `labels` `[networks, n]` are those of the epoch's
    /// examples in each one's order.
    ///
    /// # Errors
    /// For a network of which a loss, a gradient or a parameter is not finite: the first such step, and the layer.
    pub fn look(&mut self, parameters: &[Vec<Parameter>], labels: &Tensor) -> Vec<Result<()>> {
        let steps = self.logits.len() as i64;
        if steps == 0 {
            return parameters.iter().map(|_| Ok(())).collect();
        }
        let (logits, gradients) = (Tensor::cat(&std::mem::take(&mut self.logits), 1), std::mem::take(&mut self.gradients));
        let labels = labels.narrow(1, self.before * self.place.minibatch, logits.size()[1]);
        let losses = cross_entropies(&logits.to_kind(Kind::Float), &labels);
        let gradients = (!gradients.is_empty()).then(|| Tensor::stack(&gradients, 1).isfinite());
        let rates = std::mem::take(&mut self.rates);
        let seen = Seen { good_losses: losses.isfinite(), losses, good_gradients: gradients, rates, before: self.before, steps };
        self.before += steps;
        let all_good: Vec<Tensor> = parameters.iter().flatten().map(|parameter| parameter.tensor.isfinite().all()).collect();
        let parts = [seen.good_losses.all()].into_iter().chain(seen.good_gradients.iter().map(Tensor::all)).chain(all_good);
        // The one moment at which the device is waited for.
        if Tensor::stack(&parts.collect::<Vec<_>>(), 0).all().int64_value(&[]) == 1 {
            return parameters.iter().map(|_| Ok(())).collect();
        }
        parameters.iter().enumerate().map(|(network, parameters)| self.judge(network, parameters, &seen)).collect()
    }

    fn judge(&self, network: usize, parameters: &[Parameter], seen: &Seen) -> Result<()> {
        let (Place { epoch, minibatch, minibatches }, index) = (&self.place, network as i64);
        let (losses, good_losses) = (seen.losses.get(index), seen.good_losses.get(index));
        let good_gradients = seen.good_gradients.as_ref().map(|good| good.get(index));
        let at = |step: i64| {
            let learning_rate = seen.rates[step as usize][network];
            format!("in epoch {epoch}, minibatch {} of {minibatches}, at learning rate {learning_rate}", seen.before + step + 1)
        };
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
                let bad = parameters.iter().find(|parameter| parameter.tensor.isfinite().all().int64_value(&[]) == 0);
                let Some(Parameter { name, .. }) = bad else { return Ok(()) };
                bail!("{name} is not finite after the step, {}: {advice}", at(seen.steps - 1))
            }
        }
    }
}

/// What is looked at, each with the networks in front: losses of all examples `[networks, n]`, and whether they and the gradients of the
/// biases `[networks, steps, values]` are finite.
struct Seen {
    losses: Tensor,
    good_losses: Tensor,
    good_gradients: Option<Tensor>,
    rates: Vec<Vec<f64>>,
    before: i64,
    steps: i64,
}

/// The place of the first value that is false.
fn first_false(good: &Tensor) -> Option<i64> {
    Vec::<bool>::try_from(good).ok()?.iter().position(|good| !good).map(|place| place as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const PLACE: Place = Place { epoch: 3, minibatch: 2, minibatches: 9 };

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).to_kind(Kind::Float)
    }

    fn parameters() -> Vec<Parameter> {
        let named = |name: &str, size: &[i64]| Parameter { name: name.to_owned(), tensor: Tensor::zeros(size, (Kind::Float, Device::Cpu)) };
        vec![named("one, weight", &[3, 2]), named("one, bias", &[2]), named("two, weight", &[2, 2]), named("two, bias", &[2])]
    }

    /// What is said after three steps, the second of them with these values, the first two minibatches of the epoch being done before.
    fn said(logit: f64, one: f64, two: f64, weight: f64) -> String {
        let mut both = [parameters(), parameters()];
        let mut finite = Finite::new(&both[0], PLACE, 2);
        // Beside it another network, of which everything is finite.
        let beside = |value: Tensor| Tensor::stack(&[&value.ones_like(), &value], 0);
        for step in 0..3 {
            let (logit, one, two) = if step == 1 { (logit, one, two) } else { (1.0, 1.0, 1.0) };
            let logits = tensor(&[0.0, 1.0, logit, 0.0]).view([2, 2]);
            finite.note(vec![0.2, 0.1], beside(logits), &[beside(tensor(&[0.0, one])), beside(tensor(&[two, 0.0]))]);
        }
        let _ = both[1][2].tensor.fill_(weight);
        let looked = finite.look(&both, &Tensor::zeros([2, 18], (Kind::Int64, Device::Cpu)));
        assert!(looked[0].is_ok(), "the other network is good");
        looked[1].as_ref().map_or_else(|error| error.to_string(), |()| "nothing".to_owned())
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
        let parameters = [parameters()];
        let labels = Tensor::zeros([1, 18], (Kind::Int64, Device::Cpu));
        let mut finite = Finite::new(&parameters[0], PLACE, 0);
        assert!(finite.look(&parameters, &labels).iter().all(Result::is_ok), "nothing to look at");
        for step in 0..9 {
            let logits = tensor(&[0.0, if step == 7 { f64::NAN } else { 0.0 }]).view([1, 1, 2]).repeat([1, 2, 1]);
            finite.note(vec![0.1], logits, &[tensor(&[0.0; 4]).view([1, 4])]);
            if step % 3 == 2 {
                let seen = finite.look(&parameters, &labels).remove(0);
                assert_eq!(seen.is_err(), step == 8);
                assert!(seen.err().is_none_or(|error| error.to_string().contains("minibatch 8 of 9")));
            }
        }
    }
}
