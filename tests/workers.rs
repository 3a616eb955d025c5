//! Several workers on one list of trials: none lost, none twice, and together what one alone would have come to.
//!
//! The long version has 10,000 trials, 100 workers and several hundred kills:
//! `TRIALS=10000 WORKERS=100 cargo test --test workers killed -- --nocapture`.

#![cfg(unix)]

mod common;

use common::{Scratch, error_of, example, few_digits};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use reproduction::results::{Appender, Identified, read_all};
use reproduction::shard::Shard;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A trial that only takes a moment.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Moment {
    id: String,
    value: f64,
}

impl Identified for Moment {
    fn id(&self) -> String {
        self.id.clone()
    }
}

fn moment(place: usize) -> Moment {
    Moment { id: format!("{place:06}"), value: (place as f64).sqrt() }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// No test, but what a worker does: this program starts itself with these variables.
#[test]
#[ignore = "a worker, started by the test below"]
fn worker() -> anyhow::Result<()> {
    let folder = std::env::var("WORKER_FOLDER")?;
    let (folder, shard) = (Path::new(&folder), std::env::var("WORKER_SHARD")?.parse::<Shard>()?);
    let finished: Vec<Moment> = read_all(folder)?;
    let mut appender = Appender::new(folder);
    for place in (0..number("TRIALS", 0)).filter(|place| shard.takes(*place)) {
        let trial = moment(place);
        if finished.binary_search_by(|known| known.id.cmp(&trial.id)).is_err() {
            std::thread::sleep(Duration::from_micros(200));
            appender.append(&trial)?;
        }
    }
    Ok(())
}

#[test]
fn killed_workers_lose_nothing_and_do_nothing_twice() -> anyhow::Result<()> {
    let (trials, workers) = (number("TRIALS", 1_000), number("WORKERS", 20));
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos() as u64;
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(), [5; 8], [5; 8], [5; 8]].concat());
    let scratch = tempfile::tempdir()?;
    let start = |index: usize, life: Duration| -> anyhow::Result<(usize, Child, Instant)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", "worker", "--ignored"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("WORKER_FOLDER", scratch.path()).env("WORKER_SHARD", format!("{index}/{workers}")).env("TRIALS", trials.to_string());
        Ok((index, command.spawn()?, Instant::now() + life))
    };
    let started = Instant::now();
    // Eight at a time; each is killed after a random time, twice as long in each of its lives, until it ends by itself.
    let mut waiting: Vec<usize> = (0..workers).rev().collect();
    let mut running: Vec<(usize, Child, Instant)> = Vec::new();
    let (mut lives, mut kills) = (vec![0_u32; workers], 0);
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < 8
            && let Some(index) = waiting.pop()
        {
            let life = Duration::from_micros(u64::from(10_000 + random.next_u32() % 90_000)) * 2_u32.pow(lives[index]);
            lives[index] += 1;
            running.push(start(index, life)?);
        }
        let mut still = Vec::new();
        for (index, mut child, end) in running {
            if let Some(status) = child.try_wait()? {
                assert!(status.success(), "seed {seed}: worker {index}: {status}");
            } else if Instant::now() > end {
                child.kill()?;
                if !child.wait()?.success() {
                    kills += 1;
                    waiting.insert(0, index);
                }
            } else {
                still.push((index, child, end));
            }
        }
        running = still;
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = started.elapsed();

    let reading = Instant::now();
    let merged: Vec<Moment> = read_all(scratch.path())?;
    let read = reading.elapsed();
    assert!(kills > workers / 2, "seed {seed}: only {kills} kills");
    assert_eq!(merged, (0..trials).map(moment).collect::<Vec<_>>(), "seed {seed}: none is lost");
    let mut lines = 0;
    for entry in fs::read_dir(scratch.path())? {
        lines += fs::read_to_string(entry?.path())?.lines().filter(|line| serde_json::from_str::<Moment>(line).is_ok()).count();
    }
    assert_eq!(lines, trials, "seed {seed}: none is done twice");
    println!(
        "{trials} trials, {workers} workers, {kills} kills in {:.0} s: none lost, none twice; read in {:.3} s",
        took.as_secs_f64(),
        read.as_secs_f64()
    );
    Ok(())
}

fn fig1(scratch: &Scratch, flags: &[&str]) -> Output {
    let short = ["--limit", "300", "--epochs", "2", "--seeds", "2", "--variant", "glorot", "--variant", "zero"];
    // As many threads whatever the machine. A share of one trial would be given more of them, if the whole list did not decide.
    let mut command = example("fig1_init");
    command.env("OMP_NUM_THREADS", "2");
    scratch.in_here(command.args(short).args(flags).arg("--data").arg(few_digits())).output().expect("runs")
}

fn succeed(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    said
}

#[test]
fn shares_put_together_are_what_one_run_comes_to() {
    let (alone, shared) = (Scratch::new(), Scratch::new());
    succeed(fig1(&alone, &[]));
    let early = fig1(&shared, &["--merge"]);
    assert!(error_of(&early).contains("4 of 4 trials have no result yet, glorot seed 1"), "{}", error_of(&early));
    for share in ["2/3", "0/3", "1/3"] {
        let said = succeed(fig1(&shared, &["--shard", share]));
        assert!(said.contains(&format!("share {share} is trained")) && !shared.path("plots/fig1_init.csv").exists(), "{said}");
    }
    let again = succeed(fig1(&shared, &["--shard", "0/3"]));
    assert!(again.contains("4 of 4 trials were finished before"), "{again}");
    succeed(fig1(&shared, &["--merge"]));
    let read = |scratch: &Scratch, name: &str| fs::read(scratch.path(&format!("plots/{name}"))).expect("written");
    assert_eq!(read(&alone, "fig1_init.csv"), read(&shared, "fig1_init.csv"));
    succeed(fig1(&alone, &["--merge"]));
    assert_eq!(read(&alone, "fig1_init_trials.csv"), read(&shared, "fig1_init_trials.csv"));
    let trials = String::from_utf8(read(&shared, "fig1_init_trials.csv")).expect("text");
    let heading = "trial,variant,seed,model.initialization,epochs,best_epoch,best_validation_accuracy,validation_accuracy,";
    assert!(trials.starts_with(heading) && trials.lines().count() == 5, "{trials}");

    // On another machine, with nothing but what the workers appended.
    let carried = Scratch::new();
    let (from, to) = (shared.path("runs/fig1_init/results"), carried.path("runs/fig1_init/results"));
    fs::create_dir_all(&to).expect("made");
    for entry in fs::read_dir(from).expect("listed").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    succeed(fig1(&carried, &["--merge"]));
    assert_eq!(read(&alone, "fig1_init.csv"), read(&carried, "fig1_init.csv"));

    // Results of another version of the program are no results of this one, and do not stand in their way.
    for entry in fs::read_dir(&to).expect("listed").flatten() {
        let text = fs::read_to_string(entry.path()).expect("read");
        let (before, after) = text.split_once("\"code\":\"").expect("a digest");
        fs::write(entry.path(), format!("{before}\"code\":\"0{after}")).expect("written");
    }
    assert!(error_of(&fig1(&carried, &["--merge"])).contains("trials have no result yet"));
    succeed(fig1(&carried, &[]));
    succeed(fig1(&carried, &["--merge"]));
    assert_eq!(read(&alone, "fig1_init.csv"), read(&carried, "fig1_init.csv"));
}

#[test]
fn a_task_of_a_slurm_array_takes_its_share_where_it_is_told_to() {
    let scratch = Scratch::new();
    let task = |id: &str, flags: &[&str]| {
        let mut command = example("fig1_init");
        command.env("SLURM_ARRAY_TASK_ID", id).env("SLURM_ARRAY_TASK_COUNT", "4").env("SLURM_ARRAY_TASK_MIN", "1");
        command.args(["--limit", "300", "--epochs", "1", "--seeds", "1", "--variant", "glorot", "--variant", "zero"]);
        scratch.in_here(command.args(flags).arg("--data").arg(few_digits())).output().expect("runs")
    };
    let said = succeed(task("2", &["--shard", "slurm"]));
    assert!(said.contains("share 1/4 is trained"), "{said}");
    let said = succeed(task("3", &["--shard", "slurm"]));
    assert!(said.contains("NOTHING WAS TRAINED") && said.contains("share 2/4 is empty"), "{said}");
    assert!(error_of(&task("7", &["--shard", "slurm"])).contains("its tasks are not numbered evenly; use --array=0-3"));
    // A task with a seed of its own is a whole run.
    let said = succeed(task("2", &["--seed", "2"]));
    assert!(scratch.path("plots/fig1_init.csv").exists() && !said.contains("share"), "{said}");
    let outside = scratch.in_here(example("fig1_init").env_remove("SLURM_ARRAY_TASK_ID").args(["--shard", "slurm"])).output();
    let outside = outside.expect("runs");
    assert!(error_of(&outside).contains("no task of a Slurm job array") && outside.status.code() == Some(2));
    let refused = scratch.in_here(example("fig1_init").args(["--shard", "4/4"])).output().expect("runs");
    assert!(error_of(&refused).contains("there is no share 4 of 4, expected 0 to 3") && refused.status.code() == Some(2));
}
