//! Another implementation of the same work in a process of its own, and the table that sets both side by side.

#![allow(dead_code, reason = "benchmarks share it, and each uses a part")]

use anyhow::{Context, Result, ensure};
use reproduction::data::mnist::{self, CLASSES};
use reproduction::data::splits::Splits;
use reproduction::data::{DataSet, Examples, Location};
use reproduction::device;
use reproduction::experiment::{Experiment, ExperimentFile, Training};
use reproduction::layers::Mode;
use reproduction::loss::Objective;
use reproduction::model::{self, Model};
use reproduction::optim;
use reproduction::train::{State, fit, side_by_side};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// PyTorch, doing one kind of work a round at a time.
pub struct Peer {
    process: Child,
    output: BufReader<ChildStdout>,
}

/// What a benchmark works with: the digits, this machine's threads, and the parts that were asked for.
pub struct Bench {
    pub digits: DataSet,
    pub threads: i32,
    root: PathBuf,
    /// The digits as raw IDX files, for peers to read.
    files: tempfile::TempDir,
    wanted: Vec<String>,
}

impl Bench {
    /// None where `cargo test --benches` starts the benchmark: there is nothing to test.
    pub fn start() -> Result<Option<Bench>> {
        if !std::env::args().any(|word| word == "--bench") {
            return Ok(None);
        }
        device::select(device::Choice::Cpu)?;
        device::keep_memory();
        let threads = device::set_threads();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let digits = mnist::load(&Location::Search, &root)?;
        let wanted = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
        Ok(Some(Bench { files: write_idx(&digits)?, digits, threads, root, wanted }))
    }

    /// Whether the command line names this part, or none.
    pub fn is_wanted(&self, part: &str) -> bool {
        self.wanted.is_empty() || self.is_named(part)
    }

    /// Whether the command line names this part.
    pub fn is_named(&self, part: &str) -> bool {
        self.wanted.iter().any(|word| part.contains(word.as_str()))
    }

    /// The file of `experiments/` with this name.
    pub fn experiments(&self, name: &str) -> Result<ExperimentFile> {
        ExperimentFile::read(&self.root.join("experiments").join(name))
    }

    /// Seconds of an epoch of `example`, run with `flags` as a user runs it: with so many epochs more a run takes so much longer.
    pub fn example(&self, example: &str, flags: &[&str], epochs: [i64; 2]) -> Result<f64> {
        let program = std::env::current_exe()?.with_file_name("../examples").join(example);
        ensure!(program.exists(), "{} is not there: cargo build --examples, with this profile", program.display());
        let seconds = |epochs: i64| {
            let folder = tempfile::tempdir()?;
            let mut command = Command::new(&program);
            command
                .current_dir(&self.root)
                .args(flags)
                .args(["--epochs", &epochs.to_string(), "--device", "cpu", "--out"])
                .arg(folder.path());
            command.arg("--runs").arg(folder.path()).arg("--data").arg(self.files.path()).stdout(Stdio::null()).stderr(Stdio::null());
            let started = Instant::now();
            ensure!(command.status()?.success(), "{example} failed");
            Ok(started.elapsed().as_secs_f64())
        };
        let [few, many] = epochs;
        Ok((seconds(many)? - seconds(few)?) / (many - few) as f64)
    }

    /// Prints what ran where, and what came out.
    pub fn finish(&self, table: &Table) -> Result<()> {
        reproduction::say!("\n{}, {}, {}\n\n{table}", device::describe(Device::Cpu), self.digits.source.name, self.version()?);
        Ok(())
    }

    /// Starts benches/peer.py on the network, split, minibatch and momentum of `experiment`, and waits until it is ready.
    pub fn peer(&self, style: &str, work: &str, experiment: &Experiment) -> Result<Peer> {
        let Bench { files, digits, threads, .. } = self;
        let Training { minibatch, momentum, .. } = experiment.training()?;
        let train = experiment.split()?.taken(digits.train.len());
        self.script("peer.py", |command| {
            command.args([style, work]).args(["--threads", &threads.to_string(), "--train", &train.to_string()]);
            command.args(["--minibatch", &minibatch.to_string(), "--momentum", &momentum.to_string()]);
            if !experiment.model.hidden.is_empty() {
                let widths: Vec<String> = experiment.model.hidden.iter().map(i64::to_string).collect();
                command.args(["--hidden", &widths.join(",")]);
            }
            command.arg("--data").arg(files.path());
        })
    }

    /// Starts a script of benches/ with the arguments that `add` gives it, and waits until it is ready.
    pub fn script(&self, name: &str, add: impl FnOnce(&mut Command)) -> Result<Peer> {
        self.spawn(name, &pytorch(&self.root)?, add)
    }

    fn spawn(&self, name: &str, packages: &Path, add: impl FnOnce(&mut Command)) -> Result<Peer> {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", packages).arg(self.root.join("benches").join(name));
        add(&mut command);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start python3")?;
        let output = BufReader::new(process.stdout.take().context("the peer's output")?);
        let mut peer = Peer { process, output };
        let ready = peer.line()?;
        ensure!(ready == "ready", "benches/{name} said {ready:?}, expected \"ready\"");
        Ok(peer)
    }

    /// Starts JAX on a network: a compiled epoch, all of it one call (benches/gpu/jax_peer.py).
    pub fn jax(&self, network: &str) -> Result<Peer> {
        let packages = pip_packages(&self.root, "jax", &["jax==0.10.2"])?;
        self.spawn("gpu/jax_peer.py", &packages, |command| {
            command.arg(network).env("MNIST_DIR", self.files.path()).env("JAX_PLATFORMS", "cpu");
        })
    }

    /// Which PyTorch the peers run.
    fn version(&self) -> Result<String> {
        let program = "import torch; print('PyTorch', torch.__version__)";
        let output = Command::new("python3").env("PYTHONPATH", pytorch(&self.root)?).args(["-c", program]).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Peer {
    /// One round; its seconds.
    pub fn round(&mut self) -> Result<f64> {
        writeln!(self.process.stdin.as_ref().context("the peer's input")?)?;
        let line = self.line()?;
        let seconds = line.split(' ').next().unwrap_or_default();
        seconds.parse().with_context(|| format!("the peer said {line:?}, expected seconds"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the peer ended; its message stands above");
        Ok(line.trim().to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Closing its input ends it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The folder with PyTorch and torchvision.
fn pytorch(root: &Path) -> Result<PathBuf> {
    pip_packages(root, "python", &["torch==2.11.0", "torchvision==0.26.0", "numpy", "pillow", "safetensors"])
}

/// `benches/<name>`, filled by pip if it is not there.
fn pip_packages(root: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = root.join("benches").join(if name == "python" { name.to_owned() } else { format!("python-{name}") });
    if folder.is_dir() {
        return Ok(folder);
    }
    reproduction::say!("Installing {} into {}", packages.join(", "), folder.display());
    let partial = folder.with_extension("partial");
    let mut pip = Command::new("python3");
    let status = pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"]).arg(&partial).args(packages).status();
    let message = || format!("pip could not install {} into {}; its message stands above", packages.join(", "), partial.display());
    ensure!(status.context("cannot start python3")?.success(), message());
    std::fs::rename(&partial, &folder)?;
    Ok(folder)
}

/// Examples in one round of a step benchmark; as in peer.py.
const STEP_EXAMPLES: i64 = 20_480;

/// Seconds of the training steps of one round.
pub fn steps(model: &dyn Model, splits: &Splits, training: &Training) -> Result<f64> {
    let mut parameters = model.parameters();
    let mut sgd = optim::build(training);
    let started = Instant::now();
    for minibatch in splits.train.minibatches(training.minibatch).take((STEP_EXAMPLES / training.minibatch) as usize) {
        let mode = Mode::Train { seed: 1, minibatch: 0 };
        let (_, gradients) = model.gradients(&minibatch.images, &minibatch.labels, mode, Objective::default());
        sgd.step(&mut parameters, &gradients);
    }
    Ok(started.elapsed().as_secs_f64())
}

/// A training step in seconds takes this many times less than a round of [`steps`].
pub fn per_step(training: &Training) -> f64 {
    1.0 / (STEP_EXAMPLES / training.minibatch) as f64
}

/// Seconds of a training run of `experiment` from its first parameters, evaluations included.
pub fn train(experiment: &Experiment, splits: &Splits) -> Result<f64> {
    let model = model::build(&experiment.model, splits.train.image(), CLASSES.len() as i64, 1, Device::Cpu)?;
    let started = Instant::now();
    fit(&*model, splits, experiment.training()?, 1, State::new(experiment.training()?), &mut ())?;
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds per trial of [`train`] where every core trains one of its own.
pub fn train_side_by_side(experiment: &Experiment, splits: &Splits, cores: usize) -> Result<f64> {
    let started = Instant::now();
    side_by_side((0..cores).map(|_| splits.share()).collect(), cores, |splits: Splits| train(experiment, &splits))?;
    Ok(started.elapsed().as_secs_f64() / cores as f64)
}

/// Seconds of every round: ours first, then each peer's. The first round of each warms up and does not count.
pub fn alternate(rounds: usize, mut ours: impl FnMut() -> Result<f64>, peers: &mut [&mut Peer]) -> Result<Vec<Vec<f64>>> {
    let mut seconds = vec![Vec::new(); peers.len() + 1];
    for round in 0..=rounds {
        let mut times = vec![ours()?];
        for peer in peers.iter_mut() {
            times.push(peer.round()?);
        }
        if round > 0 {
            seconds.iter_mut().zip(times).for_each(|(seconds, time)| seconds.push(time));
        }
    }
    Ok(seconds)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians and their ratios, as Markdown.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// `peers`: the headings of the ratios.
    pub fn new(peers: &[&str]) -> Table {
        let heading: Vec<String> = ["", "ours"].iter().chain(peers).map(|&heading| heading.to_owned()).collect();
        let rule = (0..heading.len()).map(|column| if column == 0 { "---" } else { "---:" }.to_owned()).collect();
        Table { rows: vec![heading, rule] }
    }

    /// A row from what [`alternate`] measured, with an empty cell for a peer without rounds; `factor` turns seconds into `unit`.
    pub fn add(&mut self, what: &str, factor: f64, unit: &str, seconds: &[Vec<f64>]) {
        let ours = median(seconds[0].clone()) * factor;
        let mut row = vec![what.to_owned(), format!("{} {unit}", three_digits(ours))];
        row.extend(seconds[1..].iter().map(|seconds| {
            let theirs = if seconds.is_empty() { return String::new() } else { median(seconds.clone()) * factor };
            format!("{} {unit}, {:.2}x", three_digits(theirs), theirs / ours)
        }));
        row.resize(self.rows[0].len(), String::new());
        reproduction::tell!("{}", row.join(" | "));
        self.rows.push(row);
    }

    /// A row of ours alone.
    pub fn floor(&mut self, what: &str, value: f64, unit: &str) {
        let mut row = vec![what.to_owned(), format!("{} {unit}", three_digits(value))];
        row.resize(self.rows[0].len(), String::new());
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        self.rows.iter().try_for_each(|row| writeln!(formatter, "| {} |", row.join(" | ")))
    }
}

fn three_digits(value: f64) -> String {
    let decimals = (2 - value.abs().log10().floor() as i64).clamp(0, 6) as usize;
    format!("{value:.decimals$}")
}

/// The data set as raw IDX files, for a peer to read.
fn write_idx(digits: &DataSet) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for (prefix, examples) in [("train", Some(&digits.train)), ("t10k", digits.test.as_ref())] {
        let Examples { images, labels } = examples.context("the test images have labels")?;
        let images = images.squeeze_dim(1);
        write_tensor(&folder.path().join(format!("{prefix}-images-idx3-ubyte")), &images)?;
        write_tensor(&folder.path().join(format!("{prefix}-labels-idx1-ubyte")), &labels.to_kind(Kind::Uint8))?;
    }
    Ok(folder)
}

/// IDX: two zero bytes, 8 for unsigned bytes, the number of dimensions, each as big-endian u32, the values.
fn write_tensor(path: &Path, tensor: &Tensor) -> Result<()> {
    let size = tensor.size();
    let mut bytes = vec![0, 0, 8, size.len() as u8];
    size.iter().for_each(|length| bytes.extend((*length as u32).to_be_bytes()));
    bytes.extend(Vec::<u8>::try_from(tensor.flatten(0, -1))?);
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
