//! The results of all trials, as tables.

use super::Run;
use super::provenance::{Provenance, flatten};
use super::store::Outcome;
use super::trials::Trained;
use crate::history::{Metric, Split};
use crate::points::{mean_and_deviation, with_deviation};
use crate::table;
use anyhow::Result;
use comfy_table::Table;
use std::collections::{BTreeMap, BTreeSet};

/// With `--merge`, writes `<out>/<name>_trials.csv`, a line for each trial: its id, the settings that differ, and its results; and
/// `<name>_times.csv`, which alone depends on when and by whom it was trained.
pub(super) fn write(run: &Run, outcomes: &[Outcome]) -> Result<()> {
    if run.flags.merge {
        run.write_output("_trials.csv", &trials(outcomes)?)?;
        run.write_output("_times.csv", &times(outcomes)?)?;
    }
    Ok(())
}

/// Losses and accuracies after the last epoch, mean and deviation over seeds, a row for each variant and split.
pub(super) fn numbers(trained: &Trained) -> Table {
    let mut table = table::new(["", "epochs", "seeds", "", "loss", "accuracy"]);
    for variant in trained.variants() {
        let histories = trained.histories(variant);
        let epochs = histories.iter().map(|history| history.epochs()).max().unwrap_or(0);
        for split in Split::ALL {
            let last = |metric, factor| -> Vec<f64> {
                histories.iter().filter_map(|history| Some(factor * history.get(history.epochs(), split, metric)?)).collect()
            };
            let (losses, accuracies) = (last(Metric::Loss, 1.0), last(Metric::Accuracy, 100.0));
            if !losses.is_empty() {
                let mean = |values: &[f64], decimals| {
                    let (mean, deviation) = mean_and_deviation(values);
                    with_deviation(mean, deviation, decimals)
                };
                let (loss, accuracy) = (mean(&losses, 4), format!("{} %", mean(&accuracies, 2)));
                table.add_row([variant, &epochs.to_string(), &losses.len().to_string(), split.name(), &loss, &accuracy]);
            }
        }
    }
    table::align_right(&mut table, 1..3);
    table::align_right(&mut table, 4..6);
    table
}

fn trials(outcomes: &[Outcome]) -> Result<Vec<u8>> {
    let all: Vec<BTreeMap<String, String>> = outcomes.iter().map(settings).collect::<Result<_>>()?;
    let keys: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let differing: Vec<&str> =
        keys.into_iter().filter(|key| all.iter().any(|settings| settings.get(*key) != all[0].get(*key))).map(String::as_str).collect();
    let mut table = csv::Writer::from_writer(Vec::new());
    let results = ["best_validation_accuracy", "validation_accuracy", "validation_loss", "train_accuracy", "test_accuracy"];
    table.write_record([&["trial", "variant", "seed"], &differing[..], &["epochs", "best_epoch"], &results].concat())?;
    for (outcome, settings) in outcomes.iter().zip(&all) {
        let Outcome { variant, seed, history, .. } = outcome;
        let (last, (best, _)) = (history.epochs(), history.best_epoch());
        let value = |(epoch, split, metric)| history.get(epoch, split, metric).map_or(String::new(), |value| value.to_string());
        let mut row = vec![outcome.provenance.id(), variant.clone(), seed.to_string()];
        row.extend(differing.iter().map(|key| settings.get(*key).cloned().unwrap_or_default()));
        row.extend([last.to_string(), best.to_string()]);
        row.extend(
            [
                (best, Split::Validation, Metric::Accuracy),
                (last, Split::Validation, Metric::Accuracy),
                (last, Split::Validation, Metric::Loss),
                (last, Split::Train, Metric::Accuracy),
                (last, Split::Test, Metric::Accuracy),
            ]
            .map(value),
        );
        table.write_record(row)?;
    }
    Ok(table.into_inner()?)
}

fn times(outcomes: &[Outcome]) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["trial", "seconds", "device", "threads", "date", "commit"])?;
    for outcome in outcomes {
        let Provenance { seconds, device, threads, date, commit, .. } = &outcome.provenance;
        table.write_record([&outcome.provenance.id(), &format!("{seconds:.1}"), device, &threads.to_string(), date, commit])?;
    }
    Ok(table.into_inner()?)
}

/// Every setting of the trial's experiment, by its place.
fn settings(outcome: &Outcome) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    flatten("", &toml::Value::try_from(&outcome.experiment)?, &mut settings);
    Ok(settings)
}
