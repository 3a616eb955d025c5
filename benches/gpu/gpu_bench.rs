//! How long a training step takes on a GPU, and whether the GPU or the host that launches its kernels sets the pace.
//!
//! `cargo bench --bench gpu_bench` measures on the first GPU, else on the CPU; `-- --device cpu` on the CPU. A line a measurement, medians
//! over rounds; it writes nothing. The device is waited for at both ends of a measurement; the host's own time, beside it, is that until the
//! last kernel was launched. The ceilings are a large copy and a large matrix product.

#[path = "networks.rs"]
mod networks;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use networks::{Network, splits};
use reproduction::data::splits::Splits;
use reproduction::device::{self, Choice};
use reproduction::experiment::{Experiment, Precision};
use reproduction::layers::Mode;
use reproduction::libtorch::{Arithmetic, profile};
use reproduction::loss::Objective;
use reproduction::model;
use reproduction::optim;
use reproduction::seed::{Purpose, draw};
use reproduction::train::{State, fit};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;
use tch::{Cuda, Device, Kind, Tensor};

/// Times training steps, epochs, a large copy and a large matrix product, on a GPU or the CPU.
#[derive(Debug, Parser)]
#[command(name = "gpu_bench", bin_name = "gpu_bench", version)]
struct Flags {
    /// auto (the first GPU, else the CPU), cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Choice,
    /// Only this network (can be given several times)
    #[arg(long, value_enum)]
    network: Vec<Network>,
    /// Only this precision (can be given several times)
    #[arg(long, value_enum)]
    precision: Vec<Precision>,
    /// Steps in a round [default: 30 on a GPU, 2 on the CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: Option<u64>,
    /// Rounds, after one that warms up [default: 3 on a GPU, 1 on the CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    rounds: Option<u64>,
    /// Images of an epoch with its evaluations [default: 70,000 on a GPU, 1,400 on the CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(7..=1_000_000))]
    images: Option<i64>,
    /// Count what a step launches and how long it keeps the device busy, in place of measuring
    #[arg(long)]
    profile: bool,
    /// Cargo's own
    #[arg(long, hide = true)]
    bench: bool,
}

pub fn main() -> ExitCode {
    reproduction::run::finish(run(std::env::args_os()))
}

/// Runs with a command line whose first word is the program's name.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Result<()> {
    let flags = Flags::parse_from(words);
    let device = device::select(flags.device)?;
    device::keep_memory();
    device::set_threads();
    reproduction::say!("{}", device::describe(device));
    let (rounds, steps, images) = if device == Device::Cpu { (1, 2, 1_400) } else { (3, 30, 70_000) };
    let (rounds, steps) = (flags.rounds.unwrap_or(rounds), flags.steps.unwrap_or(steps));
    let bench = Bench { device, rounds, steps, images: flags.images.unwrap_or(images), profile: flags.profile };
    let networks = if flags.network.is_empty() { Network::value_variants() } else { &flags.network };
    if !bench.profile {
        bench.ceilings();
    }
    for network in networks {
        let mut experiment = network.experiment()?;
        // Drawing the pictures takes longer than a measurement: once for a network, and no more than its minibatch needs.
        let splits = splits(&experiment, bench.images.min(400), device)?;
        // Without a GPU there is no TF32, and bf16 is many times slower on a processor without such instructions.
        // f32 as the examples have it, and without TF32 in convolutions; the others are a GPU's.
        let precisions = [
            ("f32", Precision::F32, true),
            ("f32 without TF32", Precision::F32, false),
            ("tf32", Precision::Tf32, true),
            ("bf16", Precision::Bf16, true),
        ];
        for (name, precision, tf32_convolutions) in precisions.into_iter().take(if device.is_cuda() { 4 } else { 1 }) {
            if !flags.precision.is_empty() && !flags.precision.contains(&precision) {
                continue;
            }
            Arithmetic { tf32_convolutions, tf32_products: precision == Precision::Tf32, benchmark: true }.set();
            experiment.model.precision = precision;
            bench.step(*network, name, &experiment, &splits, Layout::ChannelsLast)?;
            if !bench.profile && *network != Network::Mlp && matches!(name, "f32" | "bf16") {
                bench.step(*network, name, &experiment, &splits, Layout::ChannelsFirst)?;
            }
        }
    }
    device::set_arithmetic(false);
    for network in networks.iter().filter(|network| !bench.profile && matches!(network, Network::Mlp | Network::Cnn)) {
        bench.epoch(*network)?;
    }
    Ok(())
}

/// How convolutions keep weights and values in memory; libtorch has values follow the weights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// As the layers have it
    ChannelsLast,
    ChannelsFirst,
}

struct Bench {
    device: Device,
    rounds: u64,
    steps: u64,
    images: i64,
    profile: bool,
}

impl Bench {
    fn wait(&self) {
        if let Device::Cuda(index) = self.device {
            Cuda::synchronize(index as i64);
        }
    }

    /// Median seconds of `work`, the device waited for at both ends, and of the host alone; the first round warms up.
    fn timed(&self, mut work: impl FnMut()) -> (f64, f64) {
        let mut times = Vec::new();
        for _ in 0..=self.rounds {
            self.wait();
            let started = Instant::now();
            work();
            let host = started.elapsed().as_secs_f64();
            self.wait();
            times.push((started.elapsed().as_secs_f64(), host));
        }
        let (whole, host) = times.into_iter().skip(1).unzip();
        (median(whole), median(host))
    }

    /// What no step can be faster than: a copy of 1 GiB, products of 8,192 x 8,192 matrices; on the CPU 16 MiB and 1,024 x 1,024.
    fn ceilings(&self) {
        let (values, side) = if self.device == Device::Cpu { (1 << 22, 1_024) } else { (1 << 28, 8_192) };
        let (from, mut to) = (Tensor::zeros([values], (Kind::Float, self.device)), Tensor::zeros([values], (Kind::Float, self.device)));
        let (copy, _) = self.timed(|| to.copy_(&from));
        reproduction::say!("copy: {:.3} TB/s read and written", 8.0 * values as f64 / copy / 1e12);
        for kind in [Kind::Float, Kind::BFloat16].into_iter().take(if self.device == Device::Cpu { 1 } else { 2 }) {
            let a = draw(1, Purpose::Embedded, 0, || Tensor::randn([side, side], (Kind::Float, self.device))).to_kind(kind);
            let (product, _) = self.timed(|| drop(a.matmul(&a)));
            reproduction::say!("matrix product, {kind:?}: {:.2} TFLOP/s", 2.0 * (side as f64).powi(3) / product / 1e12);
        }
    }

    fn step(&self, network: Network, precision: &str, experiment: &Experiment, splits: &Splits, layout: Layout) -> Result<()> {
        let training = experiment.training()?;
        let model = model::build(&experiment.model, splits.train.image(), network.classes(), 1, self.device)?;
        let (mut parameters, mut sgd) = (model.parameters(), optim::build(training));
        if layout == Layout::ChannelsFirst {
            parameters.iter_mut().for_each(|parameter| parameter.tensor.set_data(&parameter.tensor.contiguous()));
        }
        let examples = splits.train.augmented(1, 1);
        let index = draw(1, Purpose::Shuffle, 1, || Tensor::randperm(examples.len(), (Kind::Int64, self.device)));
        let index = index.narrow(0, 0, training.minibatch.min(examples.len()));
        let mut train = || {
            for number in 0..self.steps {
                let minibatch = examples.select(&index);
                let objective = Objective { label_smoothing: training.label_smoothing };
                let mode = Mode::Train { seed: 1, minibatch: number };
                let (_, gradients) = model.gradients(&minibatch.images, &minibatch.labels, mode, objective);
                sgd.step(&mut parameters, &gradients);
            }
        };
        let name = format!("{}, {precision}", network.name());
        if self.profile {
            self.print_profile(&name, train);
            return Ok(());
        }
        let (whole, host) = self.timed(&mut train);
        let (data, _) = self.timed(|| (0..self.steps).for_each(|_| drop(examples.select(&index))));
        let in_ms = 1e3 / self.steps as f64;
        let memory = device::memory(self.device);
        reproduction::say!(
            "{name}{}, step of {}: {:.3} ms; host {:.3} ms; gathering and augmentation {:.3} ms{}",
            if layout == Layout::ChannelsFirst { ", channels first" } else { "" },
            index.size()[0],
            whole * in_ms,
            host * in_ms,
            data * in_ms,
            memory.map_or(String::new(), |memory| format!(
                "; memory in use {:.2} GiB of {:.0}",
                device::gib(memory.used),
                device::gib(memory.total)
            ))
        );
        Ok(())
    }

    /// Kernels a step and how long the device works at them, and the ten that take longest; on the CPU operations.
    fn print_profile(&self, name: &str, mut train: impl FnMut()) {
        // cuDNN's trials of algorithms stay out.
        train();
        self.wait();
        let kernels = profile(self.device, || {
            train();
            self.wait();
        });
        let a_step = |value: f64| value / self.steps as f64;
        let (count, seconds) =
            kernels.iter().fold((0.0, 0.0), |(count, seconds), kernel| (count + kernel.count as f64, seconds + kernel.seconds));
        let what = if self.device.is_cuda() { "kernels and copies" } else { "operations" };
        reproduction::say!("{name}, a step: {:.1} {what}, {:.3} ms of the device", a_step(count), a_step(1e3 * seconds));
        for kernel in kernels.iter().take(10) {
            let name: String = kernel.name.chars().take(100).collect();
            reproduction::say!("    {:6.1} x {:8.3} ms in all  {name}", a_step(kernel.count as f64), a_step(1e3 * kernel.seconds));
        }
    }

    /// Three epochs of [`fit`] with the evaluations after each; the first three warm up.
    fn epoch(&self, network: Network) -> Result<()> {
        let mut experiment = network.experiment()?;
        if let Some(training) = &mut experiment.training {
            training.epochs = 3;
        }
        let splits = splits(&experiment, self.images, self.device)?;
        let model = model::build(&experiment.model, splits.train.image(), network.classes(), 1, self.device)?;
        let training = experiment.training()?;
        let mut seconds = 0.0;
        for _ in 0..2 {
            self.wait();
            let started = Instant::now();
            fit(&*model, &splits, training, 1, State::new(training), &mut ())?;
            self.wait();
            seconds = started.elapsed().as_secs_f64() / 3.0;
        }
        let (train, all) = (splits.train.len(), splits.train.len() + splits.validation.len());
        reproduction::say!("{}, epoch of {train} images with evaluation of {all}: {seconds:.3} s", network.name());
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
