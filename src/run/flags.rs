//! The flags of every example.

use super::precision;
use super::shard::Shard;
use crate::data::Location;
use crate::device;
use crate::experiment::{Experiment, LARGEST_COUNT, MOST_SEEDS};
use anyhow::{Result, bail};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};
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
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    pub seed: u64,
    /// Seeds to train with: N, N + 1, ...; 3 of them where the experiment says nothing else
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_SEEDS)))]
    seeds: Option<u32>,
    /// Epochs instead of the experiment's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=LARGEST_COUNT))]
    pub epochs: Option<i64>,
    /// Train on the first N examples only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub limit: Option<i64>,
    /// Precision of the matrix products, parameters stay in f32; auto is bf16 where the device has instructions for it, else f32
    #[arg(long, value_enum)]
    pub precision: Option<precision::Choice>,
    /// Folder for the figure and its CSV; without it plots, or plots/local for all but the experiment as its file has it on the report's data
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder for histories, settings and provenance of every trial
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
    /// Classify this image, or all images in this folder or zip, with the network that was trained last
    #[arg(long, value_name = "PATH")]
    pub predict: Option<PathBuf>,
    /// Run first every example that has no result yet, the cheapest first
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "variant"])]
    pub all: bool,
    /// The same with small networks on drawn stand-ins, in a few minutes, into a folder of its own below that of runs
    #[arg(long, conflicts_with_all = ["redraw", "shard", "merge", "variant", "all", "data", "out"])]
    pub quick: bool,
    /// Train anew what an earlier run has finished or begun
    #[arg(long)]
    pub fresh: bool,
    /// Only this variant of the experiment (can be given several times)
    #[arg(long, value_name = "NAME")]
    pub variant: Vec<String>,
    /// No progress
    #[arg(long)]
    pub quiet: bool,
}

/// Flags that only some examples have.
const ONLY: [(&str, &[&str]); 5] = [
    ("skip_corrupt", &["ablation_vgg", "fig12_samples", "fig15_vgg_sweep", "fig16_errors", "kaggle_ahead", "kaggle_search", "kaggle_vgg"]),
    ("predict", &["kaggle_ahead", "kaggle_vgg"]),
    ("all", &["report_card"]),
    ("quick", &["report_card"]),
    (
        "tensorboard",
        &[
            "ablation_vgg",
            "cnn_filters",
            "cnn_tuned",
            "fig10_11_cnn_capacity",
            "fig15_vgg_sweep",
            "fig1_init",
            "fig2_4_best_mlp",
            "fig9_cnn",
            "kaggle_ahead",
            "kaggle_search",
            "kaggle_vgg",
            "mlp_tuned",
            "speed_records",
            "table2_sweep",
        ],
    ),
];

impl Flags {
    /// Reads the command line of example `name`.
    ///
    /// # Errors
    /// If flags do not parse, or it has them not; if it was asked for help.
    pub fn read(name: &'static str) -> Result<Flags, clap::Error> {
        let others = || ONLY.iter().filter(|(_, examples)| !examples.contains(&name)).map(|(flag, _)| *flag);
        let mut command = Flags::command().name(name).bin_name(name);
        for flag in others() {
            command = command.mut_arg(flag, |argument| argument.hide(true));
        }
        let matches = command.clone().try_get_matches()?;
        let found = others().find(|flag| matches.value_source(flag) == Some(ValueSource::CommandLine));
        if let Some(flag) = found {
            let message = format!("--{} is no flag of {name}", flag.replace('_', "-"));
            return Err(command.error(ErrorKind::UnknownArgument, message));
        }
        Flags::from_arg_matches(&matches)
    }

    pub fn device(&self) -> device::Choice {
        let automatic = if self.cuda { device::Choice::Cuda(0) } else { device::Choice::Auto };
        self.device.unwrap_or(automatic)
    }

    /// The seeds to train with, if the experiment asks for so many.
    pub fn seeds(&self, default: u32) -> Range<u64> {
        self.seed..self.seed + u64::from(self.seeds.unwrap_or(default))
    }

    /// Whether a flag changes what the result is, or could: another part of the experiment, other data.
    pub fn change_result(&self) -> bool {
        let shortened = self.epochs.is_some() || self.limit.is_some() || self.precision.is_some();
        let other_trials = self.seed != 1 || self.seeds.is_some() || !self.variant.is_empty();
        shortened || other_trials || self.predict.is_some() || self.quick || self.data() == Location::Embedded
    }

    pub fn data(&self) -> Location {
        self.data.clone().unwrap_or(Location::Search)
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
