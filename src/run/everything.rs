//! Every example that makes a part of the report or goes beyond it, one after the other, the cheapest first.

use super::ending::EarlyExit;
use super::flags::Flags;
use super::interrupt::{self, Listening};
use super::progress::{Progress, in_words};
use super::{Run, flags, provenance};
use crate::report_card::{Contents, Program, ReportCard};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Sets everything that has a result beside the report, and writes `<out>/report_card.md` and `.html`. With `--all` or `--quick` it first
/// runs the examples that have none.
///
/// # Errors
/// If an example failed; the card of the others is written.
pub fn report_card(run: &Run) -> Result<ReportCard> {
    let Flags { all, quick, .. } = run.flags;
    let made = if all || quick { run_all(run) } else { Ok(()) };
    let (date, commit) = (provenance::date(), provenance::commit(&run.root));
    let card = ReportCard::read(&run.root.join("experiments"), &run.out(), date, commit, if quick { QUICK } else { "" })?;
    for path in card.write(&run.out())? {
        tell!("wrote {}", path.display());
    }
    made?;
    Ok(card)
}

/// Notice at the top of a quick card.
const QUICK: &str = "Quick: small networks on synthetic images, two epochs each. Shows that everything runs; no number here is a result.";

/// Runs every example that has no result yet. What fails is told, and the others are run all the same.
fn run_all(run: &Run) -> Result<()> {
    let mut programs = Contents::read(&run.root.join("experiments"))?.programs();
    let mut runs = run.flags.runs.clone();
    if run.flags.quick {
        let folder = runs.join("quick");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        runs = folder.join("runs");
        // Small, all take about as long.
        programs.iter_mut().for_each(|program| program.minutes = 0.1);
    }
    programs.retain(|program| run.flags.fresh || !run.out().join(&program.example).with_extension("csv").exists());
    let built = programs.iter().map(|program| built(&program.example)).collect::<Result<Vec<_>>>()?;
    let listening = Listening::start()?;
    let seconds = |program: &Program| (60.0 * program.minutes) as u64;
    let progress = Progress::new(programs.iter().map(seconds).sum(), run.flags.quiet);
    let mut failed = Vec::new();
    for (program, path) in programs.iter().zip(&built) {
        let Program { example, of, .. } = program;
        progress.say(format!("{example} ({of}), about {}", in_words(60.0 * program.minutes)), true);
        let log = runs.join("report_card").join(format!("{example}.log"));
        let status = run_one(&mut command(run, example, path, &runs), &log, |line| progress.say(format!("{example}: {line}"), false))?;
        if let Some(signal) = interrupt::asked() {
            drop(progress);
            bail!(EarlyExit::signal(signal, "Interrupted. What was finished is kept; the same command goes on.".to_owned()));
        }
        if !status.success() {
            failed.push(format!("{example} ({status}; see {})", log.display()));
        }
        progress.advance(seconds(program));
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

/// The program of example `name` with the flags of this command, but for those that it does not take.
fn command(run: &Run, name: &str, program: &Path, runs: &Path) -> Command {
    let Flags { quick, fresh, ref out, .. } = run.flags;
    let mut left_out = vec!["all", "quick", "resume", "quiet", "out", "runs"];
    // A search trains each setting with one seed.
    left_out.extend((name == "kaggle_search").then_some("seeds"));
    // A key of [training] would make one of what trains nothing.
    left_out.extend((!flags::trains(name)).then_some("set"));
    let mut command = Command::new(program);
    command.args(flags::taken_by(name, &left_out)).arg("--runs").arg(runs);
    command.args((flags::trains(name) && !fresh).then_some("--resume"));
    command.args(quick.then_some("--data=embedded")).args((quick && flags::has_experiment(name)).then_some("--small"));
    // Without, each example sees by itself whether its result is one for plots/.
    if quick || out.is_some() {
        command.arg("--out").arg(run.out());
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
