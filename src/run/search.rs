//! The random search of an experiment, from coarse to fine.

use super::trials::{Trained, train};
use super::{Run, Variant, tables};
use crate::data::DataSet;
use crate::experiment::Distribution;
use crate::search::{Settings, around_best, settings};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

/// Every trial of a search, the coarse stage's before the fine one's: the variants `coarse_001`, ... and `fine_001`, ...
#[derive(Debug)]
pub struct Searched {
    /// The distribution of each hyperparameter.
    pub space: BTreeMap<String, Distribution>,
    /// The setting of each trial, in the order of `trained.outcomes`.
    pub settings: Vec<Settings>,
    pub trained: Trained,
}

impl Run {
    /// Draws the settings of the file's random search, trains them, and looks again around the best.
    ///
    /// # Errors
    /// As [`Run::train`]; if the file describes no search.
    pub fn search(&self, data: &DataSet) -> Result<Searched> {
        self.note(data);
        let [base] = &self.variants[..] else {
            let count = self.variants.len();
            bail!("a search draws the settings of one variant, and the experiment has {count}; give one --variant");
        };
        let (seed, seeds) = (base.seeds.start, base.seeds.clone().count());
        ensure!(
            seeds == 1,
            "a search trains each setting with one seed, and {seeds} are asked for; leave --seeds out, or draw another search with --seed"
        );
        let search = base.search.as_ref().context("the experiment has no section [search]")?;
        let stage = |name: &str, epochs: i64, settings: &[Settings]| -> Result<Trained> {
            let variant = |(index, settings): (usize, &Settings)| -> Result<Variant> {
                let mut experiment = base.experiment.with(settings)?;
                experiment.training.as_mut().context("the experiment has no [training]")?.epochs = epochs;
                Ok(Variant { name: format!("{name}_{:03}", index + 1), experiment, seeds: seed..seed + 1, ..base.clone() })
            };
            let variants = settings.iter().enumerate().map(variant).collect::<Result<Vec<_>>>()?;
            let next = "When all shares of this stage are trained, the same command goes on with the next one.";
            train(self, &variants, None, data, next)
        };

        let mut drawn = settings(&search.space, 0, search.coarse.trials, seed);
        let coarse = stage("coarse", search.coarse.epochs, &drawn)?;
        let accuracies = coarse.outcomes.iter().map(|outcome| outcome.history.best_epoch().1);
        let space = around_best(search, &drawn.iter().cloned().zip(accuracies).collect::<Vec<_>>());
        let fine_settings = settings(&space, drawn.len(), search.fine.trials, seed);
        let mut trained = stage("fine", search.fine.epochs, &fine_settings)?;

        if let Some(shard) = self.flags.shard {
            let trials = search.coarse.trials.max(search.fine.trials);
            bail!(shard.done(trials, "When both stages are trained, the same command with --merge draws them."));
        }
        drawn.extend(fine_settings);
        trained.outcomes.splice(0..0, coarse.outcomes);
        tables::write(self, &trained.outcomes)?;
        Ok(Searched { space: search.space.clone(), settings: drawn, trained })
    }
}
