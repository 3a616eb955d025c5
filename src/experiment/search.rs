//! `[search]`: the space and the stages of a random search.

use super::Experiment;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A random search from coarse to fine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Many settings from all of the space, for few epochs.
    pub coarse: SearchStage,
    /// Settings from around the best of the coarse stage, for more epochs.
    pub fine: SearchStage,
    /// Number of the coarse stage's best settings that span the space of the fine one.
    pub around: usize,
    /// Distribution of each hyperparameter, by its place in the experiment: `training.learning_rate`, for example; `*` stands for
    /// every element of a list that has the rest of the path, as in `model.layers.*.dropout`.
    pub space: BTreeMap<String, Distribution>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchStage {
    pub trials: usize,
    pub epochs: i64,
}

/// Distribution of one hyperparameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Uniform between the two.
    Uniform([f64; 2]),
    /// Its logarithm is uniform between those of the two.
    LogUniform([f64; 2]),
    /// One of these, each as likely.
    Choice(Vec<f64>),
}

impl Distribution {
    /// The value at `quantile` in \[0, 1) (inverse distribution function). Continuous values are rounded to three significant digits, so
    /// that the value printed is the value used.
    pub fn at(&self, quantile: f64) -> f64 {
        let between = |low: f64, high: f64| low + quantile * (high - low);
        match self {
            Distribution::Uniform([low, high]) => three_digits(between(*low, *high)),
            Distribution::LogUniform([low, high]) => three_digits(between(low.ln(), high.ln()).exp()),
            Distribution::Choice(values) => values[((quantile * values.len() as f64) as usize).min(values.len() - 1)],
        }
    }

    /// Narrowed to the range of `values`, plus a tenth of the full range (of its logarithm for `LogUniform`) on either side, and clipped to
    /// the full range; a choice keeps only the options among `values`.
    pub fn around(&self, values: &[f64]) -> Distribution {
        let span = |low: f64, high: f64, value: fn(f64) -> f64| {
            let (low, high, margin) = (value(low), value(high), (value(high) - value(low)) / 10.0);
            let least = values.iter().copied().map(value).fold(f64::INFINITY, f64::min) - margin;
            let most = values.iter().copied().map(value).fold(f64::NEG_INFINITY, f64::max) + margin;
            [least.max(low), most.min(high)]
        };
        match self {
            Distribution::Uniform([low, high]) => Distribution::Uniform(span(*low, *high, |value| value)),
            Distribution::LogUniform([low, high]) => Distribution::LogUniform(span(*low, *high, f64::ln).map(f64::exp)),
            Distribution::Choice(all) => Distribution::Choice(all.iter().copied().filter(|value| values.contains(value)).collect()),
        }
    }

    fn check(&self, key: &str) -> Result<()> {
        let (values, is_good, expected): (&[f64], _, _) = match self {
            Distribution::Uniform(ends) => (ends, ends[0] < ends[1], "the lower end, then the upper"),
            Distribution::LogUniform(ends) => (ends, 0.0 < ends[0] && ends[0] < ends[1], "the lower end, above 0, then the upper"),
            Distribution::Choice(values) => (values, !values.is_empty(), "at least one number"),
        };
        let is_finite = values.iter().all(|value| value.is_finite());
        ensure!(is_good && is_finite, "search.space.{key} is {values:?}, expected {expected}");
        Ok(())
    }
}

impl Search {
    /// Experiments with all hyperparameters at their lowest, at their highest, and with every option of a choice have to be valid, so that
    /// no trial finds out late that it is not.
    pub(super) fn check(&self, experiment: &Experiment) -> Result<()> {
        let Search { coarse, fine, around, space } = self;
        for (name, stage) in [("coarse", coarse), ("fine", fine)] {
            let most = super::MOST_SEEDS as usize;
            ensure!((1..=most).contains(&stage.trials), "search.{name}.trials is {}, expected a number from 1 to {most}", stage.trials);
            super::count(&format!("search.{name}.epochs"), stage.epochs)?;
        }
        ensure!((1..=coarse.trials).contains(around), "search.around is {around}, expected a number from 1 to search.coarse.trials");
        ensure!(!space.is_empty(), "search.space is empty, expected at least one hyperparameter");
        space.iter().try_for_each(|(key, distribution)| distribution.check(key))?;
        let options =
            space.values().map(|distribution| if let Distribution::Choice(values) = distribution { values.len() } else { 2 }).max();
        let count = options.unwrap_or(2).max(2);
        // Steps of at most an option, away from the edges between two.
        let middle = |place: usize| (place as f64 + 0.5) / count as f64;
        for quantile in [0.0, 1.0 - f64::EPSILON].into_iter().chain((0..count).map(middle)) {
            experiment.with(&space.iter().map(|(key, distribution)| (key.clone(), distribution.at(quantile))).collect())?;
        }
        Ok(())
    }
}

/// `value` in the place of `found`: rounded where that is a whole number.
pub(super) fn of_same_type(found: Option<&toml::Value>, value: f64) -> toml::Value {
    if found.is_some_and(toml::Value::is_integer) { toml::Value::Integer(value.round() as i64) } else { toml::Value::Float(value) }
}

fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_lies_where_it_should() {
        let cases = [
            (Distribution::Uniform([0.2, 0.6]), [0.2, 0.4, 0.6]),
            (Distribution::LogUniform([1e-4, 1e-2]), [1e-4, 1e-3, 1e-2]),
            (Distribution::Choice(vec![16.0, 32.0, 64.0]), [16.0, 32.0, 64.0]),
        ];
        for (distribution, expected) in cases {
            assert_eq!([0.0, 0.5, 1.0 - 1e-12].map(|quantile| distribution.at(quantile)), expected, "{distribution:?}");
        }
        assert_eq!(Distribution::Uniform([0.0, 1.0]).at(0.123_456), 0.123);
    }

    #[test]
    fn every_option_of_a_choice_has_to_make_an_experiment() {
        let parse = |options: &str| {
            let text = format!(
                "run = ['a']\nsplit = {{ validation = 'last', validation_examples = 9 }}\nmodel = {{ hidden = [5], initialization = 'zero' }}\n\
                 training = {{ epochs = 1, minibatch = 5, learning_rate = 0.1, momentum = 0.9, order = 'shuffled' }}\n\
                 search = {{ coarse = {{ trials = 2, epochs = 1 }}, fine = {{ trials = 1, epochs = 1 }}, around = 1, \
                 space = {{ 'training.momentum' = {{ choice = {options} }}, 'training.learning_rate' = {{ uniform = [0.1, 0.2] }} }} }}\n\
                 [variants.a]"
            );
            crate::experiment::ExperimentFile::parse(&text, std::path::Path::new("x.toml"))
        };
        assert!(parse("[0.9, 0.0, 0.3, 0.5]").is_ok());
        for options in ["[2.0, 0.9]", "[0.9, 2.0, 0.5]", "[0.9, 0.5, 2.0, 0.1]", "[0.9, 0.5, 0.1, 0.2, 2.0]"] {
            let error = format!("{:#}", parse(options).expect_err(options));
            assert!(error.contains("training.momentum is 2"), "{options}: {error}");
        }
    }

    #[test]
    fn the_fine_stage_spans_the_best_and_a_little_more() {
        let Distribution::LogUniform([low, high]) = Distribution::LogUniform([1e-4, 1e-2]).around(&[1e-3, 2e-3]) else {
            panic!("another kind")
        };
        assert!((low / 1e-3 * 10_f64.powf(0.2) - 1.0).abs() < 1e-9 && (high / 2e-3 / 10_f64.powf(0.2) - 1.0).abs() < 1e-9, "{low} {high}");
        let Distribution::Uniform(range) = Distribution::Uniform([0.2, 0.6]).around(&[0.21, 0.5]) else { panic!("another kind") };
        assert!((range[0] - 0.2).abs() < 1e-9 && (range[1] - 0.54).abs() < 1e-9, "not beyond the whole: {range:?}");
        assert_eq!(Distribution::Choice(vec![16.0, 32.0, 64.0]).around(&[64.0, 16.0]), Distribution::Choice(vec![16.0, 64.0]));
    }
}
