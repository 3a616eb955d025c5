//! The TOML files of `experiments/` as checked types.
//!
//! Unknown keys and values out of range are errors that name the file, the key, what was found and what is expected, before anything is
//! loaded or trained.

mod augmentation;
mod extends;
mod file;
mod groups;
mod line;
mod model;
mod search;
mod set;
mod training;
mod variant;

pub use crate::layers::{InitScheme, Initialization, Layer};
pub use augmentation::{Augmentation, Elastic, Normalization};
pub(crate) use extends::read_extended;
pub use file::{ExperimentFile, MOST_SEEDS};
pub use groups::Group;
pub use model::{Model, Precision, Views};
pub use search::{Distribution, Search, SearchStage};
pub use set::{Setting, combinations};
pub use training::{Decay, EarlyStopping, Keep, MomentumForm, OptimizerKind, Order, ReduceLrOnPlateau, Schedule, Training};
pub use variant::Variant;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One experiment, resolved: everything that determines its result but the seed and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    pub model: Model,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_check: Option<GradientCheck>,
}

/// Split of the training file into training and validation examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub validation: Validation,
    /// Number of examples held out for validation; this or a share of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_examples: Option<i64>,
    /// Share of the examples held out; a fraction of an example goes to training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_share: Option<f64>,
    /// Only the first so many training examples (`--limit`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// The last examples of the training file.
    Last,
    /// Examples drawn at random.
    Random,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Finite differences against the backward pass, for epsilon = 1/N with N = k * 10^i.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientCheck {
    /// The loss that is differenced.
    pub loss: CheckedLoss,
    /// The parameter, by name.
    pub parameter: String,
    /// Its first so many elements.
    pub elements: i64,
    /// The values of k.
    pub multiples: Vec<u32>,
    /// The values of i.
    pub powers: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckedLoss {
    /// The loss that the backward pass differentiates.
    CrossEntropy,
    /// Cross-entropy of softmax outputs, which it does not; what the report's pictures show.
    TwiceSoftmaxed,
}

impl Experiment {
    /// States the first rule that is broken, with the key and the value.
    pub fn check(&self) -> Result<()> {
        let Experiment { split, normalization, augmentation, model, training, gradient_check } = self;
        if let Some(split) = split {
            split.check()?;
        }
        if let Some(Normalization { mean, deviation }) = normalization {
            ensure!(mean.iter().all(|value| value.is_finite()), "normalization.mean is {mean:?}, expected finite numbers");
            let is_good = deviation.iter().all(|value| value.is_finite() && *value > 0.0);
            ensure!(is_good, "normalization.deviation is {deviation:?}, expected finite numbers above 0");
        }
        if let Some(augmentation) = augmentation {
            augmentation.check()?;
        }
        model.check()?;
        let needs_data = training.is_some() || gradient_check.is_some();
        ensure!(split.is_some() || !needs_data, "[split] is missing, expected it with [training] and with [gradient_check]");
        if let Some(training) = training {
            training.check()?;
        }
        if let Some(check) = gradient_check {
            count("gradient_check.elements", check.elements)?;
            let is_good = !check.multiples.is_empty() && check.multiples.iter().all(|multiple| *multiple >= 1);
            ensure!(is_good, "gradient_check.multiples is {:?}, expected numbers from 1", check.multiples);
            let is_good = !check.powers.is_empty() && check.powers.iter().all(|power| *power <= 9);
            ensure!(is_good, "gradient_check.powers is {:?}, expected numbers from 0 to 9", check.powers);
        }
        Ok(())
    }

    /// The experiment with these values in these places (see [`Search::space`]).
    ///
    /// # Errors
    /// If there is no such place, or a value is out of its range.
    pub fn with(&self, drawn: &BTreeMap<String, f64>) -> Result<Experiment> {
        let mut table = toml::Table::try_from(self)?;
        drawn.iter().try_for_each(|(path, value)| set::set(&mut table, path, |found| search::of_same_type(found, *value)))?;
        let experiment: Experiment = table.try_into().map_err(line::one_line)?;
        experiment.check()?;
        Ok(experiment)
    }

    /// The experiment on data that have images of their own for validation, so many, the last of the training file.
    pub fn with_own_validation(&self, examples: Option<i64>) -> Experiment {
        let mut experiment = self.clone();
        if let (Some(split), Some(_)) = (&mut experiment.split, examples) {
            *split = Split { validation: Validation::Last, validation_examples: examples, validation_share: None, limit: split.limit };
        }
        experiment
    }

    /// The section `[training]`.
    ///
    /// # Errors
    /// If the experiment has no such section.
    pub fn training(&self) -> Result<&Training> {
        self.training.as_ref().context("the experiment has no [training], so there is nothing to train")
    }

    /// The section `[split]`.
    ///
    /// # Errors
    /// If the experiment has no such section.
    pub fn split(&self) -> Result<&Split> {
        self.split.as_ref().context("the experiment has no [split], so there are no examples")
    }

    /// The resolved experiment as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("an experiment is plain data")
    }
}

impl Split {
    fn check(&self) -> Result<()> {
        let Split { validation_examples, validation_share, limit, .. } = self;
        match (validation_examples, validation_share) {
            (Some(examples), None) => count("split.validation_examples", *examples)?,
            (None, Some(share)) => {
                ensure!(*share > 0.0 && *share < 1.0, "split.validation_share is {share}, expected a number between 0 and 1");
            }
            _ => bail!(
                "split.validation_examples is {} and split.validation_share is {}, expected one of the two",
                or_missing(*validation_examples),
                or_missing(*validation_share)
            ),
        }
        limit.map_or(Ok(()), |limit| count("split.limit", limit))
    }

    /// The number of examples, of `all`, held out for validation.
    pub fn held_out(&self, all: i64) -> i64 {
        self.validation_examples.unwrap_or_else(|| (all as f64 * self.validation_share.unwrap_or(0.0)).floor() as i64)
    }

    /// The number of training examples, of `all`.
    pub fn taken(&self, all: i64) -> i64 {
        (all - self.held_out(all)).clamp(0, self.limit.unwrap_or(i64::MAX))
    }
}

fn or_missing<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or("missing".to_owned(), |value| value.to_string())
}

/// Epochs, minibatch sizes and the like end here: far above any use, and far below where arithmetic on them overflows.
pub const LARGEST_COUNT: i64 = 1_000_000;

fn count(key: &str, value: i64) -> Result<()> {
    ensure!((1..=LARGEST_COUNT).contains(&value), "{key} is {value}, expected a number from 1 to {LARGEST_COUNT}");
    Ok(())
}
