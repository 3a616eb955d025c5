//! The trials that are kept: each has a folder, `runs/<experiment>/<variant>-seed<k>-<machine>-<id>/`, and nothing about it is
//! anywhere else.
//!
//! It holds `experiment.toml` (resolved), `history.csv`, `parameters.safetensors` and, written last, `provenance.toml`: a folder without that
//! holds no finished trial. While the trial is trained it holds `checkpoints/`, and `lock`, which its process has.

use super::provenance::Provenance;
use crate::experiment::Experiment;
use crate::files::{list, write_whole};
use crate::history::History;
use crate::model::{self, Model};
use crate::train::{Checkpoints, parameters};
use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tch::Device;

/// A trial, trained or not: all that decides its result, and where it is kept.
#[derive(Debug)]
pub(super) struct Trial {
    pub experiment: Experiment,
    pub provenance: Provenance,
    /// [`Provenance::id`].
    id: String,
    pub folder: PathBuf,
}

/// One trained network's history.
#[derive(Debug)]
pub struct Outcome {
    pub variant: String,
    pub seed: u64,
    pub history: History,
    /// Seconds that training and measuring it took.
    pub seconds: f64,
    /// The trial's folder, its parameters among the files.
    pub folder: PathBuf,
    /// The resolved experiment.
    pub experiment: Experiment,
    pub(super) provenance: Provenance,
}

impl Trial {
    /// The trial of `experiment` that is called `provenance.variant`, kept in `folder`, that of all trials of an example.
    pub fn new(experiment: &Experiment, provenance: Provenance, folder: &Path) -> Trial {
        let Provenance { variant, seed, .. } = &provenance;
        let id = provenance.id();
        let folder = folder.join(format!("{variant}-seed{seed}-{}-{id}", provenance.machine_id()));
        Trial { experiment: experiment.clone(), provenance, id, folder }
    }

    /// Whether `folder` is named by this trial's id, whatever the machine.
    pub fn has_id_of(&self, folder: &Path) -> bool {
        bytes(folder).ends_with(self.id.as_bytes())
    }

    /// The trial as `folder` holds it; none where it is not finished there, or where that is the result of another machine or without its
    /// network, unless `anywhere` says that it will do.
    pub fn finished_in(&self, folder: &Path, anywhere: bool) -> Result<Option<Outcome>> {
        let whole = || format!("the trial in {} is not whole; remove that folder to train it anew", folder.display());
        let Some(found) = read_toml::<Provenance>(&folder.join(PROVENANCE)).with_context(whole)? else { return Ok(None) };
        let is_same = found.machine() == self.provenance.machine() && folder.join(PARAMETERS).exists();
        if found.id() != self.id || !(anywhere || is_same) {
            return Ok(None);
        }
        let history = History::read(&folder.join(HISTORY)).with_context(whole)?;
        let provenance = Provenance { variant: self.provenance.variant.clone(), ..found };
        Ok(Some(Outcome::new(self.experiment.clone(), provenance, history, folder.to_owned())))
    }

    /// Makes it one that is not finished: provenance is removed first and written last, so that a folder that has it is whole.
    pub fn begin(&self) -> Result<()> {
        let path = self.folder.join(PROVENANCE);
        if path.exists() {
            std::fs::remove_file(path).with_context(|| format!("cannot write into {}", self.folder.display()))?;
        }
        Ok(())
    }

    /// Writes what was trained, after [`Trial::begin`].
    pub fn keep(self, history: History, model: &dyn Model, seconds: f64) -> Result<Outcome> {
        let Trial { experiment, provenance, folder, .. } = self;
        let provenance = Provenance { seconds, date: super::provenance::date(), ..provenance };
        write_whole(&folder.join(HISTORY), &history.to_csv()?)?;
        parameters::save(&model.state_dict(), &folder.join(PARAMETERS))?;
        write_whole(&folder.join(EXPERIMENT), experiment.to_toml().as_bytes())?;
        write_whole(&folder.join(PROVENANCE), toml::to_string(&provenance)?.as_bytes())?;
        Ok(Outcome::new(experiment, provenance, history, folder))
    }
}

impl Outcome {
    fn new(experiment: Experiment, provenance: Provenance, history: History, folder: PathBuf) -> Outcome {
        let Provenance { variant, seed, seconds, .. } = &provenance;
        Outcome { variant: variant.clone(), seed: *seed, seconds: *seconds, history, folder, experiment, provenance }
    }

    /// Sets `model`'s values to what was trained.
    pub(super) fn load(&self, model: &dyn Model) -> Result<()> {
        parameters::load(&mut model.state_dict(), &self.folder.join(PARAMETERS))
    }

    /// The trained network, for images `[channels, height, width]` of so many classes.
    ///
    /// # Errors
    /// If it is not the experiment's own (see [`super::Run::train_with`]), or its parameters cannot be read.
    pub fn network(&self, image: [i64; 3], classes: i64, device: Device) -> Result<Box<dyn Model>> {
        let (name, path) = (&self.provenance.network, self.folder.join(PARAMETERS));
        // A teacher stands there too; its student's network is the experiment's own.
        let is_own = name.is_empty() || self.experiment.model.teacher.is_some();
        ensure!(is_own, "`{name}` is a network of your own: build it, and read {} into it", path.display());
        let model = model::build(&self.experiment.model, image, classes, self.seed, device)?;
        self.load(&*model)?;
        Ok(model)
    }
}

/// The folders of all trials of all examples.
pub(super) struct Store(Vec<PathBuf>);

impl Store {
    /// Lists the folder of each example below `runs`, that of `example` first, and looks into none of the trials'.
    pub fn list(runs: &Path, example: &str) -> Result<Store> {
        let mut examples = list(runs)?;
        examples.sort_by_key(|path| !path.ends_with(example));
        let trials = examples.iter().map(|example| list(example)).collect::<Result<Vec<_>>>()?;
        Ok(Store(trials.concat()))
    }

    /// The folder and the newest checkpoint of an interrupted training of this example with the variant and seed of `trial`: of the trial
    /// itself, else of the same on another machine, else of one with other settings, data or code.
    pub fn interrupted(&self, trial: &Trial) -> Result<Option<(PathBuf, PathBuf)>> {
        let Provenance { variant, seed, .. } = &trial.provenance;
        let begins = trial.folder.with_file_name(format!("{variant}-seed{seed}-"));
        let is_of_seed = |folder: &&PathBuf| bytes(folder).starts_with(bytes(&begins));
        let mut folders: Vec<&PathBuf> = self.0.iter().filter(is_of_seed).collect();
        folders.sort_by_key(|folder| (**folder != trial.folder, !trial.has_id_of(folder)));
        for folder in folders {
            if let Some(checkpoint) = checkpoints_in(folder).newest()? {
                return Ok(Some((folder.clone(), checkpoint)));
            }
        }
        Ok(None)
    }

    /// `trial` as it was trained before, here or as a trial of another example, under its own name; none where it is not finished. It has
    /// the same bits as if it were trained now, and its network, unless `anywhere` says that another machine's result will do, best one that
    /// has its network.
    pub fn finished(&self, trial: &Trial, anywhere: bool) -> Result<Option<Outcome>> {
        let folders = self.0.iter().filter(|folder| trial.has_id_of(folder));
        let found = folders.map(|folder| trial.finished_in(folder, anywhere)).filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
        // Among equals the first.
        let rank = |outcome: &Outcome| {
            let is_same = outcome.provenance.machine() == trial.provenance.machine();
            (!outcome.folder.join(PARAMETERS).exists(), !is_same)
        };
        Ok(found.into_iter().min_by_key(rank))
    }
}

/// The checkpoints of a trial, while it is trained.
pub(super) fn checkpoints_in(folder: &Path) -> Checkpoints {
    Checkpoints::new(folder.join("checkpoints"))
}

/// To compare ten thousand paths with ten thousand others in a second.
fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The finished trials of an example that have their networks and that `is_wanted`, the last one finished last; `folder` is that of all of
/// its trials.
pub(super) fn finished(folder: &Path, is_wanted: impl Fn(&Provenance) -> bool) -> Result<Vec<Outcome>> {
    let mut finished = Vec::new();
    for folder in list(folder)?.into_iter().filter(|folder| folder.join(PARAMETERS).exists()) {
        let read = || -> Result<Option<Outcome>> {
            let Some(provenance) = read_toml(&folder.join(PROVENANCE))?.filter(&is_wanted) else { return Ok(None) };
            let experiment = read_toml(&folder.join(EXPERIMENT))?;
            let experiment = experiment.with_context(|| format!("{} holds no {EXPERIMENT}", folder.display()))?;
            Ok(Some(Outcome::new(experiment, provenance, History::read(&folder.join(HISTORY))?, folder.clone())))
        };
        match read() {
            Ok(outcome) => finished.extend(outcome),
            Err(error) => tell!("left out, since it is damaged or of another version: {error:#}"),
        }
    }
    finished.sort_by(|one, other| one.provenance.date.cmp(&other.provenance.date));
    Ok(finished)
}

/// None where there is no such file.
pub(super) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    Ok(Some(toml::from_str(&text).with_context(|| format!("in {}", path.display()))?))
}

const HISTORY: &str = "history.csv";
const PARAMETERS: &str = "parameters.safetensors";
const EXPERIMENT: &str = "experiment.toml";
const PROVENANCE: &str = "provenance.toml";

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(runs: &Path, example: &str, variant: &str, seed: u64) -> Trial {
        let text = format!(
            "trial = 'abc{seed}'\nvariant = '{variant}'\nseed = {seed}\ndata = ''\ndata_checksum = ''\ncode = ''\ndevice = ''\nthreads = 1\n\
             libraries = ''\ncommit = ''\ncommand = ''\ndate = ''\nseconds = 2.5"
        );
        let experiment = toml::from_str("model = { initialization = 'zero' }").expect("an experiment");
        Trial::new(&experiment, toml::from_str(&text).expect("a provenance"), &runs.join(example))
    }

    fn write(trial: &Trial, history: &str) -> Result<()> {
        std::fs::create_dir_all(&trial.folder)?;
        std::fs::write(trial.folder.join(PROVENANCE), toml::to_string(&trial.provenance)?)?;
        std::fs::write(trial.folder.join(HISTORY), history)?;
        Ok(())
    }

    const HALF: &str = "epoch,split,metric,value\n1,validation,accuracy,0.5\n";

    #[test]
    fn a_trial_is_found_by_its_id_in_every_example_and_called_as_this_one_calls_it() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let runs = scratch.path();
        let (wanted, known) = (trial(runs, "kaggle_vgg", "vgg", 3), trial(runs, "kaggle_search", "coarse_001", 3));
        assert!(Store::list(&runs.join("none"), "kaggle_vgg")?.finished(&wanted, true)?.is_none());
        write(&known, HALF)?;
        std::fs::write(runs.join("a file"), "")?;
        let store = Store::list(runs, "kaggle_vgg")?;
        let found = store.finished(&wanted, true)?.context("found")?;
        assert_eq!((found.variant.as_str(), found.seed, found.seconds, found.history.best_epoch()), ("vgg", 3, 2.5, (1, 0.5)));
        assert_eq!(found.folder, known.folder);
        // To the last bit and with its network it is not there, nor under an id that is not its own.
        assert!(store.finished(&wanted, false)?.is_none() && store.finished(&trial(runs, "kaggle_vgg", "vgg", 4), true)?.is_none());
        std::fs::write(known.folder.join(PARAMETERS), "")?;
        assert!(store.finished(&wanted, false)?.is_some());
        let mut elsewhere = trial(runs, "kaggle_vgg", "vgg", 3);
        elsewhere.provenance.threads = 2;
        assert!(store.finished(&elsewhere, false)?.is_none() && store.finished(&elsewhere, true)?.is_some());
        std::fs::rename(&known.folder, &trial(runs, "kaggle_search", "coarse_001", 4).folder)?;
        assert!(Store::list(runs, "kaggle_vgg")?.finished(&trial(runs, "kaggle_vgg", "vgg", 4), true)?.is_none());
        Ok(())
    }

    #[test]
    fn of_several_machines_results_one_with_its_network_is_taken() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let of_machine = |threads: i64| {
            let Trial { experiment, provenance, .. } = trial(scratch.path(), "kaggle_vgg", "vgg", 3);
            Trial::new(&experiment, Provenance { threads, ..provenance }, &scratch.path().join("kaggle_vgg"))
        };
        let machines: Vec<Trial> = (1..=4).map(of_machine).collect();
        machines.iter().try_for_each(|trial| write(trial, HALF))?;
        for with_network in [2, 0] {
            std::fs::write(machines[with_network].folder.join(PARAMETERS), "")?;
            let found = Store::list(scratch.path(), "kaggle_vgg")?.finished(&machines[0], true)?.context("found")?;
            assert_eq!(found.folder, machines[with_network].folder);
        }
        Ok(())
    }

    /// Looking into every folder for every trial would take minutes.
    #[test]
    fn a_thousand_trials_are_found_in_five_seconds() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let trials: Vec<Trial> = (0..1_000).map(|seed| trial(scratch.path(), "kaggle_search", "coarse_001", seed)).collect();
        trials.iter().try_for_each(|trial| write(trial, HALF))?;
        let started = std::time::Instant::now();
        let store = Store::list(scratch.path(), "kaggle_search")?;
        let found = trials.iter().map(|trial| Ok(store.finished(trial, true)?.is_some())).collect::<Result<Vec<bool>>>()?;
        assert!(found.into_iter().all(|found| found) && started.elapsed().as_secs_f64() < 5.0, "{:?}", started.elapsed());
        Ok(())
    }
}
