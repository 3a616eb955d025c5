//! Adam.

use super::{Optimizer, named, restored};
use crate::experiment::Training;
use crate::model::Parameter;
use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use tch::Tensor;

/// The constants that Kingma and Ba recommend, which are PyTorch's defaults.
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// With g = dL/dw + weight_decay * w, m = v = 0 at the start, and t counted from 1 (Kingma and Ba 2015, algorithm 1):
///
/// m = beta_1 m + (1 - beta_1) g, v = beta_2 v + (1 - beta_2) g^2,
/// w = w - learning_rate * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)
#[derive(Debug)]
pub struct Adam {
    learning_rate: f64,
    weight_decay: f64,
    steps: i64,
    /// m and v of each parameter; empty before the first step.
    first_moments: Vec<Tensor>,
    second_moments: Vec<Tensor>,
}

impl Adam {
    pub fn new(training: &Training) -> Adam {
        let Training { learning_rate, weight_decay, .. } = *training;
        Adam { learning_rate, weight_decay, steps: 0, first_moments: Vec::new(), second_moments: Vec::new() }
    }
}

impl Optimizer for Adam {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn step(&mut self, parameters: &mut [Parameter], gradients: &[Tensor]) {
        if self.first_moments.is_empty() {
            let zeros = || parameters.iter().map(|parameter| parameter.tensor.zeros_like()).collect();
            (self.first_moments, self.second_moments) = (zeros(), zeros());
        }
        self.steps += 1;
        let [correction_1, correction_2] = [BETA_1, BETA_2].map(|beta| 1.0 - beta.powf(self.steps as f64));
        for (index, (Parameter { tensor: weight, .. }, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
            let gradient = &(gradient + &*weight * self.weight_decay);
            let (m, v) = (&mut self.first_moments[index], &mut self.second_moments[index]);
            let _ = m.g_mul_scalar_(BETA_1).g_add_(&(gradient * (1.0 - BETA_1)));
            let _ = v.g_mul_scalar_(BETA_2).g_add_(&(gradient * gradient * (1.0 - BETA_2)));
            let step = &*m / ((&*v / correction_2).sqrt() + EPSILON);
            let _ = weight.g_sub_(&(step * (self.learning_rate / correction_1)));
        }
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        if self.steps == 0 {
            return Vec::new();
        }
        let moments = named(&self.first_moments, "exp_avg").into_iter().chain(named(&self.second_moments, "exp_avg_sq"));
        moments.chain([("step".to_owned(), Tensor::from(self.steps))]).collect()
    }

    fn restore(&mut self, state: &HashMap<String, Tensor>, parameters: &[Parameter]) -> Result<()> {
        self.first_moments = restored(state, "exp_avg", parameters)?;
        self.second_moments = restored(state, "exp_avg_sq", parameters)?;
        let (first, second) = (self.first_moments.len(), self.second_moments.len());
        ensure!(first == second, "the optimizer's state has {first} `exp_avg` and {second} `exp_avg_sq`, expected as many of each");
        if !state.is_empty() {
            self.steps = state.get("step").context("the optimizer's state has no `step`")?.f_int64_value(&[])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::OptimizerKind;
    use crate::optim::build;
    use crate::seed::{Purpose, draw};
    use tch::nn::OptimizerConfig;
    use tch::{Device, Kind, nn};

    fn training(weight_decay: f64) -> Training {
        let plain: Training = toml::from_str("epochs = 1\nminibatch = 1\nlearning_rate = 0.1\norder = \"shuffled\"").expect("training");
        Training { optimizer: OptimizerKind::Adam, weight_decay, ..plain }
    }

    /// A parameter `[3, 4]` and the gradients of ten steps.
    fn example() -> (Tensor, Vec<Tensor>) {
        draw(1, Purpose::Embedded, 0, || {
            let random = || Tensor::randn([3, 4], (Kind::Double, Device::Cpu));
            (random(), (0..10).map(|_| random()).collect())
        })
    }

    #[test]
    fn every_step_is_that_of_libtorch_also_after_its_state_was_kept() {
        for weight_decay in [0.0, 0.2] {
            let (start, gradients) = example();
            let store = nn::VarStore::new(Device::Cpu);
            let weight = store.root().add("w", start.copy(), true);
            let config = nn::Adam { wd: weight_decay, ..nn::Adam::default() };
            let mut theirs = config.build(&store, 0.1).expect("builds");
            let mut ours = build(&training(weight_decay));
            let mut parameters = [Parameter { name: "w".to_owned(), tensor: start }];
            for (index, gradient) in gradients.iter().enumerate() {
                let rate = if index < 5 { 0.1 } else { 0.01 };
                theirs.set_lr(rate);
                theirs.backward_step(&(&weight * gradient).sum(Kind::Double));
                // As from a checkpoint.
                let state = ours.state().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
                ours = build(&training(weight_decay));
                ours.restore(&state, &parameters).expect("its own");
                ours.set_learning_rate(rate);
                ours.step(&mut parameters, &[gradient.shallow_clone()]);
                assert!(parameters[0].tensor.allclose(&weight, 1e-12, 1e-14, false), "decay {weight_decay}, step {index}");
            }
        }
    }

    #[test]
    fn a_state_of_another_shape_is_refused() {
        let mut parameters = [Parameter { name: "w".to_owned(), tensor: example().0 }];
        let mut adam = build(&training(0.0));
        adam.step(&mut parameters, &example().1[..1]);
        let state: HashMap<String, Tensor> = adam.state().into_iter().collect();
        parameters[0].tensor = Tensor::zeros([4, 3], (Kind::Double, Device::Cpu));
        let error = adam.restore(&state, &parameters).expect_err("another shape").to_string();
        assert!(error.contains("[3, 4]") && error.contains("[4, 3]"), "{error}");
    }
}
