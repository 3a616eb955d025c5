//! Every example that makes a part of the report or goes beyond it, one after the other, the cheapest first.

use super::early::Early;
use super::interrupt::{self, Listening};
use super::progress::{Display, rounded};
use super::{Run, flags, provenance};
use crate::experiment::{ExperimentFile, read_extended};
use crate::files::write_whole;
use crate::report_card::{Contents, Program, ReportCard};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use toml::{Table, Value};

/// Sets everything that has a result beside the report, and writes `<out>/report_card.md` and `.html`. With `--all` or `--quick` it first
/// runs the examples that have none.
///
/// # Errors
/// If an example failed; the card of the others is written.
pub fn report_card(run: &Run) -> Result<ReportCard> {
    let folders = Folders::new(run)?;
    let made = if run.flags.all || run.flags.quick { run_all(run, &folders) } else { Ok(()) };
    let (date, commit) = (provenance::date(), provenance::commit(&run.root));
    let mark = if run.flags.quick { QUICK } else { "" };
    let card = ReportCard::read(&folders.root.join("experiments"), &folders.out, date, commit, mark)?;
    for path in card.write(&folders.out)? {
        tell!("wrote {}", path.display());
    }
    made?;
    Ok(card)
}

/// Notice at the top of a quick card.
const QUICK: &str = "Quick: small networks on drawn stand-ins, two epochs each. Shows that everything runs; no number here is a result.";

/// Where everything is read and written.
struct Folders {
    /// Where the examples run: it holds `experiments/`.
    root: PathBuf,
    out: PathBuf,
    runs: PathBuf,
}

impl Folders {
    /// Those of `run`; with `--quick` folders of their own, with small experiments, below that of runs.
    fn new(run: &Run) -> Result<Folders> {
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
fn run_all(run: &Run, folders: &Folders) -> Result<()> {
    let mut programs = Contents::read(&run.root.join("experiments"))?.programs();
    if run.flags.quick {
        // Small, all take about as long.
        programs.iter_mut().for_each(|program| program.minutes = 0.1);
    }
    programs.retain(|program| run.flags.fresh || !folders.out.join(&program.example).with_extension("csv").exists());
    let built = programs.iter().map(|program| built(&program.example)).collect::<Result<Vec<_>>>()?;
    let listening = Listening::start()?;
    let seconds = |program: &Program| (60.0 * program.minutes) as u64;
    let display = Display::new(programs.iter().map(seconds).sum(), run.flags.quiet);
    let mut failed = Vec::new();
    for (program, path) in programs.iter().zip(&built) {
        let Program { example, of, .. } = program;
        let time = humantime::format_duration(rounded(Duration::from_secs(seconds(program))));
        display.say(format!("{example} ({of}), about {time}"), true);
        let log = folders.runs.join("report_card").join(format!("{example}.log"));
        let status = run_one(&mut command(path, folders, run), &log, |line| display.say(format!("{example}: {line}"), false))?;
        if let Some(signal) = interrupt::asked() {
            drop(display);
            bail!(Early::signal(signal, "Interrupted. What was finished is kept; the same command goes on."));
        }
        if !status.success() {
            failed.push(format!("{example} ({status}; see {})", log.display()));
        }
        display.advance(seconds(program));
    }
    drop((display, listening));
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

/// An example with the flags of this command, but for those that it does not take.
fn command(program: &Path, folders: &Folders, run: &Run) -> Command {
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    // What is wrong with an experiment, its example says.
    let file = ExperimentFile::read(&folders.root.join("experiments").join(format!("{name}.toml")));
    let is_search =
        file.is_ok_and(|file| file.resolve(&file.default_variants()[0], &Table::new()).is_ok_and(|variant| variant.search.is_some()));
    let mut left_out = vec!["all", "quick", "resume", "quiet", "out", "runs"];
    left_out.extend(is_search.then_some("seeds"));
    // A key of [training] would make one of what trains nothing.
    left_out.extend((!flags::trains(&name)).then_some("set"));
    let flags = flags::taken_by(&name, &left_out);
    let can_resume = flags::trains(&name) && !run.flags.fresh;
    let mut command = Command::new(program);
    command.args(flags).arg("--runs").arg(&folders.runs).args(can_resume.then_some("--resume"));
    if run.flags.quick {
        command.current_dir(&folders.root).args(["--data", "embedded"]);
    }
    // Without, each example sees by itself whether its result is one for plots/.
    if run.flags.quick || run.flags.out.is_some() {
        command.arg("--out").arg(&folders.out);
    }
    command
}

/// Runs a program to its end, hands each line of its standard error to `says`, and keeps all of its output in `log`.
fn run_one(command: &mut Command, log: &Path, says: impl Fn(&str) + Send) -> Result<ExitStatus> {
    std::fs::create_dir_all(log.parent().unwrap_or(log))?;
    let mut log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let stderr = child.stderr.take().context("its output")?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                says(&line);
                // A full disk is no reason to stop the program.
                let _ = writeln!(log, "{line}");
            }
        });
        wait(&mut child)
    })
}

/// Waits for a program. A terminal's Ctrl-C reaches it by itself; another signal that asks this process to stop is handed on.
fn wait(child: &mut Child) -> Result<ExitStatus> {
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
