//! The flags of every example.

use super::progress::in_words;
use super::shard::Shard;
use super::{precision, project_root};
use crate::data::Location;
use crate::device;
use crate::experiment::{Experiment, LARGEST_COUNT, Layer, MOST_SEEDS, Search, Setting, Variant};
use crate::report_card::{Contents, Program};
use anyhow::{Result, bail};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;

#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(super) struct Flags {
    /// Folder or zip of the data set, or `embedded`: synthetic images
    #[arg(long, value_name = "PATH", help_heading = "Data")]
    data: Option<Location>,
    /// Leave out images that cannot be read, and list them
    #[arg(long, help_heading = "Data")]
    pub skip_corrupt: bool,
    #[command(flatten)]
    pub changes: Changes,
    /// Compute on the first NVIDIA GPU (the same as --device cuda)
    #[arg(long, conflicts_with = "device", help_heading = "Training")]
    cuda: bool,
    /// auto, cpu, cuda, cuda:N or mps
    #[arg(long, value_name = "DEVICE", help_heading = "Training")]
    device: Option<device::Choice>,
    /// On a GPU, only deterministic operations (slower); the CPU's all are
    #[arg(long, help_heading = "Training")]
    pub deterministic: bool,
    /// Go on with trials that were interrupted
    #[arg(long, conflicts_with = "fresh", help_heading = "Training")]
    pub resume: bool,
    /// Train anew what an earlier run has finished or begun
    #[arg(long, help_heading = "Training")]
    pub fresh: bool,
    /// Folder of figure and CSV [default: plots, or plots/local]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Folder of the trials: history, parameters, checkpoints
    #[arg(long, value_name = "DIR", default_value = "runs", help_heading = "Output")]
    pub runs: PathBuf,
    /// Folder for TensorBoard: scalars of what is trained, and pictures
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub tensorboard: Option<PathBuf>,
    /// Draw again from the CSV, without data or training
    #[arg(long, help_heading = "Output")]
    pub redraw: bool,
    /// Print the resolved experiment of each variant, train nothing
    #[arg(long, help_heading = "Output")]
    pub print_experiment: bool,
    /// Classify an image, folder or zip: newest trial, else weights/
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub predict: Option<PathBuf>,
    /// Write finished trials' networks into weights/, train nothing
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "fresh", "resume"], help_heading = "Output")]
    pub export_weights: bool,
    /// Run first every example without a result, the cheapest first
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "variant"], help_heading = "Output")]
    pub all: bool,
    /// Run all, small, on synthetic images, in minutes, into runs/quick
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "variant", "all", "data", "out"], help_heading = "Output")]
    pub quick: bool,
    /// No progress
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
    /// Train this share of the trials, for example 0/4; draw nothing
    #[arg(long, value_name = "INDEX/COUNT|slurm", conflicts_with_all = ["merge", "redraw"], help_heading = "Cluster")]
    pub shard: Option<Shard>,
    /// Train nothing: put together what was trained with --shard
    #[arg(long, conflicts_with_all = ["fresh", "redraw"], help_heading = "Cluster")]
    pub merge: bool,
}

/// The flags that change what is trained.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// Train on the first N examples only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..), help_heading = "Data")]
    pub limit: Option<i64>,
    /// Only this variant of the experiment (repeatable)
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub variant: Vec<String>,
    /// Another value of a TOML key, or several: a.b=1,2 (repeatable)
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Training")]
    pub set: Vec<Setting>,
    /// Epochs instead of the experiment's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=LARGEST_COUNT), help_heading = "Training")]
    pub epochs: Option<i64>,
    /// The first seed [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=1 << 53), help_heading = "Training")]
    pub seed: Option<u64>,
    /// Train with so many seeds: N, N + 1, ... [default: the TOML's]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_SEEDS)), help_heading = "Training")]
    pub seeds: Option<u32>,
    /// f32, tf32, bf16, f64, or auto: bf16 where that is fast, else f32
    #[arg(long, value_name = "PRECISION", help_heading = "Training")]
    pub precision: Option<precision::Choice>,
    /// Fewer examples, epochs, seeds and trials, and narrow layers, in what trains: for `--quick`
    #[arg(long, hide = true)]
    pub small: bool,
}

const READ_PHOTOGRAPHS: [&str; 7] =
    ["ablation_vgg", "fig12_samples", "fig15_vgg_sweep", "fig16_errors", "kaggle_ahead", "kaggle_search", "kaggle_vgg"];
/// Have networks for images of the user's own.
const PREDICT: [&str; 6] = ["cnn_small", "cnn_tuned", "fig9_cnn", "kaggle_ahead", "kaggle_vgg", "mlp_tuned"];
const TRAIN_NOTHING: [&str; 6] =
    ["fig12_samples", "fig13_vgg_architecture", "fig16_errors", "fig5_7_gradient_check", "fig8_cnn_architecture", "report_card"];
const DRAW_NO_POINTS: [&str; 6] =
    ["cnn_filters", "fig12_samples", "fig13_vgg_architecture", "fig16_errors", "fig8_cnn_architecture", "report_card"];

/// Whether the networks of example `name` are for photographs, not for digits.
pub(super) fn reads_photographs(name: &str) -> bool {
    READ_PHOTOGRAPHS.contains(&name)
}

pub(super) fn trains(name: &str) -> bool {
    !TRAIN_NOTHING.contains(&name)
}

/// Whether `experiments/<name>.toml` is an experiment.
pub(super) fn has_experiment(name: &str) -> bool {
    !["fig16_errors", "report_card"].contains(&name)
}

/// The flags that example `name` does not have, and why.
fn lacking(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    // The card hands its flags on to the examples that it runs.
    let (is_card, trains) = (name == "report_card", trains(name));
    let (has_experiment, hands_on) = (has_experiment(name), has_experiment(name) || is_card);
    let some_have = [
        (&["skip_corrupt"][..], reads_photographs(name), "reads no photographs"),
        (&["predict"], PREDICT.contains(&name), "has no network to use"),
        (&["export_weights"], PREDICT.contains(&name) && name != "kaggle_vgg", "has no network that is small enough to be committed"),
        (&["all", "quick"], is_card, "runs no other examples"),
        (&["tensorboard", "shard", "merge"], trains, "trains nothing"),
        (&["epochs", "resume", "fresh"], trains || is_card, "trains nothing"),
        (&["set", "variant", "limit", "seed", "seeds", "precision", "small"], hands_on, "reads no experiment"),
        (&["print_experiment"], has_experiment, "reads no experiment"),
        (&["redraw"], !DRAW_NO_POINTS.contains(&name), "draws what its CSV does not hold"),
    ];
    let lacking = some_have.into_iter().filter(|(_, has, _)| !has);
    lacking.flat_map(|(flags, _, why)| flags.iter().map(move |flag| (*flag, why)))
}

/// The flags of this command line that example `name` takes too, but for `left_out`.
pub(super) fn taken_by(name: &str, left_out: &[&str]) -> Vec<OsString> {
    let command = Flags::command();
    let Ok(matches) = command.clone().try_get_matches_from(std::env::args_os()) else { return Vec::new() };
    let mut flags = Vec::new();
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let is_given = matches.value_source(id) == Some(ValueSource::CommandLine);
        if !is_given || left_out.contains(&id) || lacking(name).any(|(flag, _)| flag == id) {
            continue;
        }
        let flag = OsString::from(format!("--{}", id.replace('_', "-")));
        if argument.get_action().takes_values() {
            flags.extend(matches.get_raw(id).into_iter().flatten().flat_map(|value| [flag.clone(), value.to_owned()]));
        } else {
            flags.push(flag);
        }
    }
    flags
}

/// The report card's entry of example `name`.
pub(super) fn program(name: &str) -> Option<Program> {
    let contents = Contents::read(&project_root().ok()?.join("experiments")).ok()?;
    contents.programs().into_iter().find(|program| program.example == name)
}

/// The first line of an example's help: its figure, its data and its duration.
fn about(name: &str) -> Option<String> {
    let Program { of, what, minutes, .. } = program(name)?;
    let from = match name {
        "fig8_cnn_architecture" | "fig13_vgg_architecture" => "without data",
        _ if reads_photographs(name) => "from photographs of cats and dogs",
        _ => "from MNIST",
    };
    // Of Figure 16 the minutes are mostly those of the network that it needs.
    let minutes = if name == "fig16_errors" { 1.0 } else { minutes };
    Some(format!("{of}: {what}; {from}, in about {} on two cores", in_words(60.0 * minutes)))
}

impl Flags {
    /// Reads the command line of example `name`, the program first.
    pub fn read(name: &'static str, words: impl IntoIterator<Item = OsString>) -> Result<Flags, clap::Error> {
        let about = about(name).unwrap_or_else(|| "The report card: everything beside the report, as a page".to_owned());
        let mut command = Flags::command().name(name).bin_name(name).about(about);
        for (flag, _) in lacking(name) {
            command = command.mut_arg(flag, |argument| argument.hide(true));
        }
        let matches = command.clone().try_get_matches_from(words)?;
        if let Some((flag, why)) = lacking(name).find(|(flag, _)| matches.value_source(flag) == Some(ValueSource::CommandLine)) {
            let message = format!("--{} is no flag of {name}: it {why}", flag.replace('_', "-"));
            return Err(command.error(ErrorKind::UnknownArgument, message));
        }
        Flags::from_arg_matches(&matches)
    }

    pub fn device(&self) -> device::Choice {
        let automatic = if self.cuda { device::Choice::Cuda(0) } else { device::Choice::Auto };
        self.device.unwrap_or(automatic)
    }

    pub fn data(&self) -> Location {
        self.data.clone().unwrap_or(Location::Search)
    }
}

impl Changes {
    /// The seeds to train with, if the experiment asks for so many.
    pub fn seeds(&self, default: u64) -> Range<u64> {
        let first = self.seed.unwrap_or(1);
        first..first + self.seeds.map_or(default, u64::from)
    }

    /// The variant with what the flags change, but for `--set`, on a device that has instructions for bf16 or not.
    pub fn apply(&self, mut variant: Variant, has_bf16: bool) -> Result<Variant> {
        if self.small {
            make_small(&mut variant);
        }
        let Experiment { split, model, training, .. } = &mut variant.experiment;
        match (training, self.epochs) {
            (Some(training), Some(epochs)) => training.epochs = epochs,
            (None, Some(_)) => bail!("--epochs was given, but this experiment has no [training]; leave it out"),
            (_, None) => {}
        }
        if let (Some(Search { coarse, fine, .. }), Some(epochs)) = (&mut variant.search, self.epochs) {
            (coarse.epochs, fine.epochs) = (epochs, epochs);
        }
        model.precision = self.precision.map_or(model.precision, |choice| choice.resolve(model.precision, has_bf16));
        if let Some(split) = split {
            split.limit = self.limit.or(split.limit);
        }
        Ok(Variant { seeds: self.seeds(variant.seeds.end - variant.seeds.start), ..variant })
    }
}

fn make_small(Variant { experiment, search, seeds, .. }: &mut Variant) {
    let Experiment { split: Some(split), model, training, .. } = experiment else { return };
    split.limit = Some(300);
    seeds.end = seeds.end.min(seeds.start + 2);
    if let Some(training) = training {
        training.epochs = training.epochs.min(2);
    }
    if let Some(Search { coarse, fine, around, .. }) = search {
        for stage in [coarse, fine] {
            (stage.trials, stage.epochs) = (stage.trials.min(2), stage.epochs.min(2));
        }
        *around = 2.min(*around);
    }
    model.parameters = None;
    model.hidden.iter_mut().for_each(|width| *width = 16.min(*width));
    for layer in &mut model.layers {
        match layer {
            Layer::Convolution(filters) | Layer::ResidualBlock(filters) => *filters = 4.min(*filters),
            Layer::GroupNorm(groups) => *groups = 2.min(*groups),
            Layer::FullyConnected(outputs) => *outputs = 16.min(*outputs),
            _ => {}
        }
    }
}
