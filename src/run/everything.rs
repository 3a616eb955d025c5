//! Every example that makes a part of the report or goes beyond it, one after the other, the cheapest first.

use super::Run;
use super::ending::Early;
use super::interrupt::{self, Listening};
use super::trainer::rounded;
use crate::experiment::read_extended;
use crate::files::write_whole;
use crate::report_card::{Contents, Program};
use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use toml::{Table, Value};

/// What a quick card says on top.
pub(super) const QUICK: &str =
    "Quick: small networks on drawn stand-ins, two epochs each. Shows that everything runs; no number here is a result.";

/// Where everything is read and written.
pub(super) struct Folders {
    /// Where the examples run: it holds `experiments/`.
    pub root: PathBuf,
    pub out: PathBuf,
    pub runs: PathBuf,
}

impl Folders {
    /// Those of `run`; with `--quick` folders of their own, with small experiments, below that of runs.
    pub fn new(run: &Run) -> Result<Folders> {
        let (out, here) = (std::path::absolute(run.out())?, std::path::absolute(&run.flags.runs)?);
        if !run.flags.quick {
            return Ok(Folders { root: run.root.clone(), out, runs: here });
        }
        let root = here.join("quick");
        if root.exists() {
            std::fs::remove_dir_all(&root).with_context(|| format!("cannot empty {}", root.display()))?;
        }
        copy_small(&run.root.join("experiments"), &root.join("experiments"))?;
        Ok(Folders { out, runs: root.join("runs"), root })
    }
}

/// Runs every example that has no result yet. What fails is told, and the others are run all the same.
///
/// # Errors
/// If an example is not built, or one of them failed.
pub(super) fn run_all(run: &Run, folders: &Folders) -> Result<()> {
    let mut programs = Contents::read(&run.root.join("experiments"))?.programs();
    if run.flags.quick {
        // Small, all take about as long.
        programs.iter_mut().for_each(|program| program.minutes = 0.1);
    }
    programs.retain(|program| run.flags.fresh || !folders.out.join(&program.example).with_extension("csv").exists());
    let built = programs.iter().map(|program| built(&program.example)).collect::<Result<Vec<_>>>()?;
    let listening = Listening::start()?;
    let progress = Progress::new(&programs, run.flags.quiet);
    let mut failed = Vec::new();
    for (program, path) in programs.iter().zip(&built) {
        progress.begin(program);
        let log = folders.runs.join("report_card").join(format!("{}.log", program.example));
        let status = run_one(&mut command(path, folders, run), &log, |line| progress.says(program, line))?;
        if let Some(signal) = interrupt::asked() {
            drop(progress);
            bail!(Early::signal(signal, "Interrupted. What was finished is kept; the same command goes on."));
        }
        if !status.success() {
            failed.push(format!("{} ({status}; see {})", program.example, log.display()));
        }
        progress.end(program);
    }
    drop((progress, listening));
    let (count, all) = (failed.len(), programs.len());
    ensure!(failed.is_empty(), "{count} of {all} examples failed: {}", failed.join(", "));
    Ok(())
}

/// The built example `name`, beside this one; built by Cargo, where Cargo has started this program and it is not there.
fn built(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !path.exists()
        && let Some(cargo) = std::env::var_os("CARGO")
    {
        let is_release = own.components().any(|part| part.as_os_str() == "release");
        let status = Command::new(cargo).args(["build", "--examples"]).args(is_release.then_some("--release")).status()?;
        ensure!(status.success(), "the examples cannot be built; what Cargo says stands above");
    }
    ensure!(path.exists(), "{} is not built: cargo build --examples, with the profile of this program", path.display());
    Ok(path)
}

/// An example with the flags of this command, but for those that only this example has.
fn command(program: &Path, folders: &Folders, run: &Run) -> Command {
    let mut flags = Vec::new();
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        match flag.as_str() {
            "--all" | "--quick" | "--resume" | "--quiet" => {}
            "--out" | "--runs" => drop(given.next()),
            other if other.starts_with("--out=") || other.starts_with("--runs=") => {}
            _ => flags.push(flag),
        }
    }
    let is_fresh = flags.iter().any(|flag| flag == "--fresh");
    let mut command = Command::new(program);
    command.args(flags).arg("--runs").arg(&folders.runs).args((!is_fresh).then_some("--resume"));
    if run.flags.quick {
        command.current_dir(&folders.root).args(["--data", "embedded"]);
    }
    // Without, each example sees by itself whether its result is one for plots/.
    if run.flags.quick || run.flags.out.is_some() {
        command.arg("--out").arg(&folders.out);
    }
    command
}

/// Runs a program to its end, hands each line that it says to `says`, and keeps all of them in `log`.
fn run_one(command: &mut Command, log: &Path, says: impl Fn(&str) + Send + Sync) -> Result<ExitStatus> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().map_err(|error| anyhow::anyhow!("cannot start {}: {error}", command.get_program().display()))?;
    let (stdout, stderr) = (child.stdout.take().context("its output")?, child.stderr.take().context("its output")?);
    let lines = Mutex::new(Vec::new());
    let keep = |line: String| lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line);
    let status = std::thread::scope(|scope| {
        scope.spawn(|| BufReader::new(stdout).lines().map_while(Result::ok).for_each(keep));
        scope.spawn(|| {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                says(&line);
                keep(line);
            }
        });
        wait(child)
    });
    let lines = lines.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    write_whole(log, (lines.join("\n") + "\n").as_bytes())?;
    status
}

/// Waits for a program. A terminal's Ctrl-C reaches it by itself; another signal that asks this process to stop is handed on.
fn wait(child: &mut std::process::Child) -> Result<ExitStatus> {
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        #[cfg(unix)]
        if let Some(signal) = interrupt::asked().filter(|signal| *signal != libc::SIGINT && !is_told) {
            // SAFETY: sends a signal to a child that has not been waited for, and touches no memory.
            unsafe { libc::kill(child.id() as libc::pid_t, signal) };
            is_told = true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Progress over all examples, in the seconds that they are expected to take.
struct Progress {
    bar: ProgressBar,
    started: Instant,
    /// Plain lines where there is no terminal.
    is_plain: bool,
}

impl Progress {
    fn new(programs: &[Program], quiet: bool) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let all: f64 = programs.iter().map(|program| program.minutes).sum();
        let target = if quiet || !is_terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let style = ProgressStyle::with_template("{bar:20} {percent:>3} %  {elapsed} gone  {wide_msg}");
        let bar = ProgressBar::with_draw_target(Some((60.0 * all) as u64), target);
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { bar, started: Instant::now(), is_plain: !quiet && !is_terminal }
    }

    /// What is left, at the pace so far.
    fn left(&self) -> String {
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let pace = if done > 0 { self.started.elapsed().as_secs_f64() / done as f64 } else { 1.0 };
        humantime::format_duration(rounded(Duration::from_secs_f64(pace * all.saturating_sub(done) as f64))).to_string()
    }

    fn begin(&self, program: &Program) {
        self.says(program, "");
        if self.is_plain {
            tell!("{} ({}), about {} left", program.example, program.of, self.left());
        }
    }

    fn says(&self, program: &Program, line: &str) {
        self.bar.set_message(format!("about {} left  {}: {line}", self.left(), program.example));
    }

    fn end(&self, program: &Program) {
        self.bar.inc((60.0 * program.minutes) as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Copies the experiments of a folder, with those that train made small.
fn copy_small(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_small(&path, &target)?;
            continue;
        }
        let mut bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if path.extension().is_some_and(|extension| extension == "toml") {
            let mut table = read_extended(&path)?;
            let trains = |table: &Table| table.contains_key("training") || table.contains_key("gradient_check");
            let mut variants = table.get("variants").and_then(Value::as_table).into_iter().flat_map(Table::values);
            if trains(&table) || variants.any(|variant| variant.as_table().is_some_and(trains)) {
                make_small(&mut table);
                table.entry("seeds").or_insert(Value::Integer(2));
                bytes = toml::to_string(&table)?.into_bytes();
            }
        }
        write_whole(&target, &bytes)?;
    }
    Ok(())
}

/// Fewer examples, epochs, seeds and trials, and narrow layers.
fn make_small(table: &mut Table) {
    table.remove("parameters");
    if let Some(Value::Table(split)) = table.get_mut("split") {
        split.insert("limit".to_owned(), Value::Integer(300));
    }
    for (key, value) in table.iter_mut() {
        let most = match key.as_str() {
            "epochs" | "seeds" | "trials" | "around" => 2,
            "convolution" | "residual_block" => 4,
            "group_norm" => 2,
            "fully_connected" | "hidden" => 16,
            _ => i64::MAX,
        };
        match value {
            Value::Integer(number) => *number = (*number).min(most),
            Value::Array(list) => list.iter_mut().for_each(|value| match value {
                Value::Integer(number) => *number = (*number).min(most),
                Value::Table(table) => make_small(table),
                _ => {}
            }),
            Value::Table(table) => make_small(table),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ExperimentFile;

    #[test]
    fn every_experiment_has_a_small_form() -> Result<()> {
        let (folder, experiments) = (tempfile::tempdir()?, Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments"));
        copy_small(&experiments, folder.path())?;
        for name in
            ["table2_sweep", "fig10_11_cnn_capacity", "kaggle_vgg", "kaggle_search", "fig15_vgg_sweep", "ablation_vgg", "kaggle_ahead"]
        {
            let file = ExperimentFile::read(&folder.path().join(name).with_extension("toml"))?;
            for variant in file.default_variants() {
                let experiment = file.variant(variant)?;
                assert!(experiment.training()?.epochs <= 2 && experiment.split()?.limit == Some(300), "{name}, {variant}");
                assert!(file.seeds(variant)? <= 2 && experiment.model.parameters.is_none(), "{name}, {variant}");
            }
        }
        let numbers = std::fs::read(experiments.join("reported.toml"))?;
        assert_eq!(std::fs::read(folder.path().join("reported.toml"))?, numbers, "the report's numbers are what they are");
        Ok(())
    }
}
