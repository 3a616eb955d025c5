//! The trials of an experiment: every variant with every seed, trained side by side, each kept as it finishes.

use super::ending::Early;
use super::interrupt::{self, Listening};
use super::progress::Display;
use super::provenance::Provenance;
use super::results::{self, TrialResult};
use super::trainer::{self, Trial};
use super::{Run, Variant};
use crate::data::DataSet;
use crate::device;
use crate::experiment::Experiment;
use crate::files::ensure_writable;
use crate::history::{History, Metric, Split};
use crate::model::{self, Model};
use crate::points::{Origin, Point, is_report_data, mean_and_deviation, mean_over_seeds};
use crate::reported;
use crate::results::Appender;
use crate::shard::Shard;
use crate::train::{Interrupted, parameters, side_by_side};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use tch::Device;

/// One trained network's history.
#[derive(Debug)]
pub struct Outcome {
    pub variant: String,
    pub seed: u64,
    /// What tells its result from others, the same on every machine.
    pub id: String,
    pub history: History,
    /// What training and measuring it took.
    pub seconds: f64,
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

    /// What training and measuring the networks of `variant` took in seconds, mean and deviation over seeds, as panel `<variant>_seconds` at
    /// their last epoch.
    pub fn seconds(&self, variant: &str) -> Point {
        let outcomes = self.outcomes.iter().filter(|outcome| outcome.variant == variant);
        let (seconds, epochs): (Vec<f64>, Vec<i64>) = outcomes.map(|outcome| (outcome.seconds, outcome.history.epochs())).unzip();
        let x = epochs.into_iter().max().unwrap_or(0) as f64;
        self.point(format!("{variant}_seconds"), Split::Train, x, &seconds)
    }

    /// The mean of `values`, one for each of several runs.
    fn point(&self, panel: String, series: Split, x: f64, values: &[f64]) -> Point {
        let (y, deviation) = mean_and_deviation(values);
        Point {
            panel,
            series: series.name().to_owned(),
            origin: Origin::Reproduced,
            x,
            y,
            deviation,
            resolution: None,
            seeds: Some(values.len() as u32),
            data: self.data.clone(),
            device: self.device.clone(),
        }
    }

    /// The last accuracy on the test images, and the seconds of training and measuring, of each network of `variant`: against the seed, as
    /// panels `<variant>_accuracy_by_seed` and `<variant>_seconds_by_seed`.
    pub fn by_seed(&self, variant: &str) -> Vec<Point> {
        let outcomes = self.outcomes.iter().filter(|outcome| outcome.variant == variant);
        let of = |outcome: &Outcome| {
            let accuracy = outcome.history.get(outcome.history.epochs(), Split::Test, Metric::Accuracy);
            let point = |(what, value)| self.point(format!("{variant}_{what}_by_seed"), Split::Test, outcome.seed as f64, &[value]);
            accuracy.map(|accuracy| [("accuracy", accuracy), ("seconds", outcome.seconds)].map(point))
        };
        outcomes.filter_map(of).flatten().collect()
    }

    /// What there is to say of networks that the report has not: losses, accuracies, and seconds.
    pub fn learned(&self, variant: &str) -> Vec<Point> {
        [self.curves(variant, Metric::Loss), self.curves(variant, Metric::Accuracy), vec![self.seconds(variant)]].concat()
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

/// See [`Run::train`].
pub(super) fn train(run: &Run, data: &dyn DataSet) -> Result<Trained> {
    let trained = train_list(run, &run.variants, data)?;
    match (trained, run.flags.shard) {
        (Some(trained), None) => {
            results::write_tables(run, trained.outcomes.iter())?;
            Ok(trained)
        }
        (_, shard) => {
            let trials = run.variants.iter().map(|variant| variant.seeds.clone().count()).sum();
            bail!(share_done(shard, trials, "When all shares are trained, the same command with --merge puts them together."))
        }
    }
}

/// The end of a process that has trained its share of so many trials.
pub(super) fn share_done(shard: Option<Shard>, trials: usize, next: &str) -> Early {
    let what = match shard {
        Some(shard) if shard.is_empty(trials) => {
            format!(
                "NOTHING WAS TRAINED: share {shard} is empty, there are more shares than the {trials} trial(s). The others are to be trained."
            )
        }
        Some(shard) => format!("share {shard} is trained."),
        None => "others train the rest.".to_owned(),
    };
    Early { message: format!("{what} {next}"), code: 0 }
}

/// Trains every one of `variants` with every seed, or this process's share of them; none where others have not yet trained theirs.
pub(super) fn train_list(run: &Run, variants: &[Variant], data: &dyn DataSet) -> Result<Option<Trained>> {
    let mut plan: Vec<(&Variant, u64)> =
        variants.iter().flat_map(|variant| variant.seeds.clone().map(move |seed| (variant, seed))).collect();
    plan.sort_by_key(|(_, seed)| *seed);
    let shard = run.flags.shard;

    // On the CPU one thread a trial uses the cores better than all threads on one: minibatches are small. The whole list decides, so that
    // a trial gives the same bits whichever share of the list this is.
    let cores = tch::get_num_threads() as usize;
    let at_a_time = variants.iter().filter_map(|variant| variant.at_a_time).min().map_or(cores, |count| count as usize);
    let workers = if run.device == Device::Cpu { cores.min(plan.len()).min(at_a_time) } else { 1 };
    let threads = if workers > 1 { 1 } else { cores as i64 };
    let device = device::describe(run.device);

    let (results_folder, runs) = (results::folder(run), &run.flags.runs);
    let mut results = results::read(run)?;
    let mut appender = Appender::new(&results_folder);
    let (mut outcomes, mut kept_in) = (Vec::new(), BTreeSet::new());
    let (mut trials, mut others) = (Vec::new(), Vec::new());
    let mut without_checkpoint = Vec::new();
    for (place, (Variant { name, experiment, is_as_in_file, checkpoint_after, .. }, seed)) in plan.into_iter().enumerate() {
        let experiment = &experiment.with_own_validation(data.validation());
        let provenance = Provenance::new(run, experiment, name, seed, data.source(), &device, threads);
        // What flags changed, or other data, has a folder of its own: trying something out loses no finished run.
        let is_default = *is_as_in_file && is_report_data(&data.source().name);
        let suffix = if is_default { String::new() } else { format!("-{}", &provenance.trial[..8]) };
        let folder = runs.join(run.name).join(format!("{name}-seed{seed}{suffix}"));
        let finished = if run.flags.fresh { None } else { finished(runs, &folder, &provenance) };
        if let Some((folder, history, seconds)) = finished {
            kept_in.insert(folder.parent().unwrap_or(&folder).to_owned());
            let outcome = Outcome { variant: name.clone(), seed, id: provenance.id(), history, seconds, folder };
            // It may have been killed between the two, or be another experiment's.
            if let Entry::Vacant(place) = results.entry(provenance.id()) {
                let result = TrialResult::of(&outcome, runs)?;
                appender.append(&result)?;
                place.insert(result);
            }
            outcomes.push(outcome);
            continue;
        }
        // What a worker has trained elsewhere is as good as to be had here where several work together.
        let works_together = shard.is_some() || run.flags.merge;
        let appended = results.get(&provenance.id()).filter(|_| works_together);
        if let (Some(result), false) = (appended, run.flags.fresh) {
            outcomes.push(result.outcome(&provenance, runs)?);
            continue;
        }
        if run.flags.merge || shard.is_some_and(|shard| !shard.takes(place)) {
            others.push(provenance);
            continue;
        }
        let interrupted = trainer::checkpoints(&folder).newest()?;
        if let Some(path) = &interrupted {
            ensure!(
                run.flags.resume || run.flags.fresh,
                "trial {name} seed {seed} was interrupted, and where it stood is kept in {}: go on from there with --resume, or begin again with --fresh",
                path.display()
            );
        }
        if run.flags.resume && interrupted.is_none() {
            without_checkpoint.push(format!("{} in {}", provenance.name(), folder.display()));
        }
        let scalars = run.scalars_of(name, seed);
        scalars.as_deref().map_or(Ok(()), ensure_writable)?;
        trials.push(Trial {
            experiment: experiment.clone(),
            provenance,
            folder,
            scalars,
            train: data.train(),
            test: data.test(),
            classes: data.classes().len() as i64,
            tell_cost: !run.flags.quiet && !trials.iter().any(|trial: &Trial| trial.provenance.variant == *name),
            resume: run.flags.resume && interrupted.is_some(),
            checkpoint_after: *checkpoint_after,
        });
    }
    let all = outcomes.len() + trials.len() + others.len();
    if run.flags.merge && !others.is_empty() {
        let few: Vec<String> = others.iter().take(5).map(Provenance::name).collect();
        let missing = others.len();
        bail!(
            "{missing} of {all} trials have no result yet, {} among them: train them, with --shard for example, and then --merge",
            few.join(", ")
        );
    }
    if !run.flags.quiet && !outcomes.is_empty() {
        let folders: Vec<String> = kept_in.iter().map(|folder| folder.display().to_string()).collect();
        let from = if folders.is_empty() { results_folder.display().to_string() } else { folders.join(", ") };
        tell!("{} of {all} trials were finished before and are kept, from {from} (--fresh trains them anew)", outcomes.len());
    }

    if let [first, others @ ..] = &without_checkpoint[..] {
        let others = if others.is_empty() { String::new() } else { format!(", and for {} other trials", others.len()) };
        tell!("--resume: there is nothing to go on from for {first}{others}: training begins anew");
    }

    let display = Display::new(trials.iter().map(Trial::minibatches).sum(), run.flags.quiet);
    let train = |trial: &Trial| {
        ensure!(interrupt::asked().is_none(), Interrupted);
        tch::set_num_threads(threads as i32);
        trainer::train(trial, run.device, &display)
    };
    let listening = Listening::start()?;
    let trained = side_by_side(trials, workers, train, |_, outcome| {
        appender.append(&TrialResult::of(&outcome, runs)?)?;
        outcomes.push(outcome);
        Ok(())
    });
    drop(display);
    if let Some(signal) = interrupt::asked() {
        let message = match trained {
            Err(error) if !error.is::<Interrupted>() => format!("Error: {error:#}"),
            _ => "Interrupted. What was finished is kept; the same command with --resume goes on (without --fresh).".to_owned(),
        };
        bail!(Early::signal(signal, message));
    }
    drop(listening);
    trained?;

    if !others.is_empty() {
        // They may have finished in the meantime.
        results = results::read(run)?;
        let found = others.iter().map(|other| results.get(&other.id())).collect::<Option<Vec<_>>>();
        let Some(found) = found else { return Ok(None) };
        for (other, result) in others.iter().zip(found) {
            outcomes.push(result.outcome(other, runs)?);
        }
    }
    outcomes.sort_by_key(|outcome| (variants.iter().position(|known| known.name == outcome.variant), outcome.seed));
    let device = if run.flags.merge { results::device(&outcomes, &results)? } else { device };
    let limit = variants.iter().filter_map(|variant| variant.experiment.split.as_ref()?.limit).min();
    let limit = limit.map_or(String::new(), |limit| format!(", first {limit} training examples"));
    Ok(Some(Trained { outcomes, data: format!("{}{limit}", data.source().name), device }))
}

/// The history of this very trial with its folder and its seconds: `folder`, or that of another experiment below `runs` that has trained
/// the same.
fn finished(runs: &Path, folder: &Path, provenance: &Provenance) -> Option<(PathBuf, History, f64)> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let others = entries(runs).flat_map(|experiment| entries(&experiment).collect::<Vec<_>>());
    std::iter::once(folder.to_owned()).chain(others).find_map(|folder| {
        let found = Provenance::read(&folder.join(PROVENANCE)).ok()?;
        let history = || History::read(&folder.join(HISTORY)).ok().filter(|_| folder.join(PARAMETERS).exists());
        let history = provenance.same_result(&found).then(history)??;
        Some((folder, history, found.seconds))
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
    let (id, seconds) = (provenance.id(), provenance.seconds);
    Ok(Some((Outcome { id, variant: provenance.variant, seed: provenance.seed, history, seconds, folder }, experiment)))
}

/// The network of a finished trial of `experiment`.
pub(super) fn network(outcome: &Outcome, experiment: &Experiment, image: [i64; 3], classes: i64, device: Device) -> Result<Box<dyn Model>> {
    let model = model::build(&experiment.model, image, classes, outcome.seed, device)?;
    parameters::load(&mut model.state_dict(), &outcome.folder.join(PARAMETERS))?;
    Ok(model)
}

pub(super) const HISTORY: &str = "history.csv";
pub(super) const PARAMETERS: &str = "parameters.safetensors";
pub(super) const EXPERIMENT: &str = "experiment.toml";
pub(super) const PROVENANCE: &str = "provenance.toml";
