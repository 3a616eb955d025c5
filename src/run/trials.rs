//! The trials of an experiment: every variant with every seed, trained side by side, each kept as it finishes.

use super::progress::Display;
use super::provenance::Provenance;
use super::{Run, Variant};
use crate::architecture::Architecture;
use crate::data::splits::Splits;
use crate::data::{DataSet, Examples};
use crate::device;
use crate::experiment::Experiment;
use crate::files::write_whole;
use crate::history::{History, Metric, Split};
use crate::model::{self, Model};
use crate::points::{Point, is_report_data, mean_over_seeds};
use crate::reported;
use crate::train::{Progress, State, checkpoint, expected_time, fit, side_by_side};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
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
    test: Option<Examples>,
    classes: i64,
    /// Whether to say beforehand how long it will take.
    tell_cost: bool,
    /// Whether an interrupted run of this trial is to be continued.
    resume: bool,
}

impl Trial {
    fn minibatches(&self) -> u64 {
        let Experiment { split: Some(split), training: Some(training), .. } = &self.experiment else { return 0 };
        training.epochs as u64 * (split.taken(self.train.len()) as u64).div_ceil(training.minibatch as u64)
    }
}

/// See [`Run::train`].
pub(super) fn train(run: &Run, data: &dyn DataSet) -> Result<Trained> {
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
        let provenance = Provenance::new(run, experiment, name, seed, data.source(), &device, threads);
        // What flags changed, or other data, has a folder of its own: trying something out loses no finished run.
        let is_default = *is_as_in_file && is_report_data(&data.source().name);
        let suffix = if is_default { String::new() } else { format!("-{}", &provenance.trial[..8]) };
        let folder = run.flags.runs.join(run.name).join(format!("{name}-seed{seed}{suffix}"));
        let finished = if run.flags.fresh { None } else { finished(&run.flags.runs, &folder, &provenance) };
        if let Some((folder, history)) = finished {
            kept_in.insert(folder.parent().unwrap_or(&folder).to_owned());
            outcomes.push(Outcome { variant: name.clone(), seed, history, folder });
            continue;
        }
        let unfinished = folder.join(UNFINISHED);
        ensure!(
            run.flags.resume || run.flags.fresh || !unfinished.exists(),
            "trial {name} seed {seed} was interrupted, and where it stood is kept in {}: go on from there with --resume, or begin again with --fresh",
            unfinished.display()
        );
        trials.push(Trial {
            experiment: experiment.clone(),
            provenance,
            folder,
            train: data.train(),
            test: data.test(),
            classes: data.classes().len() as i64,
            tell_cost: !run.flags.quiet && !trials.iter().any(|trial: &Trial| trial.provenance.variant == *name),
            resume: run.flags.resume && unfinished.exists(),
        });
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
    Ok(Trained { outcomes, data: format!("{}{limit}", data.source().name), device })
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

/// The trial below `folder` that was finished last, with its resolved experiment.
pub(super) fn newest(folder: &Path) -> Result<Option<(Outcome, Experiment)>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let finished = entries.filter_map(|folder| Some((Provenance::read(&folder.join(PROVENANCE)).ok()?, folder)));
    let Some((provenance, folder)) = finished.max_by(|(one, _), (other, _)| one.date.cmp(&other.date)) else { return Ok(None) };
    let path = folder.join(EXPERIMENT);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let experiment: Experiment = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let history = History::read(&folder.join(HISTORY))?;
    Ok(Some((Outcome { variant: provenance.variant, seed: provenance.seed, history, folder }, experiment)))
}

/// Trains and keeps one trial. Provenance is written last: a folder without it holds no finished trial.
fn train_trial(trial: &Trial, device: Device, display: &Display) -> Result<Outcome> {
    let Trial { experiment, provenance, folder, train, test, classes, resume, tell_cost } = trial;
    let name = format!("{} seed {}", provenance.variant, provenance.seed);
    let started = Instant::now();
    let splits = Splits::new(train, test.as_ref(), experiment, provenance.seed, device)?;
    let model = model::build(&experiment.model, splits.train.image(), *classes, provenance.seed, device)?;
    let training = experiment.training()?;
    if *tell_cost && let Some(cost) = cost(experiment, &splits)? {
        let time = humantime::format_duration(rounded(expected_time(&*model, &splits, training)));
        eprintln!("{name}: {cost}; about {time} for {} epochs on this machine, as a few steps took", training.epochs);
    }
    let (unfinished, mut saved) = (folder.join(UNFINISHED), Instant::now());
    let state = match resume {
        true => State::load(training, &mut model.parameters(), &provenance.trial, &unfinished)?,
        false => State::new(training),
    };
    display.go_on_from(state.epoch as u64 * trial.minibatches() / training.epochs as u64);
    let mut tell = |progress: Progress| {
        match progress {
            Progress::Minibatches(minibatches) => display.advance(minibatches),
            Progress::Epoch(state) => {
                display.epoch(&name, state.epoch, training.epochs, &state.history);
                if saved.elapsed() >= AT_STAKE {
                    state.save(&model.parameters(), &provenance.trial, &unfinished)?;
                    saved = Instant::now();
                }
            }
        }
        Ok(())
    };
    let history = fit(&*model, &splits, training, provenance.seed, state, &mut tell).with_context(|| format!("trial {name}"))?;
    let provenance = Provenance { seconds: started.elapsed().as_secs_f64(), ..provenance.clone() };
    write_whole(&folder.join(HISTORY), &history.to_csv()?)?;
    checkpoint::save(&model.parameters(), &folder.join(PARAMETERS))?;
    write_whole(&folder.join(EXPERIMENT), experiment.to_toml().as_bytes())?;
    write_whole(&folder.join(PROVENANCE), toml::to_string(&provenance)?.as_bytes())?;
    if unfinished.exists() {
        std::fs::remove_file(&unfinished).with_context(|| format!("cannot remove {}, which is no longer needed", unfinished.display()))?;
    }
    Ok(Outcome { variant: provenance.variant, seed: provenance.seed, history, folder: folder.clone() })
}

/// The network of a finished trial of `experiment`.
pub(super) fn network(outcome: &Outcome, experiment: &Experiment, image: [i64; 3], classes: i64, device: Device) -> Result<Box<dyn Model>> {
    let model = model::build(&experiment.model, image, classes, outcome.seed, device)?;
    checkpoint::load(&mut model.parameters(), &outcome.folder.join(PARAMETERS))?;
    Ok(model)
}

/// The work of a training that takes long enough to be told beforehand.
fn cost(experiment: &Experiment, splits: &Splits) -> Result<Option<String>> {
    let (model, training) = (&experiment.model, experiment.training()?);
    if model.layers.is_empty() {
        return Ok(None);
    }
    let forward = Architecture::new(splits.train.image(), &model.layers)?.multiply_adds() as f64;
    // The backward pass takes two products for each of the forward one.
    let all = 3.0 * forward * (splits.train.len() * training.epochs) as f64;
    let words = || format!("{:.0} million multiply-adds an image forward, {all:.1e} for all of training", forward / 1e6);
    Ok((all > WORTH_TELLING).then(words))
}

/// Multiply-adds of some minutes on two cores.
const WORTH_TELLING: f64 = 1e14;

/// To minutes, or to seconds where it is less than ten minutes.
fn rounded(duration: Duration) -> Duration {
    let unit = if duration.as_secs() < 600 { 1 } else { 60 };
    Duration::from_secs(duration.as_secs().div_ceil(unit) * unit)
}

const HISTORY: &str = "history.csv";
const PARAMETERS: &str = "parameters.safetensors";
const EXPERIMENT: &str = "experiment.toml";
const PROVENANCE: &str = "provenance.toml";
/// Where an interrupted trial stood.
const UNFINISHED: &str = "unfinished.safetensors";

/// Work that an interruption may cost; what has taken longer since it was last saved is saved at the end of the epoch.
const AT_STAKE: Duration = Duration::from_secs(60);
