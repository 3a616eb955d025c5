//! What each trial came to, as lines that workers append, and all of them as a table.

use super::Run;
use super::provenance::{Provenance, flatten};
use super::trials::{EXPERIMENT, Outcome, PROVENANCE};
use crate::experiment::Experiment;
use crate::files::write_whole;
use crate::history::{History, Metric, Split};
use crate::results::{Identified, read_all};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A finished trial, all of it but the network.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrialResult {
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The resolved experiment, as TOML.
    pub experiment: String,
    /// As CSV.
    pub history: String,
    /// Where the worker kept the network, below its folder of runs.
    pub folder: PathBuf,
}

impl Identified for TrialResult {
    fn id(&self) -> String {
        self.provenance.id()
    }
}

impl TrialResult {
    /// What is kept of `outcome`; `runs` is the folder of all runs.
    pub fn of(outcome: &Outcome, runs: &Path) -> Result<TrialResult> {
        let path = outcome.folder.join(EXPERIMENT);
        Ok(TrialResult {
            provenance: Provenance::read(&outcome.folder.join(PROVENANCE))?,
            experiment: std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
            history: String::from_utf8(outcome.history.to_csv()?)?,
            folder: outcome.folder.strip_prefix(runs).unwrap_or(&outcome.folder).to_owned(),
        })
    }

    /// The trial as if it had been trained here as `wanted`, whatever its worker called it; its network is there if the folder is.
    pub fn outcome(&self, wanted: &Provenance, runs: &Path) -> Result<Outcome> {
        let folder = runs.join(&self.folder);
        let history = History::parse(self.history.as_bytes(), &folder)?;
        Ok(Outcome { variant: wanted.variant.clone(), seed: wanted.seed, id: self.id(), history, seconds: self.provenance.seconds, folder })
    }

    /// Every setting of the experiment, by its place.
    pub fn settings(&self) -> Result<BTreeMap<String, String>> {
        let experiment: Experiment = toml::from_str(&self.experiment)?;
        let mut settings = BTreeMap::new();
        flatten("", &toml::Value::try_from(experiment)?, &mut settings);
        Ok(settings)
    }
}

/// Where the workers of this run's experiment append.
pub(super) fn folder(run: &Run) -> PathBuf {
    run.flags.runs.join(run.name).join("results")
}

/// What all workers have appended, by id.
pub(super) fn read(run: &Run) -> Result<BTreeMap<String, TrialResult>> {
    Ok(read_all::<TrialResult>(&folder(run))?.into_iter().map(|result| (result.id(), result)).collect())
}

/// The device that trained all of `outcomes`, or how many different ones there were.
pub(super) fn device(outcomes: &[Outcome], results: &BTreeMap<String, TrialResult>) -> Result<String> {
    let result = |outcome: &Outcome| Ok(&results.get(&outcome.id).context("a result")?.provenance.device);
    let devices: BTreeSet<&String> = outcomes.iter().map(result).collect::<Result<_>>()?;
    let count = devices.len();
    Ok(devices.into_iter().next().filter(|_| count == 1).map_or(format!("{count} devices"), String::clone))
}

/// With `--merge`, writes `<out>/<name>_trials.csv`, a line for each trial: its id, what sets it apart, and what it came to; and
/// `<name>_times.csv`, which alone depends on when and by whom it was trained.
pub(super) fn write_tables<'a>(run: &Run, outcomes: impl Iterator<Item = &'a Outcome>) -> Result<()> {
    if !run.flags.merge {
        return Ok(());
    }
    let (outcomes, results): (Vec<&Outcome>, _) = (outcomes.collect(), read(run)?);
    let of: Vec<&TrialResult> = outcomes.iter().map(|outcome| results.get(&outcome.id).context("a result")).collect::<Result<_>>()?;
    let all: Vec<BTreeMap<String, String>> = of.iter().map(|result| result.settings()).collect::<Result<_>>()?;
    let keys: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let differing: Vec<&String> =
        keys.into_iter().filter(|key| all.iter().any(|settings| settings.get(*key) != all[0].get(*key))).collect();

    let (mut trials, mut times) = (csv::Writer::from_writer(Vec::new()), csv::Writer::from_writer(Vec::new()));
    let heading = ["trial", "variant", "seed"].into_iter().chain(differing.iter().map(|key| key.as_str()));
    trials.write_record(heading.chain([
        "epochs",
        "best_epoch",
        "best_validation_accuracy",
        "validation_accuracy",
        "validation_loss",
        "train_accuracy",
        "test_accuracy",
    ]))?;
    times.write_record(["trial", "seconds", "device", "threads", "date", "commit"])?;
    for ((outcome, result), settings) in outcomes.iter().zip(&of).zip(&all) {
        let Outcome { variant, seed, id, history, .. } = outcome;
        let last = history.epochs();
        let value = |epoch, split, metric| history.get(epoch, split, metric).map_or(String::new(), |value| value.to_string());
        let (best, _) = history.best_epoch();
        let short = id[..12.min(id.len())].to_owned();
        let mut row = vec![short.clone(), variant.clone(), seed.to_string()];
        row.extend(differing.iter().map(|key| settings.get(*key).cloned().unwrap_or_default()));
        row.extend([last.to_string(), best.to_string(), value(best, Split::Validation, Metric::Accuracy)]);
        row.extend(
            [
                (Split::Validation, Metric::Accuracy),
                (Split::Validation, Metric::Loss),
                (Split::Train, Metric::Accuracy),
                (Split::Test, Metric::Accuracy),
            ]
            .map(|(split, metric)| value(last, split, metric)),
        );
        trials.write_record(row)?;
        let Provenance { seconds, device, threads, date, commit, .. } = &result.provenance;
        times.write_record([&short, &format!("{seconds:.1}"), device, &threads.to_string(), date, commit])?;
    }
    for (what, writer) in [("trials", trials), ("times", times)] {
        let path = run.out().join(format!("{}_{what}.csv", run.name));
        write_whole(&path, &writer.into_inner()?)?;
        tell!("wrote {}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance(variant: &str) -> Provenance {
        let text = format!(
            "trial = 'abc'\nvariant = '{variant}'\nseed = 3\ndata = ''\ndata_checksum = ''\ncode = ''\ndevice = ''\nthreads = 1\n\
             libraries = ''\ncommit = ''\ncommand = ''\ndate = ''\nseconds = 0.0"
        );
        toml::from_str(&text).expect("a provenance")
    }

    #[test]
    fn a_result_is_called_as_this_list_calls_its_trial() -> Result<()> {
        let history = "epoch,split,metric,value\n1,validation,accuracy,0.5\n".to_owned();
        let folder = PathBuf::from("kaggle_search/coarse_001-seed3");
        let result = TrialResult { provenance: provenance("coarse_001"), experiment: String::new(), history, folder };
        let outcome = result.outcome(&provenance("vgg"), Path::new("runs"))?;
        assert_eq!((outcome.variant.as_str(), outcome.seed), ("vgg", 3));
        assert_eq!(outcome.folder, Path::new("runs/kaggle_search/coarse_001-seed3"));
        assert_eq!(outcome.history.best_epoch(), (1, 0.5));
        Ok(())
    }
}
