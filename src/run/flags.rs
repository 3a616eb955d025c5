//! The flags of every example.

use super::precision;
use super::shard::Shard;
use crate::data::Location;
use crate::device;
use crate::experiment::{Experiment, LARGEST_COUNT, MOST_SEEDS};
use anyhow::{Result, bail};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use std::ops::Range;
use std::path::PathBuf;

#[derive(Clone, Debug, Parser)]
#[command(version, about = "Reproduces a figure or table of the report; see the README.")]
pub(super) struct Flags {
    /// Run on the first NVIDIA GPU (the same as --device cuda)
    #[arg(long, conflicts_with = "device")]
    cuda: bool,
    /// auto, cpu, cuda, cuda:N or mps
    #[arg(long, value_name = "DEVICE")]
    device: Option<device::Choice>,
    /// The data set's folder or zip, or `embedded` for drawn stand-ins
    #[arg(long, value_name = "PATH")]
    data: Option<Location>,
    #[command(flatten)]
    pub changes: Changes,
    /// Folder for the figure and its CSV; without it plots, or plots/local for all but the experiment as its file has it on the report's data
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder for the trials: history, parameters, checkpoints, settings and provenance of each
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Folder for TensorBoard: the scalars of what is trained, and the pictures
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Draw again from the CSV, without data or training
    #[arg(long)]
    pub redraw: bool,
    /// Go on with trials that were interrupted
    #[arg(long, conflicts_with = "fresh")]
    pub resume: bool,
    /// Train only this share of the trials, for example 0/4, and draw nothing; `slurm` is the share of this task of a job array
    #[arg(long, value_name = "INDEX/COUNT|slurm", conflicts_with_all = ["merge", "redraw"])]
    pub shard: Option<Shard>,
    /// Train nothing: put together what workers have trained with --shard
    #[arg(long, conflicts_with_all = ["fresh", "redraw"])]
    pub merge: bool,
    /// On a GPU, only operations that give the same bits every time (slower); on the CPU all of them do
    #[arg(long)]
    pub deterministic: bool,
    /// Leave out images that cannot be read, and list them
    #[arg(long)]
    pub skip_corrupt: bool,
    /// Classify this image, or all images in this folder or zip, with the network that was trained last, else with that in weights/
    #[arg(long, value_name = "PATH")]
    pub predict: Option<PathBuf>,
    /// Train and draw nothing: write the finished trials' networks, of each variant's first seed, into weights/ (or the folder of --out)
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "fresh", "resume"])]
    pub export_weights: bool,
    /// Run first every example that has no result yet, the cheapest first
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "variant"])]
    pub all: bool,
    /// The same with small networks on drawn stand-ins, in a few minutes, into a folder of its own below that of runs
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "variant", "all", "data", "out"])]
    pub quick: bool,
    /// Train anew what an earlier run has finished or begun
    #[arg(long)]
    pub fresh: bool,
    /// No progress
    #[arg(long)]
    pub quiet: bool,
}

/// The flags that change what is trained.
#[derive(Args, Clone, Debug, PartialEq)]
pub(super) struct Changes {
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    pub seed: u64,
    /// Seeds to train with: N, N + 1, ...; 3 of them where the experiment says nothing else
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_SEEDS)))]
    pub seeds: Option<u32>,
    /// Epochs instead of the experiment's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=LARGEST_COUNT))]
    pub epochs: Option<i64>,
    /// Train on the first N examples only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub limit: Option<i64>,
    /// Precision of matrix products and convolutions; f64: of everything; auto: bf16 where the device has instructions for it, else f32
    #[arg(long, value_enum)]
    pub precision: Option<precision::Choice>,
    /// Only this variant of the experiment (can be given several times)
    #[arg(long, value_name = "NAME")]
    pub variant: Vec<String>,
}

/// What changes nothing.
impl Default for Changes {
    fn default() -> Changes {
        Changes { seed: 1, seeds: None, epochs: None, limit: None, precision: None, variant: Vec::new() }
    }
}

const READ_PHOTOGRAPHS: [&str; 7] =
    ["ablation_vgg", "fig12_samples", "fig15_vgg_sweep", "fig16_errors", "kaggle_ahead", "kaggle_search", "kaggle_vgg"];
/// Have networks for images of the user's own.
const PREDICT: [&str; 5] = ["cnn_tuned", "fig9_cnn", "kaggle_ahead", "kaggle_vgg", "mlp_tuned"];
const TRAIN_NOTHING: [&str; 6] =
    ["fig12_samples", "fig13_vgg_architecture", "fig16_errors", "fig5_7_gradient_check", "fig8_cnn_architecture", "report_card"];
const DRAW_NO_POINTS: [&str; 7] =
    ["cnn_filters", "fig12_samples", "fig13_vgg_architecture", "fig16_errors", "fig8_cnn_architecture", "kaggle_search", "report_card"];

/// Whether the networks of example `name` are for photographs, not for digits.
pub(super) fn reads_photographs(name: &str) -> bool {
    READ_PHOTOGRAPHS.contains(&name)
}

/// The flags that example `name` does not have, and why.
fn lacking(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_card = name == "report_card";
    let some_have = [
        ("skip_corrupt", reads_photographs(name), "reads no photographs"),
        ("predict", PREDICT.contains(&name), "has no network to use"),
        ("export_weights", PREDICT.contains(&name) && name != "kaggle_vgg", "has no network that is small enough to be committed"),
        ("all", is_card, "runs no other examples"),
        ("quick", is_card, "runs no other examples"),
        ("tensorboard", !TRAIN_NOTHING.contains(&name), "trains nothing"),
        ("shard", !TRAIN_NOTHING.contains(&name), "trains nothing"),
        ("merge", !TRAIN_NOTHING.contains(&name), "trains nothing"),
        ("redraw", !DRAW_NO_POINTS.contains(&name), "draws what its CSV does not hold"),
    ];
    some_have.into_iter().filter(|(_, has, _)| !has).map(|(flag, _, why)| (flag, why))
}

impl Flags {
    /// Reads the command line of example `name`.
    ///
    /// # Errors
    /// If flags do not parse, or it has them not; if it was asked for help.
    pub fn read(name: &'static str) -> Result<Flags, clap::Error> {
        let mut command = Flags::command().name(name).bin_name(name);
        for (flag, _) in lacking(name) {
            command = command.mut_arg(flag, |argument| argument.hide(true));
        }
        let matches = command.clone().try_get_matches()?;
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
        self.seed..self.seed + self.seeds.map_or(default, u64::from)
    }

    /// The experiment with what the flags change, for a device that has instructions for bf16 or not.
    ///
    /// # Errors
    /// If `--epochs` is given and nothing is trained.
    pub fn apply(&self, mut experiment: Experiment, has_bf16: bool) -> Result<Experiment> {
        let Experiment { split, model, training, .. } = &mut experiment;
        match (training, self.epochs) {
            (Some(training), Some(epochs)) => training.epochs = epochs,
            (None, Some(_)) => bail!("--epochs was given, but this example trains nothing; leave it out"),
            (_, None) => {}
        }
        model.precision = self.precision.map_or(model.precision, |choice| choice.resolve(model.precision, has_bf16));
        if let Some(split) = split {
            split.limit = self.limit.or(split.limit);
        }
        Ok(experiment)
    }
}
