//! Stochastic gradient descent.

use crate::experiment::{MomentumForm, Training};
use crate::layers::Gradient;
use crate::model::Parameter;
use tch::{Device, Tensor};

/// With g = dL/dw + weight_decay * w and v = 0 at the start:
///
/// | | |
/// |---|---|
/// | without momentum | w = w - learning_rate * g |
/// | [`MomentumForm::RateOutside`] | v = momentum * v + g, w = w - learning_rate * v |
/// | [`MomentumForm::RateInside`] | v = momentum * v + learning_rate * g, w = w - v |
///
/// The first two are libtorch's own (with neither dampening nor Nesterov's form).
#[derive(Debug)]
pub struct Sgd {
    pub learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    form: MomentumForm,
    /// v of each parameter; empty before the first step, and without momentum.
    pub velocities: Vec<Tensor>,
}

/// Elements that are updated at a time on the CPU: parameter, velocity and gradient of so many stay in the cache of a core from one
/// operation to the next, where a large layer as a whole would pass through memory with each.
const AT_A_TIME: i64 = 1 << 17;

impl Sgd {
    /// The update rule that `training` describes, before its first step.
    pub fn new(training: &Training) -> Sgd {
        let Training { learning_rate, momentum, weight_decay, momentum_form: form, .. } = *training;
        Sgd { learning_rate, momentum, weight_decay, form, velocities: Vec::new() }
    }

    /// Updates every parameter in place; `gradients` are in the order of `parameters`.
    pub fn step(&mut self, parameters: &mut [Parameter], gradients: &[Gradient]) {
        debug_assert_eq!(parameters.len(), gradients.len());
        if self.momentum > 0.0 && self.velocities.is_empty() {
            self.velocities = parameters.iter().map(|parameter| parameter.tensor.zeros_like()).collect();
        }
        for (index, (parameter, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
            let (weight, velocity) = (&mut parameter.tensor, self.velocities.get(index).map(Tensor::shallow_clone));
            let elements = weight.numel() as i64;
            let (Gradient::Whole(whole), true) = (gradient, elements > AT_A_TIME && weight.device() == Device::Cpu) else {
                self.update(weight, velocity, gradient);
                continue;
            };
            let rows = (AT_A_TIME * weight.size()[0] / elements).max(1);
            let velocities = velocity.map(|velocity| velocity.split(rows, 0));
            for (place, (mut weight, gradient)) in weight.split(rows, 0).into_iter().zip(whole.split(rows, 0)).enumerate() {
                let velocity = velocities.as_ref().map(|velocities| velocities[place].shallow_clone());
                self.update(&mut weight, velocity, &Gradient::Whole(gradient));
            }
        }
    }

    fn update(&self, weight: &mut Tensor, velocity: Option<Tensor>, gradient: &Gradient) {
        let Some(mut velocity) = velocity else {
            if self.weight_decay > 0.0 {
                let _ = weight.g_mul_scalar_(1.0 - self.learning_rate * self.weight_decay);
            }
            gradient.add_to(weight, -self.learning_rate);
            return;
        };
        let (inside, outside) = match self.form {
            MomentumForm::RateOutside => (1.0, self.learning_rate),
            MomentumForm::RateInside => (self.learning_rate, 1.0),
        };
        let _ = velocity.g_mul_scalar_(self.momentum);
        if self.weight_decay > 0.0 {
            let _ = velocity.g_add_(&(&*weight * (inside * self.weight_decay)));
        }
        gradient.add_to(&mut velocity, inside);
        let _ = if outside == 1.0 { weight.g_sub_(&velocity) } else { weight.g_sub_(&(&velocity * outside)) };
    }

    /// The scale of the loss under which factored gradients need no further scaling (see [`Gradient`]).
    pub fn loss_scale(&self) -> f64 {
        match (self.momentum > 0.0, self.form) {
            (false, _) => -self.learning_rate,
            (true, MomentumForm::RateOutside) => 1.0,
            (true, MomentumForm::RateInside) => self.learning_rate,
        }
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

    /// More elements than are updated at a time, in rows that do not go into it evenly.
    #[test]
    fn a_large_weight_takes_the_step_of_its_parts() {
        let options = (Kind::Float, Device::Cpu);
        let (weight, gradient) =
            draw(3, Purpose::Embedded, 0, || (Tensor::randn([700, 3, 130], options), Tensor::randn([700, 3, 130], options)));
        assert!(weight.numel() as i64 > 2 * AT_A_TIME);
        // Kept channels-last, as a convolution's weight is.
        let last = |tensor: &Tensor| tensor.permute([0, 2, 1]).contiguous().permute([0, 2, 1]);
        for momentum in [0.0, 0.9] {
            let after_two = |weight: Tensor, gradient: &Tensor| {
                let mut parameters = [Parameter { name: "w".to_owned(), tensor: weight }];
                let mut sgd = Sgd::new(&training(momentum, 0.1, MomentumForm::RateInside));
                for _ in 0..2 {
                    sgd.step(&mut parameters, &[Gradient::Whole(gradient.shallow_clone())]);
                }
                parameters[0].tensor.shallow_clone()
            };
            let whole = after_two(last(&weight), &gradient);
            for row in [0, 335, 336, 337, 699] {
                let alone = after_two(weight.narrow(0, row, 1).copy(), &gradient.narrow(0, row, 1));
                assert_eq!(whole.narrow(0, row, 1), alone, "momentum {momentum}, row {row}");
            }
        }
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
