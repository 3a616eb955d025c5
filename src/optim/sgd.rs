//! Stochastic gradient descent.

use crate::experiment::{MomentumForm, Training};
use crate::layers::Gradient;
use crate::libtorch::{SgdStep, fused_sgd};
use crate::model::Parameter;
use tch::Tensor;

/// With g = dL/dw + weight_decay * w and v = 0 at the start:
///
/// | | |
/// |---|---|
/// | without momentum | w = w - learning_rate * g |
/// | [`MomentumForm::RateOutside`] | v = momentum * v + g, w = w - learning_rate * v |
/// | [`MomentumForm::RateInside`] | v = momentum * v + learning_rate * g, w = w - v |
///
/// The first two are libtorch's own (with neither dampening nor Nesterov's form). As long as the learning rate stays, the third takes the
/// same steps as the second, with v in units of the rate; so v is kept in these, and converted when the rate changes.
#[derive(Debug)]
pub struct Sgd {
    /// Above 0.
    pub learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    form: MomentumForm,
    /// v of each parameter, for [`MomentumForm::RateInside`] divided by `velocity_rate`; empty before the first step, and without momentum.
    pub velocities: Vec<Tensor>,
    /// The learning rate of the last step.
    pub velocity_rate: f64,
}

impl Sgd {
    /// The update rule that `training` describes, before its first step.
    pub fn new(training: &Training) -> Sgd {
        let Training { learning_rate, momentum, weight_decay, momentum_form: form, .. } = *training;
        Sgd { learning_rate, momentum, weight_decay, form, velocities: Vec::new(), velocity_rate: learning_rate }
    }

    /// Updates every parameter in place; `gradients` are in the order of `parameters`.
    pub fn step(&mut self, parameters: &mut [Parameter], gradients: &[Gradient]) {
        debug_assert_eq!(parameters.len(), gradients.len());
        if self.momentum > 0.0 && self.velocities.is_empty() {
            self.velocities = parameters.iter().map(|parameter| parameter.tensor.zeros_like()).collect();
        }
        if self.form == MomentumForm::RateInside && self.velocity_rate != self.learning_rate {
            for velocity in &mut self.velocities {
                let _ = velocity.g_mul_scalar_(self.velocity_rate / self.learning_rate);
            }
        }
        self.velocity_rate = self.learning_rate;
        let (mut weights, mut whole, mut velocities) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (parameter, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
            if let Gradient::Whole(gradient) = gradient {
                weights.push(&parameter.tensor);
                whole.push(gradient);
                velocities.extend(self.velocities.get(index));
            } else {
                self.update(&mut parameter.tensor, self.velocities.get(index).map(Tensor::shallow_clone), gradient);
            }
        }
        let Sgd { learning_rate, momentum, weight_decay, .. } = *self;
        if !weights.is_empty() {
            fused_sgd(&weights, &whole, &velocities, SgdStep { learning_rate, momentum, weight_decay });
        }
    }

    /// One parameter's step by a gradient in factors.
    fn update(&self, weight: &mut Tensor, velocity: Option<Tensor>, gradient: &Gradient) {
        let Some(mut velocity) = velocity else {
            if self.weight_decay > 0.0 {
                let _ = weight.g_mul_scalar_(1.0 - self.learning_rate * self.weight_decay);
            }
            gradient.add_to(weight, -self.learning_rate);
            return;
        };
        let _ = velocity.g_mul_scalar_(self.momentum);
        if self.weight_decay > 0.0 {
            let _ = velocity.g_add_(&(&*weight * self.weight_decay));
        }
        gradient.add_to(&mut velocity, 1.0);
        let _ = weight.g_sub_(&(&velocity * self.learning_rate));
    }

    /// The scale of the loss under which factored gradients need no further scaling (see [`Gradient`]).
    pub fn loss_scale(&self) -> f64 {
        if self.momentum > 0.0 { 1.0 } else { -self.learning_rate }
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
            sgd.learning_rate = if index < 5 { 0.1 } else { 0.01 };
            sgd.step(&mut parameters, &[Gradient::Whole(gradient.shallow_clone())]);
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

    #[test]
    fn factored_gradients_take_the_same_step() {
        let options = (Kind::Double, Device::Cpu);
        let (left, right) = draw(2, Purpose::Embedded, 0, || (Tensor::randn([5, 3], options), Tensor::randn([5, 4], options)));
        for (momentum, form) in [(0.0, MomentumForm::RateOutside), (0.9, MomentumForm::RateOutside), (0.9, MomentumForm::RateInside)] {
            let step = |gradient: &dyn Fn(f64) -> Gradient| {
                let mut parameters = [Parameter { name: "w".to_owned(), tensor: Tensor::ones([3, 4], options) }];
                let mut sgd = Sgd::new(&training(momentum, 0.1, form));
                for _ in 0..2 {
                    let gradient = gradient(sgd.loss_scale());
                    sgd.step(&mut parameters, &[gradient]);
                }
                parameters[0].tensor.copy()
            };
            let product = |scale: f64| Gradient::Product { left: left.shallow_clone(), right: &right * scale, divisor: scale };
            let whole = step(&|_| Gradient::Whole(left.tr().mm(&right)));
            assert!(step(&product).allclose(&whole, 1e-12, 1e-14, false), "momentum {momentum}, {form:?}");
        }
    }
}
