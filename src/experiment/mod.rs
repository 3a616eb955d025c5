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

pub use crate::layers::{InitScheme, Initialization, Layer};
pub use augmentation::{Augmentation, Elastic, Normalization};
pub(crate) use extends::read_extended;
pub use file::{ExperimentFile, MOST_SEEDS, Variant};
pub use groups::Group;
pub use model::{Model, Precision, Views};
pub use search::{Distribution, Search, SearchStage};
pub(crate) use set::overlap;
pub use set::{Setting, combinations};
pub use training::{Decay, EarlyStopping, Keep, MomentumForm, OptimizerKind, Order, ReduceLrOnPlateau, Schedule, Training};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One experiment, resolved: everything that determines its result but the seed and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    pub split: Option<Split>,
    pub normalization: Option<Normalization>,
    pub augmentation: Option<Augmentation>,
    pub model: Model,
    pub training: Option<Training>,
    pub gradient_check: Option<GradientCheck>,
}

/// Split of the training file into training and validation examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub validation: Validation,
    /// Number of validation examples; give either this or `validation_share`.
    pub validation_examples: Option<i64>,
    /// Share of the examples held out for validation, rounded down.
    pub validation_share: Option<f64>,
    /// Train on the first `limit` training examples only (`--limit`).
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

/// Finite differences against the backward pass, for epsilon = 1/N with N = k * 10^i.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientCheck {
    /// The loss that is differenced.
    pub loss: CheckedLoss,
    /// The parameter, by name.
    pub parameter: String,
    /// Number of its elements to check, the first ones.
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
    /// Cross-entropy of softmax outputs: not the loss that the backward pass differentiates, but what the report's figures show.
    TwiceSoftmaxed,
}

impl Experiment {
    /// States the first rule that is broken, with the key and the value.
    pub fn check(&self) -> Result<()> {
        let Experiment { split, normalization, augmentation, model, training, gradient_check } = self;
        split.as_ref().map_or(Ok(()), Split::check)?;
        if let Some(Normalization { mean, deviation }) = normalization {
            ensure!(mean.iter().all(|value| value.is_finite()), "normalization.mean is {mean:?}, expected finite numbers");
            let is_good = deviation.iter().all(|value| value.is_finite() && *value > 0.0);
            ensure!(is_good, "normalization.deviation is {deviation:?}, expected finite numbers above 0");
        }
        augmentation.as_ref().map_or(Ok(()), Augmentation::check)?;
        model.check()?;
        let needs_data = training.is_some() || gradient_check.is_some();
        ensure!(split.is_some() || !needs_data, "[split] is missing, expected it with [training] and with [gradient_check]");
        training.as_ref().map_or(Ok(()), Training::check)?;
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

    /// The experiment for data with a validation set of their own: its `examples` images, the last of the training file, replace the
    /// configured validation examples. Unchanged for `None`.
    pub fn with_own_validation(&self, examples: Option<i64>) -> Experiment {
        let mut experiment = self.clone();
        if let (Some(split), Some(_)) = (&mut experiment.split, examples) {
            *split = Split { validation: Validation::Last, validation_examples: examples, validation_share: None, limit: split.limit };
        }
        experiment
    }

    /// `[training]`; an error if the experiment has none.
    pub fn training(&self) -> Result<&Training> {
        self.training.as_ref().context("the experiment has no [training], so there is nothing to train")
    }

    /// `[split]`; an error if the experiment has none.
    pub fn split(&self) -> Result<&Split> {
        self.split.as_ref().context("the experiment has no [split], so there are no examples")
    }

    /// The resolved experiment as TOML, without the keys of `[augmentation]` that change nothing.
    pub fn to_toml(&self) -> String {
        let plain_data = "an experiment is plain data";
        let (mut table, off) =
            (toml::Table::try_from(self).expect(plain_data), toml::Table::try_from(Augmentation::off()).expect(plain_data));
        if let Some(augmentation) = table.get_mut("augmentation").and_then(toml::Value::as_table_mut) {
            augmentation.retain(|key, value| off.get(key) != Some(value));
        }
        table.to_string()
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
            (Some(examples), Some(share)) => {
                bail!("split.validation_examples is {examples} and split.validation_share is {share}, expected one of the two")
            }
            (None, None) => {
                bail!("split.validation_examples is missing and split.validation_share is missing, expected one of the two")
            }
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

fn fraction(key: &str, value: f64) -> Result<()> {
    ensure!((0.0..1.0).contains(&value), "{key} is {value}, expected a number from 0, below 1");
    Ok(())
}

/// Epochs, minibatch sizes and the like end here: far above any use, and far below where arithmetic on them overflows.
pub const LARGEST_COUNT: i64 = 1_000_000;

fn count(key: &str, value: i64) -> Result<()> {
    ensure!((1..=LARGEST_COUNT).contains(&value), "{key} is {value}, expected a number from 1 to {LARGEST_COUNT}");
    Ok(())
}
