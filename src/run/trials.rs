//! The trials of an experiment: every variant with every seed, trained side by side, each kept as it finishes.

use super::ending::EarlyExit;
use super::flags::Flags;
use super::interrupt::{self, Listening};
use super::progress::Progress;
use super::provenance::Provenance;
use super::store::{Outcome, Store, Trial, checkpoints_in};
use super::trainer::{self, Job, OwnNetwork};
use super::{Run, Variant, weights};
use crate::data::{DataSet, Examples};
use crate::experiment::Experiment;
use crate::files::{Lock, ensure_writable};
use crate::history::{History, Metric, Split};
use crate::points::{Panel, Point, Quantity, mean_over_seeds};
use crate::reported;
use crate::train::{Interrupted, side_by_side};
use anyhow::{Result, bail, ensure};
use std::collections::BTreeSet;
use tch::Device;

/// Every trial of a run.
#[derive(Debug)]
pub struct Trained {
    pub outcomes: Vec<Outcome>,
    /// Name of the data set, with the limit on training examples (`--limit`) and `--set` appended if given; only results under the bare
    /// name are compared with the report.
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

    /// Mean and deviation over seeds of `metric` on all splits.
    pub fn curves(&self, variant: &str, metric: Metric) -> Vec<Point> {
        self.curves_of(&Panel::new(variant, metric), metric, &self.histories(variant))
    }

    /// `metric` on all splits of each network of `variant` by itself, as the panels of its seeds.
    pub fn of_each_seed(&self, variant: &str, metric: Metric) -> Vec<Point> {
        let panel = |outcome: &Outcome| Panel { seed: Some(outcome.seed), ..Panel::new(variant, metric) };
        self.of(variant).flat_map(|outcome| self.curves_of(&panel(outcome), metric, &[&outcome.history])).collect()
    }

    fn curves_of(&self, panel: &Panel, metric: Metric, histories: &[&History]) -> Vec<Point> {
        let curve = |split: Split| {
            let value = |history: &History, epoch| history.get(epoch, split, metric);
            mean_over_seeds(panel, split.name(), histories, value, &self.data, &self.device)
        };
        Split::ALL.into_iter().flat_map(curve).collect()
    }

    /// Seconds of training and evaluation of `variant`, mean and deviation over seeds, at the last epoch.
    pub fn seconds(&self, variant: &str) -> Point {
        let (seconds, epochs): (Vec<f64>, Vec<i64>) = self.of(variant).map(|outcome| (outcome.seconds, outcome.history.epochs())).unzip();
        let x = epochs.into_iter().max().unwrap_or(0) as f64;
        let panel = Panel::new(variant, Quantity::Seconds);
        Point::of_runs(panel, Split::Train.name(), x, &seconds, &self.data, &self.device)
    }

    /// Losses, accuracies and seconds of every variant: the points of a figure that the report does not have.
    pub fn all_curves(&self) -> Vec<Point> {
        let of = |variant| [self.curves(variant, Metric::Loss), self.curves(variant, Metric::Accuracy), vec![self.seconds(variant)]];
        self.variants().into_iter().flat_map(of).flatten().collect()
    }

    fn of(&self, variant: &str) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(move |outcome| outcome.variant == variant)
    }

    pub(super) fn histories(&self, variant: &str) -> Vec<&History> {
        self.of(variant).map(|outcome| &outcome.history).collect()
    }

    /// Generalization gap by epoch: training minus validation accuracy, or validation minus training loss; mean and standard deviation over
    /// seeds of each seed's gap.
    pub fn gaps(&self, variant: &str, metric: Metric) -> Vec<Point> {
        let ahead = |history: &History, epoch| {
            let of = |split| history.get(epoch, split, metric);
            let gap = of(Split::Train)? - of(Split::Validation)?;
            Some(if metric == Metric::Accuracy { gap } else { -gap })
        };
        let panel = Panel::new(variant, Quantity::from(metric).gap());
        mean_over_seeds(&panel, "train ahead of validation", &self.histories(variant), ahead, &self.data, &self.device)
    }

    /// [`Trained::curves`] and, if the data are the report's, the published curves of `panel` in `figure`.
    pub fn with_reported(&self, variant: &str, metric: Metric, figure: &reported::Figure, panel: &str) -> Result<Vec<Point>> {
        let mut points = self.curves(variant, metric);
        points.extend(figure.over(&points, panel, &Panel::new(variant, metric))?);
        Ok(points)
    }
}

/// Trains `network` for every one of `variants` with every seed, or this process's share of them.
///
/// # Errors
/// If training fails or a signal stops it; where others have not yet trained theirs, with `next`, how to go on.
pub(super) fn train(run: &Run, variants: &[Variant], network: OwnNetwork, data: &DataSet, next: &str) -> Result<Trained> {
    // On the CPU one thread a trial uses the cores better than all threads on one: minibatches are small. The whole list decides, so that
    // a trial gives the same bits whichever share of the list this is.
    let cores = tch::get_num_threads() as usize;
    let count = variants.iter().map(|variant| variant.seeds.clone().count()).sum();
    let at_a_time = variants.iter().filter_map(|variant| variant.at_a_time).min().map_or(cores, |count| count as usize);
    let workers = if run.device == Device::Cpu { cores.min(count).min(at_a_time) } else { 1 };
    let threads = if workers > 1 { 1 } else { cores };
    let Plan { mut outcomes, jobs, others } = plan(run, variants, network.map_or("", |(name, _)| name), data, threads)?;

    let mut progress = Progress::new(jobs.iter().map(|job| (job.epochs * job.minibatches) as u64).sum(), run.flags.quiet);
    progress.leaves_epochs = workers == 1;
    let listening = Listening::start()?;
    let trained = side_by_side(jobs, workers, |job| {
        ensure!(interrupt::asked().is_none(), Interrupted);
        trainer::train(run, job, network, &progress)
    });
    drop(progress);
    if let Some(signal) = interrupt::asked() {
        let message = match trained {
            Err(error) if !error.is::<Interrupted>() => format!("Error: {error:#}"),
            _ => "Interrupted. What was finished is kept; the same command with --resume goes on (without --fresh).".to_owned(),
        };
        bail!(EarlyExit::signal(signal, message));
    }
    drop(listening);
    outcomes.extend(trained?);
    if let Some(shard) = run.flags.shard {
        // Others may have finished theirs in the meantime.
        let store = Store::list(&run.flags.runs, run.name)?;
        for trial in others {
            outcomes.push(store.finished(&trial, true)?.ok_or_else(|| shard.done(count, next))?);
        }
    }

    outcomes.sort_by_cached_key(|outcome| (variants.iter().position(|known| known.name == outcome.variant), outcome.seed));
    let mut devices: Vec<&str> = outcomes.iter().map(|outcome| outcome.provenance.device.as_str()).collect();
    devices.sort();
    devices.dedup();
    let device = if let [device] = devices[..] { device.to_owned() } else { format!("{} devices", devices.len()) };
    Ok(Trained { outcomes, data: run.name_of(data), device })
}

/// A list of trials, divided.
struct Plan {
    /// Finished before.
    outcomes: Vec<Outcome>,
    /// For this process to train.
    jobs: Vec<Job>,
    /// For other processes to train.
    others: Vec<Trial>,
}

fn plan(run: &Run, variants: &[Variant], network: &str, data: &DataSet, threads: usize) -> Result<Plan> {
    let Flags { fresh, merge, shard, runs, .. } = &run.flags;
    let (store, common) = (Store::list(runs, run.name)?, Provenance::of_run(run, &data.source, network, threads as i64));
    let experiments: Vec<Experiment> = variants.iter().map(|variant| variant.experiment.with_own_validation(data.validation)).collect();
    let all = variants.iter().zip(&experiments);
    let mut list: Vec<(u64, &Variant, &Experiment)> =
        all.flat_map(|(variant, experiment)| variant.seeds.clone().map(move |seed| (seed, variant, experiment))).collect();
    list.sort_by_key(|(seed, ..)| *seed);
    let mut plan = Plan { outcomes: Vec::new(), jobs: Vec::new(), others: Vec::new() };
    for (place, (seed, variant, experiment)) in list.into_iter().enumerate() {
        let mut common = common.clone();
        if let Some(teacher) = &experiment.model.teacher {
            common.network = format!("taught by {}", weights::teacher_sha256(teacher)?);
        }
        let trial = Trial::new(experiment, common.of_trial(experiment, &variant.name, seed), &runs.join(run.name));
        // Where several machines work together, what another one has trained is as good as to be had here.
        let finished = if *fresh { None } else { store.finished(&trial, *merge || shard.is_some())? };
        match finished {
            Some(outcome) => {
                remove_checkpoints(&outcome)?;
                plan.outcomes.push(outcome);
            }
            None if *merge || shard.is_some_and(|shard| !shard.takes(place)) => plan.others.push(trial),
            None => plan.jobs.push(job(run, variant, data, &store, trial)?),
        }
    }
    if *merge && !plan.others.is_empty() {
        let few: Vec<String> = plan.others.iter().take(5).map(|trial| trial.provenance.name()).collect();
        bail!(
            "{} of {} trials have no result yet, {} among them: train them, with --shard for example, and then --merge",
            plan.others.len(),
            plan.others.len() + plan.outcomes.len(),
            few.join(", ")
        );
    }
    tell_kept(run, &plan);
    Ok(plan)
}

/// Removes a finished trial's checkpoints, left by a process killed before it did; skipped while another process has the lock.
fn remove_checkpoints(outcome: &Outcome) -> Result<()> {
    let checkpoints = checkpoints_in(&outcome.folder);
    if checkpoints.exist()
        && let Ok(_lock) = Lock::take(&outcome.folder)
    {
        checkpoints.remove()?;
    }
    Ok(())
}

/// The job that trains `trial`, with handles on the data and the interrupted run to resume, if any.
fn job(run: &Run, variant: &Variant, data: &DataSet, store: &Store, trial: Trial) -> Result<Job> {
    let (&Flags { resume, fresh, .. }, name) = (&run.flags, trial.provenance.name());
    let interrupted = if fresh { None } else { store.interrupted(&trial)? };
    if let Some((folder, checkpoint)) = interrupted.as_ref().filter(|_| !resume) {
        let path = checkpoint.display();
        ensure!(
            !trial.has_id_of(folder),
            "trial {name} was interrupted, and where it stood is kept in {path}: go on from there with --resume, or begin again with --fresh",
        );
        tell!("{name} begins anew: the interrupted training in {path} has other settings, data or code");
    }
    run.scalars_of(&trial.provenance).as_deref().map_or(Ok(()), ensure_writable)?;
    let (train, training) = (data.train.share(), trial.experiment.training()?);
    Ok(Job {
        epochs: training.epochs,
        minibatches: (trial.experiment.split()?.taken(train.len()) as u64).div_ceil(training.minibatch as u64) as i64,
        trial,
        train,
        test: data.test.as_ref().map(Examples::share),
        classes: data.classes.len() as i64,
        interrupted: interrupted.map(|(folder, _)| folder).filter(|_| resume),
        checkpoint_after: variant.checkpoint_after,
    })
}

/// Says which trials are kept, and which have nothing to go on from.
fn tell_kept(run: &Run, Plan { outcomes, jobs, others }: &Plan) {
    let (finished, all) = (outcomes.len(), outcomes.len() + jobs.len() + others.len());
    if !run.flags.quiet && finished > 0 {
        let folders: BTreeSet<String> =
            outcomes.iter().filter_map(|outcome| Some(outcome.folder.parent()?.display().to_string())).collect();
        let from = folders.into_iter().collect::<Vec<_>>().join(", ");
        tell!("{finished} of {all} trials were finished before and are kept, from {from} (--fresh trains them anew)");
    }
    let mut anew = jobs.iter().filter(|job| run.flags.resume && job.interrupted.is_none()).map(|job| &job.trial);
    if let Some(Trial { provenance, folder, .. }) = anew.next() {
        let rest = match anew.count() {
            0 => String::new(),
            count => format!(", and for {count} other trials"),
        };
        tell!("--resume: there is nothing to go on from for {} in {}{rest}: training begins anew", provenance.name(), folder.display());
    }
}
