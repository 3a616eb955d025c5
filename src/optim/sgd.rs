//! Stochastic gradient descent.

use super::{Optimizer, named, restored};
use crate::experiment::{MomentumForm, Training};
use crate::libtorch::{SgdStep, fused_sgd};
use crate::model::Parameter;
use anyhow::{Context, Result};
use std::collections::HashMap;
use tch::Tensor;

/// With g = dL/dw + weight_decay * w and v = 0 at the start:
///
/// | | |
/// |---|---|
/// | without momentum | w = w - learning_rate * g |
/// | [`MomentumForm::RateOutside`] | v = momentum * v + g, w = w - learning_rate * v |
/// | [`MomentumForm::RateInside`] | v = momentum * v + learning_rate * g, w = w - v |
///
/// The first two are `torch.optim.SGD` with `dampening=0` and `nesterov=False`. At a constant learning rate the third takes the same steps as
/// the second; its velocity is stored divided by the learning rate, and rescaled when the rate changes.
#[derive(Debug)]
pub struct Sgd {
    /// Above 0.
    learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    form: MomentumForm,
    /// v of each parameter, for [`MomentumForm::RateInside`] divided by `velocity_rate`; empty before the first step, and without momentum.
    velocities: Vec<Tensor>,
    /// The learning rate of the last step.
    velocity_rate: f64,
}

impl Sgd {
    pub fn new(training: &Training) -> Sgd {
        let Training { learning_rate, momentum, weight_decay, momentum_form: form, .. } = *training;
        Sgd { learning_rate, momentum, weight_decay, form, velocities: Vec::new(), velocity_rate: learning_rate }
    }
}

impl Optimizer for Sgd {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn step(&mut self, parameters: &mut [Parameter], gradients: &[Tensor]) {
        let Sgd { learning_rate, momentum, weight_decay, .. } = *self;
        if momentum > 0.0 && self.velocities.is_empty() {
            self.velocities = parameters.iter().map(|parameter| parameter.tensor.zeros_like()).collect();
        }
        if self.form == MomentumForm::RateInside && self.velocity_rate != learning_rate {
            for velocity in &mut self.velocities {
                let _ = velocity.g_mul_scalar_(self.velocity_rate / learning_rate);
            }
        }
        self.velocity_rate = learning_rate;
        let weights: Vec<&Tensor> = parameters.iter().map(|parameter| &parameter.tensor).collect();
        let (gradients, velocities): (Vec<&Tensor>, Vec<&Tensor>) = (gradients.iter().collect(), self.velocities.iter().collect());
        fused_sgd(&weights, &gradients, &velocities, SgdStep { learning_rate, momentum, weight_decay });
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = named(&self.velocities, "momentum_buffer");
        if !state.is_empty() {
            state.push(("velocity_rate".to_owned(), Tensor::from(self.velocity_rate)));
        }
        state
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, parameters: &[Parameter]) -> Result<()> {
        self.velocities = restored(state, "momentum_buffer", parameters)?;
        if !state.is_empty() {
            let rate = state.get("velocity_rate").context("the optimizer's state has no `velocity_rate`")?;
            self.velocity_rate = rate.f_double_value(&[])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};
    use tch::nn::OptimizerConfig;
    use tch::{Device, Kind, nn};

    fn training(momentum: f64, weight_decay: f64, momentum_form: MomentumForm) -> Training {
        let plain: Training = toml::from_str("epochs = 1\nminibatch = 1\nlearning_rate = 0.1\norder = \"shuffled\"").expect("training");
        Training { momentum, weight_decay, momentum_form, ..plain }
    }

    /// A parameter `[3, 4]` and the gradients of ten steps.
    fn example() -> (Tensor, Vec<Tensor>) {
        draw(1, Purpose::Embedded, 0, || {
            let random = || Tensor::randn([3, 4], (Kind::Double, Device::Cpu));
            (random(), (0..10).map(|_| random()).collect())
        })
    }

    /// The parameter after each step of `sgd`; at step 5 the learning rate falls to a tenth.
    fn path(mut sgd: Sgd) -> Vec<Tensor> {
        let (start, gradients) = example();
        let mut parameters = [Parameter { name: "w".to_owned(), tensor: start.copy() }];
        let mut steps = Vec::new();
        for (index, gradient) in gradients.iter().enumerate() {
            sgd.set_learning_rate(if index < 5 { 0.1 } else { 0.01 });
            sgd.step(&mut parameters, &[gradient.shallow_clone()]);
            steps.push(parameters[0].tensor.copy());
        }
        steps
    }

    #[test]
    fn every_step_is_that_of_libtorch() {
        for (momentum, weight_decay) in [(0.0, 0.0), (0.9, 0.0), (0.0, 0.2), (0.9, 0.2)] {
            let (start, gradients) = example();
            let store = nn::VarStore::new(Device::Cpu);
            let weight = store.root().add("w", start, true);
            let mut theirs = nn::sgd(momentum, 0.0, weight_decay, false).build(&store, 0.1).expect("builds");
            let ours = path(Sgd::new(&training(momentum, weight_decay, MomentumForm::RateOutside)));
            for (index, (gradient, ours)) in gradients.iter().zip(ours).enumerate() {
                theirs.set_lr(if index < 5 { 0.1 } else { 0.01 });
                theirs.backward_step(&(&weight * gradient).sum(Kind::Double));
                assert!(ours.allclose(&weight, 1e-12, 1e-14, false), "momentum {momentum}, decay {weight_decay}, step {index}");
            }
        }
    }

    #[test]
    fn with_the_rate_inside_it_follows_its_formula() {
        let (mut w, gradients) = example();
        let mut v = w.zeros_like();
        for (index, (gradient, ours)) in gradients.iter().zip(path(Sgd::new(&training(0.9, 0.2, MomentumForm::RateInside)))).enumerate() {
            let rate = if index < 5 { 0.1 } else { 0.01 };
            v = v * 0.9 + (gradient + &w * 0.2) * rate;
            w -= &v;
            assert!(ours.allclose(&w, 1e-12, 1e-14, false), "step {index}");
        }
        // Until the rate changes, both forms take the same steps.
        let outside = path(Sgd::new(&training(0.9, 0.2, MomentumForm::RateOutside)));
        let inside = path(Sgd::new(&training(0.9, 0.2, MomentumForm::RateInside)));
        assert!(inside[4].allclose(&outside[4], 1e-12, 1e-14, false));
        assert!(!inside[5].allclose(&outside[5], 1e-3, 1e-3, false));
    }
}
