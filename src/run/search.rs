//! The random search of an experiment, from coarse to fine.

use super::store::Outcome;
use super::trials::{share_done, train};
use super::{Run, Variant, tables};
use crate::data::DataSet;
use crate::plot::{Axis, Tried};
use crate::search::{Settings, around_best, settings};
use crate::table;
use anyhow::{Context, Result, bail};
use comfy_table::Table;

/// Every trial of a search, the coarse stage's before the fine one's.
#[derive(Debug)]
pub struct Searched {
    /// Where it was searched, and with what.
    pub subtitle: String,
    /// The hyperparameters.
    pub axes: Vec<Axis>,
    pub trials: Vec<Tried>,
    names: Vec<String>,
    epochs: Vec<(i64, i64)>,
    seconds: Vec<f64>,
}

const STAGES: [&str; 2] = ["coarse", "fine"];

/// See [`Run::search`].
pub(super) fn search(run: &Run, data: &dyn DataSet) -> Result<Searched> {
    let base = run.variants.first().context("the experiment has no variant")?;
    let search = &run.search.clone().context("the experiment has no section [search]")?;
    let mut space = search.space.clone();
    let mut all: Vec<(Settings, Outcome)> = Vec::new();
    let mut at_last = (String::new(), String::new());
    for (stage, name) in [search.coarse, search.fine].into_iter().zip(STAGES) {
        let drawn = settings(&space, all.len(), stage.trials, run.flags.seed);
        let variant = |(index, settings): (usize, &Settings)| -> Result<Variant> {
            let mut experiment = base.experiment.with(settings)?;
            let training = experiment.training.as_mut().context("the experiment has no [training]")?;
            // A flag is for trying things out: it shortens both stages.
            training.epochs = run.flags.epochs.unwrap_or(stage.epochs);
            let (seeds, checkpoint_after, at_a_time) = (run.flags.seed..run.flags.seed + 1, base.checkpoint_after, base.at_a_time);
            let is_as_in_file = base.is_as_in_file;
            Ok(Variant { name: format!("{name}_{:03}", index + 1), experiment, is_as_in_file, seeds, checkpoint_after, at_a_time })
        };
        let variants: Vec<Variant> = drawn.iter().enumerate().map(variant).collect::<Result<_>>()?;
        let next = "When all shares of this stage are trained, the same command goes on with the next one.";
        let trained = train(run, &variants, data, next)?;
        at_last = (trained.data, trained.device);
        all.extend(drawn.into_iter().zip(trained.outcomes));
        if name == STAGES[0] {
            let scored: Vec<(Settings, f64)> =
                all.iter().map(|(settings, outcome)| (settings.clone(), outcome.history.best_epoch().1)).collect();
            space = around_best(search, &scored);
        }
    }
    if run.flags.shard.is_some() {
        bail!(share_done(
            run.flags.shard,
            search.coarse.trials.max(search.fine.trials),
            "When both stages are trained, the same command with --merge draws them."
        ));
    }
    tables::write(run, all.iter().map(|(_, outcome)| outcome))?;
    let axes = search.space.iter().map(|(key, distribution)| Axis::new(key, distribution)).collect();
    let tried = |(settings, outcome): &(Settings, Outcome)| Tried {
        values: settings.values().copied().collect(),
        accuracy: outcome.history.best_epoch().1,
        is_fine: outcome.variant.starts_with(STAGES[1]),
    };
    Ok(Searched {
        subtitle: format!("{}, {}", at_last.0, at_last.1),
        axes,
        trials: all.iter().map(tried).collect(),
        names: all.iter().map(|(_, outcome)| outcome.variant.clone()).collect(),
        epochs: all.iter().map(|(_, outcome)| (outcome.history.epochs(), outcome.history.best_epoch().0)).collect(),
        seconds: all.iter().map(|(_, outcome)| outcome.seconds).collect(),
    })
}

impl Searched {
    /// A line for each trial, the headings first: its setting, its result, its time.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let names = self.axes.iter().map(|axis| axis.key.clone());
        let last = ["epochs", "best_epoch", "best_validation_accuracy", "seconds"].map(str::to_owned);
        let heading = std::iter::once("trial".to_owned()).chain(names).chain(last).collect();
        let row = |(index, tried): (usize, &Tried)| {
            let (epochs, best) = self.epochs[index];
            let values = tried.values.iter().map(f64::to_string);
            let rest = [epochs.to_string(), best.to_string(), tried.accuracy.to_string(), format!("{:.1}", self.seconds[index])];
            std::iter::once(self.names[index].clone()).chain(values).chain(rest).collect()
        };
        std::iter::once(heading).chain(self.trials.iter().enumerate().map(row)).collect()
    }

    /// The ten trials with the best validation accuracy.
    pub fn best_ten(&self) -> Table {
        let mut order: Vec<usize> = (0..self.trials.len()).collect();
        order.sort_by(|one, other| self.trials[*other].accuracy.total_cmp(&self.trials[*one].accuracy));
        let names: Vec<String> = self.axes.iter().map(|axis| axis.name.clone()).collect();
        let mut table = table::new(["trial"].into_iter().chain(names.iter().map(String::as_str)).chain(["epochs", "validation"]));
        for index in order.into_iter().take(10) {
            let Tried { values, accuracy, .. } = &self.trials[index];
            let row = std::iter::once(self.names[index].replace('_', " ")).chain(values.iter().map(f64::to_string));
            table.add_row(row.chain([self.epochs[index].0.to_string(), format!("{:.2} %", 100.0 * accuracy)]));
        }
        table
    }
}
