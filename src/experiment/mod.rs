//! The TOML files of `experiments/` as checked types.
//!
//! A file holds one experiment and its variants; a variant lists only what differs. Unknown keys and values out of range are errors
//! that name the file, the key, what was found and what is expected, before anything is loaded or trained.

use crate::layers::Initialization;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One experiment, resolved: everything that determines its result but the seed and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    pub split: Split,
    pub model: Model,
    pub training: Training,
}

/// How the training file becomes training and validation examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub validation: Validation,
    pub validation_examples: i64,
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

/// A multilayer perceptron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Widths of the hidden layers.
    pub hidden: Vec<i64>,
    pub initialization: Initialization,
}

/// Plain stochastic gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub epochs: i64,
    pub minibatch: i64,
    pub learning_rate: f64,
    pub order: Order,
    #[serde(default)]
    pub precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A new random order each epoch.
    Shuffled,
    /// The order of the file, every epoch, as the published code had it.
    AsPublished,
}

/// The precision of the matrix products. Parameters are kept in single precision under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    #[default]
    F32,
    Bf16,
}

impl Precision {
    pub fn kind(self) -> tch::Kind {
        match self {
            Precision::F32 => tch::Kind::Float,
            Precision::Bf16 => tch::Kind::BFloat16,
        }
    }
}

/// A file of `experiments/`: an experiment with its variants.
#[derive(Debug)]
pub struct ExperimentFile {
    path: PathBuf,
    base: toml::Table,
    variants: toml::Table,
    run: Vec<String>,
}

impl ExperimentFile {
    /// Reads and checks `path`: every variant must resolve to a valid experiment, also those not run by default.
    pub fn read(path: &Path) -> Result<ExperimentFile> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the experiment {}", path.display()))?;
        ExperimentFile::parse(&text, path)
    }

    /// As [`ExperimentFile::read`], from text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<ExperimentFile> {
        let in_file = || format!("in {}", path.display());
        let mut base: toml::Table = toml::from_str(text).map_err(one_line).with_context(in_file)?;
        let variants = match base.remove("variants") {
            Some(toml::Value::Table(variants)) => variants,
            Some(other) => bail!("in {}: `variants` is a {}, expected tables [variants.NAME]", path.display(), other.type_str()),
            None => toml::Table::new(),
        };
        let run = match base.remove("run") {
            Some(list) => list.try_into::<Vec<String>>().map_err(one_line).with_context(|| format!("in {}, key `run`", path.display()))?,
            None => bail!("in {}: `run` is missing, expected the list of variants to run", path.display()),
        };
        let file = ExperimentFile { path: path.to_owned(), base, variants, run };
        ensure!(!file.run.is_empty(), "in {}: `run` is empty, expected at least one variant", file.path.display());
        for name in file.run.iter().chain(file.variants.keys()) {
            file.variant(name)?;
        }
        Ok(file)
    }

    /// The names of the variants that are run when none is asked for, in order.
    pub fn default_variants(&self) -> &[String] {
        &self.run
    }

    /// The experiment with what variant `name` changes.
    pub fn variant(&self, name: &str) -> Result<Experiment> {
        let Some(changes) = self.variants.get(name) else {
            let known = self.variants.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            bail!("unknown variant `{name}` of {}; known are: {known}", self.path.display());
        };
        let in_variant = || format!("in {}, variant `{name}`", self.path.display());
        let toml::Value::Table(changes) = changes else {
            bail!("{}: found a {}, expected a table", in_variant(), changes.type_str());
        };
        let mut table = self.base.clone();
        overlay(&mut table, changes);
        let experiment: Experiment = table.try_into().map_err(one_line).with_context(in_variant)?;
        experiment.check().with_context(in_variant)?;
        Ok(experiment)
    }
}

impl Experiment {
    /// States the first rule that is broken, with the key and the value.
    pub fn check(&self) -> Result<()> {
        let Experiment { split, model, training } = self;
        at_least_one("split.validation_examples", split.validation_examples)?;
        if let Some(limit) = split.limit {
            at_least_one("split.limit", limit)?;
        }
        ensure!(!model.hidden.is_empty(), "model.hidden is empty, expected the width of at least one hidden layer");
        for width in &model.hidden {
            ensure!((1..=65_536).contains(width), "model.hidden holds {width}, expected widths from 1 to 65536");
        }
        at_least_one("training.epochs", training.epochs)?;
        at_least_one("training.minibatch", training.minibatch)?;
        let rate = training.learning_rate;
        ensure!(rate.is_finite() && rate > 0.0, "training.learning_rate is {rate}, expected a finite number above 0");
        Ok(())
    }

    /// The resolved experiment as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("an experiment is plain data")
    }
}

fn at_least_one(key: &str, value: i64) -> Result<()> {
    ensure!(value >= 1, "{key} is {value}, expected at least 1");
    Ok(())
}

/// Writes what `changes` holds over `base`, table by table.
fn overlay(base: &mut toml::Table, changes: &toml::Table) {
    for (key, value) in changes {
        match (base.get_mut(key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(changes)) => overlay(base, changes),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// toml's messages quote the source over several lines; an error here is one chain.
fn one_line(error: toml::de::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.to_string().trim().replace('\n', " "))
}
