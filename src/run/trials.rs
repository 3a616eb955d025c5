//! The trials of an experiment: every variant with every seed, trained side by side, each kept as it finishes.

use super::early::Early;
use super::flags::Flags;
use super::interrupt::{self, Listening};
use super::progress::Display;
use super::provenance::Provenance;
use super::shard::Shard;
use super::store::{Outcome, Store, Trial};
use super::trainer::{self, Job, Network};
use super::{Run, Variant};
use crate::data::{DataSet, Examples};
use crate::device;
use crate::experiment::Experiment;
use crate::files::ensure_writable;
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
    /// The data set, what of it was used if not all, and what `--set` changed; only what has the bare name is compared with the report.
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

    /// How far training is ahead of validation, accuracy on the one minus accuracy on the other, loss
    /// the other way round. Mean and deviation are those of each seed's own gap.
    pub fn gaps(&self, variant: &str, metric: Metric) -> Vec<Point> {
        let ahead = |history: &History, epoch| {
            let of = |split| history.get(epoch, split, metric);
            let gap = of(Split::Train)? - of(Split::Validation)?;
            Some(if metric == Metric::Accuracy { gap } else { -gap })
        };
        let panel = Panel::new(variant, Quantity::from(metric).gap());
        mean_over_seeds(&panel, "train ahead of validation", &self.histories(variant), ahead, &self.data, &self.device)
    }

    /// [`Trained::curves`], and over them the published ones of `panel`, where the data are those of the report.
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
pub(super) fn train(run: &Run, variants: &[Variant], network: Network, data: &DataSet, next: &str) -> Result<Trained> {
    // On the CPU one thread a trial uses the cores better than all threads on one: minibatches are small. The whole list decides, so that
    // a trial gives the same bits whichever share of the list this is.
    let cores = tch::get_num_threads() as usize;
    let count = variants.iter().map(|variant| variant.seeds.clone().count()).sum();
    let at_a_time = variants.iter().filter_map(|variant| variant.at_a_time).min().map_or(cores, |count| count as usize);
    let workers = if run.device == Device::Cpu { cores.min(count).min(at_a_time) } else { 1 };
    let threads = if workers > 1 { 1 } else { cores };
    let Work { mut outcomes, jobs, others } = work(run, variants, network.name, data, threads)?;

    let mut display = Display::new(jobs.iter().map(Job::minibatches).sum(), run.flags.quiet);
    display.leaves_epochs = workers == 1;
    let listening = Listening::start()?;
    let trained = side_by_side(jobs, workers, |job| {
        ensure!(interrupt::asked().is_none(), Interrupted);
        trainer::train(run, job, network, &display)
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
    outcomes.extend(trained?);
    outcomes.extend(of_others(run, others, count, next)?);

    outcomes.sort_by_cached_key(|outcome| (variants.iter().position(|known| known.name == outcome.variant), outcome.seed));
    let limit = variants.iter().filter_map(|variant| variant.experiment.split.as_ref()?.limit).min();
    let limit = limit.map_or(String::new(), |limit| format!(", first {limit} training examples"));
    let set = if run.is_reproduction() { &[] } else { &run.flags.changes.set[..] };
    let set = set.iter().map(|setting| format!(", {setting}")).collect::<String>();
    let device = if run.flags.merge { device_of(&outcomes) } else { device::describe(run.device) };
    Ok(Trained { outcomes, data: format!("{}{limit}{set}", data.source.name), device })
}

/// A list of trials, divided.
struct Work {
    /// Finished before.
    outcomes: Vec<Outcome>,
    /// For this process to train.
    jobs: Vec<Job>,
    /// For other processes to train.
    others: Vec<Trial>,
}

fn work(run: &Run, variants: &[Variant], network: &str, data: &DataSet, threads: usize) -> Result<Work> {
    let Flags { fresh, merge, shard, runs, .. } = &run.flags;
    let (store, common) = (Store::list(runs, run.name)?, Provenance::of_run(run, &data.source, network, threads as i64));
    let experiments: Vec<Experiment> = variants.iter().map(|variant| variant.experiment.with_own_validation(data.validation)).collect();
    let all = variants.iter().zip(&experiments);
    let mut list: Vec<(u64, &Variant, &Experiment)> =
        all.flat_map(|(variant, experiment)| variant.seeds.clone().map(move |seed| (seed, variant, experiment))).collect();
    list.sort_by_key(|(seed, ..)| *seed);
    let mut work = Work { outcomes: Vec::new(), jobs: Vec::new(), others: Vec::new() };
    for (place, (seed, variant, experiment)) in list.into_iter().enumerate() {
        let trial = Trial::new(experiment, common.of_trial(experiment, &variant.name, seed), &runs.join(run.name));
        // Where several machines work together, what another one has trained is as good as to be had here.
        let finished = if *fresh { None } else { store.finished(&trial, *merge || shard.is_some())? };
        match finished {
            Some(outcome) => work.outcomes.push(outcome),
            None if *merge || shard.is_some_and(|shard| !shard.takes(place)) => work.others.push(trial),
            None => {
                let tell_cost =
                    !run.flags.quiet && network.is_empty() && work.jobs.iter().all(|job| job.trial.provenance.variant != variant.name);
                work.jobs.push(job(run, variant, data, &store, trial, tell_cost)?);
            }
        }
    }
    if *merge && !work.others.is_empty() {
        let few: Vec<String> = work.others.iter().take(5).map(|trial| trial.provenance.name()).collect();
        bail!(
            "{} of {} trials have no result yet, {} among them: train them, with --shard for example, and then --merge",
            work.others.len(),
            work.others.len() + work.outcomes.len(),
            few.join(", ")
        );
    }
    tell_kept(run, &work);
    Ok(work)
}

/// `trial` with all that the thread needs that trains it.
fn job(run: &Run, variant: &Variant, data: &DataSet, store: &Store, trial: Trial, tell_cost: bool) -> Result<Job> {
    let Flags { resume, fresh, .. } = run.flags;
    let Provenance { variant: name, seed, .. } = &trial.provenance;
    let interrupted = if fresh { None } else { store.interrupted(&trial)? };
    if let Some((folder, checkpoint)) = interrupted.as_ref().filter(|_| !resume) {
        let path = checkpoint.display();
        ensure!(
            !trial.has_id_of(folder),
            "trial {name} seed {seed} was interrupted, and where it stood is kept in {path}: go on from there with --resume, or begin again with --fresh",
        );
        tell!("{name} seed {seed} begins anew: the interrupted training in {path} has other settings, data or code");
    }
    run.scalars_of(name, *seed).as_deref().map_or(Ok(()), ensure_writable)?;
    Ok(Job {
        trial,
        train: data.train.share(),
        test: data.test.as_ref().map(Examples::share),
        classes: data.classes.len() as i64,
        tell_cost,
        interrupted: interrupted.map(|(folder, _)| folder).filter(|_| resume),
        checkpoint_after: variant.checkpoint_after,
    })
}

/// Says which trials are kept, and which have nothing to go on from.
fn tell_kept(run: &Run, Work { outcomes, jobs, others }: &Work) {
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

/// The results of `others`, which other processes have finished in the meantime; else an error with `next`, how to go on.
fn of_others(run: &Run, others: Vec<Trial>, all: usize, next: &str) -> Result<Vec<Outcome>> {
    // Without --shard there are none.
    let (Some(shard), false) = (run.flags.shard, others.is_empty()) else { return Ok(Vec::new()) };
    let store = Store::list(&run.flags.runs, run.name)?;
    others.iter().map(|trial| store.finished(trial, true)?.ok_or_else(|| share_done(shard, all, next).into())).collect()
}

/// The end of a process that has trained its share of so many trials.
pub(super) fn share_done(shard: Shard, trials: usize, next: &str) -> Early {
    let what = if shard.is_empty(trials) {
        format!(
            "NOTHING WAS TRAINED: share {shard} is empty, there are more shares than the {trials} trial(s). The others are to be trained."
        )
    } else {
        format!("share {shard} is trained.")
    };
    Early { message: format!("{what} {next}"), code: 0 }
}

/// The device that trained all of `outcomes`, or how many devices did.
fn device_of(outcomes: &[Outcome]) -> String {
    let devices: BTreeSet<&String> = outcomes.iter().map(|outcome| &outcome.provenance.device).collect();
    match devices.first() {
        Some(device) if devices.len() == 1 => (*device).clone(),
        _ => format!("{} devices", devices.len()),
    }
}
