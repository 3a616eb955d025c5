//! The section `[training]`.

use super::{count, fraction};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// The optimizer, its schedule, and how long it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub epochs: i64,
    pub minibatch: i64,
    pub learning_rate: f64,
    #[serde(default)]
    pub optimizer: OptimizerKind,
    /// Momentum coefficient.
    #[serde(default)]
    pub momentum: f64,
    /// Weight decay (L2): this times the parameter is added to its gradient, for weights and biases alike.
    #[serde(default)]
    pub weight_decay: f64,
    /// Label smoothing (Szegedy et al. 2015, section 7).
    #[serde(default)]
    pub label_smoothing: f64,
    /// Decay of the exponential moving average (EMA) of the weights; with it, the EMA weights are evaluated and saved.
    #[serde(default)]
    pub ema_decay: f64,
    /// Whether momentum accumulates gradients (PyTorch) or steps scaled by the learning rate.
    #[serde(default)]
    pub momentum_form: MomentumForm,
    pub order: Order,
    /// Which epoch's parameters to keep.
    #[serde(default)]
    pub keep: Keep,
    /// Learning-rate schedule; without it the rate is constant, but for `reduce_on_plateau`.
    pub schedule: Option<Schedule>,
    /// Evaluate every this many epochs, and after the last.
    #[serde(default = "every_epoch")]
    pub evaluate_every: i64,
    pub reduce_on_plateau: Option<ReduceLrOnPlateau>,
    pub early_stopping: Option<EarlyStopping>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A new random order each epoch.
    Shuffled,
    /// The order of the file, every epoch, as the published code had it.
    AsPublished,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The last epoch's.
    #[default]
    Last,
    /// Those of the epoch with the best validation accuracy, the earliest on ties.
    Best,
}

/// Linear warm-up from 0 to `learning_rate`, then decay to 0 at the last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Fraction of all steps used for warm-up.
    pub warm_up: f64,
    pub decay: Decay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    Linear,
    /// Cosine annealing (Loshchilov and Hutter 2016, equation 5).
    Cosine,
}

/// Reduces the learning rate when the validation loss stops improving (see [`crate::optim::ReduceLrOnPlateau`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceLrOnPlateau {
    pub factor: f64,
    pub patience: u32,
    pub threshold: f64,
}

/// Stops training when the validation loss stops improving (see [`crate::optim::EarlyStopping`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    pub patience: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Stochastic gradient descent, with or without momentum (see [`crate::optim::Sgd`]).
    #[default]
    Sgd,
    /// See [`crate::optim::Adam`].
    Adam,
}

/// Update rule of momentum; the two differ only when the learning rate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentumForm {
    /// v = momentum v + g; w = w - learning_rate v, as libtorch has it.
    #[default]
    RateOutside,
    /// v = momentum v + learning_rate g; w = w - v, as the report's own code has it.
    RateInside,
}

impl Training {
    pub(super) fn check(&self) -> Result<()> {
        let Training { learning_rate, momentum, weight_decay, evaluate_every, .. } = *self;
        count("training.epochs", self.epochs)?;
        count("training.minibatch", self.minibatch)?;
        count("training.evaluate_every", evaluate_every)?;
        ensure!(
            learning_rate.is_finite() && learning_rate > 0.0,
            "training.learning_rate is {learning_rate}, expected a finite number above 0"
        );
        ensure!(
            weight_decay.is_finite() && weight_decay >= 0.0,
            "training.weight_decay is {weight_decay}, expected a finite number from 0"
        );
        fraction("training.momentum", momentum)?;
        fraction("training.label_smoothing", self.label_smoothing)?;
        fraction("training.ema_decay", self.ema_decay)?;
        ensure!(
            self.optimizer == OptimizerKind::Sgd || (momentum == 0.0 && self.momentum_form == MomentumForm::default()),
            "training.optimizer is \"adam\", which has moments of its own: expected neither training.momentum nor training.momentum_form"
        );
        if let Some(ReduceLrOnPlateau { factor, threshold, .. }) = &self.reduce_on_plateau {
            ensure!(*factor > 0.0 && *factor < 1.0, "training.reduce_on_plateau.factor is {factor}, expected a number between 0 and 1");
            fraction("training.reduce_on_plateau.threshold", *threshold)?;
        }
        if let Some(Schedule { warm_up, .. }) = &self.schedule {
            ensure!((0.0..1.0).contains(warm_up), "training.schedule.warm_up is {warm_up}, expected a share of all steps from 0, below 1");
            ensure!(
                self.reduce_on_plateau.is_none(),
                "training.schedule and training.reduce_on_plateau both set the learning rate, expected one of the two"
            );
        }
        ensure!(
            evaluate_every == 1 || (self.reduce_on_plateau.is_none() && self.early_stopping.is_none() && self.keep == Keep::Last),
            "training.evaluate_every is {evaluate_every}, expected 1 where the validation loss of every epoch decides something: training.reduce_on_plateau, training.early_stopping, training.keep = \"best\""
        );
        let patience = self.early_stopping.as_ref().map(|stopping| stopping.patience);
        ensure!(patience != Some(0), "training.early_stopping.patience is 0, expected a number from 1");
        Ok(())
    }
}

fn every_epoch() -> i64 {
    1
}
