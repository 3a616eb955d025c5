//! The trials of an experiment: every variant with every seed, trained side by side, each kept as it finishes.

use super::progress::Display;
use super::provenance::Provenance;
use super::{Run, Variant};
use crate::data::Examples;
use crate::data::mnist::{self, Mnist};
use crate::data::splits::Splits;
use crate::device;
use crate::experiment::Experiment;
use crate::files::write_whole;
use crate::history::{History, Metric, Split};
use crate::model::{self, Model};
use crate::points::{Point, REPORT_DATA, mean_over_seeds};
use crate::reported;
use crate::train::{Progress, checkpoint, fit, side_by_side};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::Device;

/// One trained network's history.
#[derive(Debug)]
pub struct Outcome {
    pub variant: String,
    pub seed: u64,
    pub history: History,
    /// Where the trial is kept, its parameters among the files.
    pub folder: PathBuf,
}

/// Every trial of a run.
#[derive(Debug)]
pub struct Trained {
    pub outcomes: Vec<Outcome>,
    /// The data set, and what of it was used if not all.
    pub data: String,
    pub device: String,
}

impl Trained {
    /// The variants, in the order in which they were asked for.
    pub fn variants(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.outcomes.iter().map(|outcome| outcome.variant.as_str()).collect();
        names.dedup();
        names
    }

    /// Mean and deviation over seeds of `metric` on all splits, as panel `<variant>_<metric>`.
    pub fn curves(&self, variant: &str, metric: Metric) -> Vec<Point> {
        let histories = self.histories(variant);
        let panel = format!("{variant}_{}", metric.name());
        let curve = |split: Split| {
            let value = |history: &History, epoch| history.get(epoch, split, metric);
            mean_over_seeds(&panel, split.name(), &histories, value, &self.data, &self.device)
        };
        Split::ALL.into_iter().flat_map(curve).collect()
    }

    fn histories(&self, variant: &str) -> Vec<&History> {
        self.outcomes.iter().filter(|outcome| outcome.variant == variant).map(|outcome| &outcome.history).collect()
    }

    /// How far training is ahead of validation, as panel `<variant>_<metric>_gap`: accuracy on the one minus accuracy on the other, loss
    /// the other way round. Mean and deviation are those of each seed's own gap.
    pub fn gaps(&self, variant: &str, metric: Metric) -> Vec<Point> {
        let ahead = |history: &History, epoch| {
            let of = |split| history.get(epoch, split, metric);
            let gap = of(Split::Train)? - of(Split::Validation)?;
            Some(if metric == Metric::Accuracy { gap } else { -gap })
        };
        let panel = format!("{variant}_{}_gap", metric.name());
        mean_over_seeds(&panel, "train ahead of validation", &self.histories(variant), ahead, &self.data, &self.device)
    }

    /// [`Trained::curves`], and over them the published ones of `panel`, where the data are those of the report.
    pub fn with_reported(&self, variant: &str, metric: Metric, figure: &reported::Figure, panel: &str) -> Result<Vec<Point>> {
        let mut points = self.curves(variant, metric);
        points.extend(figure.over(&points, panel, &format!("{variant}_{}", metric.name()))?);
        Ok(points)
    }
}

/// One trial to train, with handles on the data for the thread that trains it.
struct Trial {
    experiment: Experiment,
    provenance: Provenance,
    folder: PathBuf,
    train: Examples,
    test: Examples,
}

impl Trial {
    fn minibatches(&self) -> u64 {
        let Experiment { split: Some(split), training: Some(training), .. } = &self.experiment else { return 0 };
        let examples = (self.train.len() - split.validation_examples).min(split.limit.unwrap_or(i64::MAX)).max(0) as u64;
        training.epochs as u64 * examples.div_ceil(training.minibatch as u64)
    }
}

/// See [`Run::train`].
pub(super) fn train(run: &Run, digits: &Mnist) -> Result<Trained> {
    let mut plan: Vec<(&Variant, u64)> =
        run.variants.iter().flat_map(|variant| variant.seeds.clone().map(move |seed| (variant, seed))).collect();
    plan.sort_by_key(|(_, seed)| *seed);

    // On the CPU one thread a trial uses the cores better than all threads on one: minibatches are small.
    let cores = tch::get_num_threads() as usize;
    let workers = if run.device == Device::Cpu { cores.min(plan.len()) } else { 1 };
    let threads = if workers > 1 { 1 } else { cores as i64 };
    let device = device::describe(run.device);

    let (mut outcomes, mut kept_in) = (Vec::new(), BTreeSet::new());
    let mut trials = Vec::new();
    for (Variant { name, experiment, is_as_in_file, .. }, seed) in plan {
        let provenance = Provenance::new(run, experiment, name, seed, &digits.source, &device, threads);
        // What flags changed, or other data, has a folder of its own: trying something out loses no finished run.
        let is_default = *is_as_in_file && digits.source.name == REPORT_DATA;
        let suffix = if is_default { String::new() } else { format!("-{}", &provenance.trial[..8]) };
        let folder = run.flags.runs.join(run.name).join(format!("{name}-seed{seed}{suffix}"));
        let finished = if run.flags.fresh { None } else { finished(&run.flags.runs, &folder, &provenance) };
        if let Some((folder, history)) = finished {
            kept_in.insert(folder.parent().unwrap_or(&folder).to_owned());
            outcomes.push(Outcome { variant: name.clone(), seed, history, folder });
            continue;
        }
        let (train, test) = (digits.train.share(), digits.test.share());
        trials.push(Trial { experiment: experiment.clone(), provenance, folder, train, test });
    }
    if !run.flags.quiet && !kept_in.is_empty() {
        let folders: Vec<String> = kept_in.iter().map(|folder| folder.display().to_string()).collect();
        let (kept, all) = (outcomes.len(), outcomes.len() + trials.len());
        eprintln!("{kept} of {all} trials were finished before and are kept, from {} (--fresh trains them anew)", folders.join(", "));
    }

    let display = Display::new(trials.iter().map(Trial::minibatches).sum(), run.flags.quiet);
    let train_one = |trial: &Trial| {
        tch::set_num_threads(threads as i32);
        train_trial(trial, run.device, &display)
    };
    side_by_side(trials, workers, train_one, |_, outcome| {
        outcomes.push(outcome);
        Ok(())
    })?;
    let rank = |outcome: &Outcome| (run.variants.iter().position(|variant| variant.name == outcome.variant), outcome.seed);
    outcomes.sort_by_key(rank);
    let limit = run.flags.limit.map_or(String::new(), |limit| format!(", first {limit} training examples"));
    Ok(Trained { outcomes, data: format!("{}{limit}", digits.source.name), device })
}

/// The history of this very trial and its folder: `folder`, or that of another experiment below `runs` that has trained the same.
fn finished(runs: &Path, folder: &Path, provenance: &Provenance) -> Option<(PathBuf, History)> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let others = entries(runs).flat_map(|experiment| entries(&experiment).collect::<Vec<_>>());
    std::iter::once(folder.to_owned()).chain(others).find_map(|folder| {
        let found = Provenance::read(&folder.join(PROVENANCE)).ok()?;
        let history = || History::read(&folder.join(HISTORY)).ok().filter(|_| folder.join(PARAMETERS).exists());
        let history = provenance.same_result(&found).then(history)??;
        Some((folder, history))
    })
}

/// Trains and keeps one trial. Provenance is written last: a folder without it holds no finished trial.
fn train_trial(trial: &Trial, device: Device, display: &Display) -> Result<Outcome> {
    let Trial { experiment, provenance, folder, train, test } = trial;
    let name = format!("{} seed {}", provenance.variant, provenance.seed);
    let started = Instant::now();
    let splits = Splits::new(train, test, experiment.split()?, provenance.seed, device)?;
    let model = model::build(&experiment.model, splits.train.image(), mnist::CLASSES, provenance.seed, device)?;
    let training = experiment.training()?;
    let mut tell = |progress: Progress| match progress {
        Progress::Minibatches(minibatches) => display.advance(minibatches),
        Progress::Epoch { epoch, history } => display.epoch(&name, epoch, training.epochs, history),
    };
    let history = fit(&*model, &splits, training, provenance.seed, &mut tell).with_context(|| format!("trial {name}"))?;
    let provenance = Provenance { seconds: started.elapsed().as_secs_f64(), ..provenance.clone() };
    write_whole(&folder.join(HISTORY), &history.to_csv()?)?;
    checkpoint::save(&model.parameters(), &folder.join(PARAMETERS))?;
    write_whole(&folder.join("experiment.toml"), experiment.to_toml().as_bytes())?;
    write_whole(&folder.join(PROVENANCE), toml::to_string(&provenance)?.as_bytes())?;
    Ok(Outcome { variant: provenance.variant, seed: provenance.seed, history, folder: folder.clone() })
}

/// The network of a finished trial of `experiment`.
pub(super) fn network(outcome: &Outcome, experiment: &Experiment, image: [i64; 3], device: Device) -> Result<Box<dyn Model>> {
    let model = model::build(&experiment.model, image, mnist::CLASSES, outcome.seed, device)?;
    checkpoint::load(&mut model.parameters(), &outcome.folder.join(PARAMETERS))?;
    Ok(model)
}

const HISTORY: &str = "history.csv";
const PARAMETERS: &str = "parameters.safetensors";
const PROVENANCE: &str = "provenance.toml";
