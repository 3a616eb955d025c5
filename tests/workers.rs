//! Several workers on one list of trials: none lost, none twice, and together what one alone would have come to.
//!
//! The long version has 10,000 trials, 100 workers and several hundred kills:
//! `TRIALS=10000 WORKERS=100 cargo test --test workers killed -- --nocapture`.

#![cfg(unix)]

mod common;

use common::{Scratch, error_of, example, few_digits};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// So many variants whose trials take a few milliseconds.
fn short(variants: usize) -> String {
    let name = |variant: usize| format!("\"v{variant}\"");
    let variant = |variant: usize| format!("[variants.v{variant}]\ntraining.learning_rate = 0.{:03}", variant + 1);
    format!(
        r#"
        run = [{}]
        split = {{ validation = "last", validation_examples = 10, limit = 20 }}
        model = {{ hidden = [2], initialization = "glorot" }}
        training = {{ epochs = 1, minibatch = 10, learning_rate = 0.1, order = "shuffled" }}
        {}
        "#,
        (0..variants).map(name).collect::<Vec<_>>().join(", "),
        (0..variants).map(variant).collect::<Vec<_>>().join("\n")
    )
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// When each trial that is finished was, by its folder; of those in `known` it is not asked again.
fn finished(scratch: &Scratch, known: &BTreeMap<PathBuf, SystemTime>) -> BTreeMap<PathBuf, SystemTime> {
    let folders = fs::read_dir(scratch.path("runs/fig1_init")).into_iter().flatten().flatten().map(|entry| entry.path());
    let date = |folder: &PathBuf| fs::metadata(folder.join("provenance.toml")).and_then(|file| file.modified()).ok();
    folders.filter(|folder| !known.contains_key(folder)).filter_map(|folder| Some((folder.clone(), date(&folder)?))).collect()
}

#[test]
fn killed_workers_lose_nothing_and_do_nothing_twice() -> anyhow::Result<()> {
    let (trials, workers) = (number("TRIALS", 200), number("WORKERS", 10));
    // No variant may have more than a thousand seeds.
    let variants = trials.div_ceil(1_000);
    let (seeds, trials) = (trials / variants, trials / variants * variants);
    let seed = SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos() as u64;
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(), [5; 8], [5; 8], [5; 8]].concat());
    let scratch = Scratch::new();
    scratch.experiments(&[("fig1_init", &short(variants))]);
    let command = |flags: &[&str]| {
        let mut command = example("fig1_init");
        command.current_dir(scratch.path("")).arg("--data").arg(few_digits());
        scratch.in_here(&mut command).args(["--quiet", "--seeds", &seeds.to_string()]).args(flags);
        command
    };
    let start = |index: usize, life: Duration| -> anyhow::Result<(usize, Child, Instant)> {
        let mut command = command(&["--shard", &format!("{index}/{workers}")]);
        Ok((index, command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?, Instant::now() + life))
    };
    let started = Instant::now();
    // Eight at a time; each is killed after a random time, twice as long in each of its lives, until it ends by itself.
    let mut waiting: Vec<usize> = (0..workers).rev().collect();
    let mut running: Vec<(usize, Child, Instant)> = Vec::new();
    let (mut lives, mut kills, mut dates) = (vec![0_u32; workers], 0, BTreeMap::new());
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < 8
            && let Some(index) = waiting.pop()
        {
            let life = Duration::from_millis(u64::from(200 + random.next_u32() % 1_800)) * 2_u32.pow(lives[index]);
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
                dates.extend(finished(&scratch, &dates));
            } else {
                still.push((index, child, end));
            }
        }
        running = still;
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = started.elapsed();

    let merging = Instant::now();
    succeed(command(&["--merge"]).output()?);
    let merged = merging.elapsed();
    assert!(kills > workers / 2, "seed {seed}: only {kills} kills");
    let lines = fs::read_to_string(scratch.path("plots/fig1_init_trials.csv"))?.lines().count();
    assert_eq!(lines, 1 + trials, "seed {seed}: none is lost");
    let at_end = finished(&scratch, &BTreeMap::new());
    assert_eq!(at_end.len(), trials, "seed {seed}: each has one folder");
    assert!(!dates.is_empty() && dates.iter().all(|(folder, date)| at_end[folder] == *date), "seed {seed}: none is done twice");
    let is_partial = |path: &Path| path.to_string_lossy().contains(".partial-");
    assert!(!walkdir::WalkDir::new(scratch.path("runs")).into_iter().flatten().any(|entry| is_partial(entry.path())), "seed {seed}");
    println!(
        "{trials} trials, {workers} workers, {kills} kills in {:.0} s: none lost, none twice; merged in {:.1} s",
        took.as_secs_f64(),
        merged.as_secs_f64()
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

    let mut folders = fs::read_dir(shared.path("runs/fig1_init")).expect("listed").flatten().map(|folder| folder.file_name());
    let ids: Vec<&str> = trials.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert!(folders.all(|folder| ids.iter().any(|id| folder.to_string_lossy().ends_with(&format!("-{id}")))), "{ids:?}");

    // On another machine, with all but the networks.
    let carried = Scratch::new();
    let to = carried.path("runs/fig1_init");
    for folder in fs::read_dir(shared.path("runs/fig1_init")).expect("listed").flatten() {
        let to = to.join(folder.file_name());
        fs::create_dir_all(&to).expect("made");
        for name in ["history.csv", "provenance.toml"] {
            fs::copy(folder.path().join(name), to.join(name)).expect("copied");
        }
    }
    succeed(fig1(&carried, &["--merge"]));
    assert_eq!(read(&alone, "fig1_init.csv"), read(&carried, "fig1_init.csv"));

    // Results of another version of the program are no results of this one, and do not stand in their way.
    for folder in fs::read_dir(&to).expect("listed").flatten() {
        let path = folder.path().join("provenance.toml");
        let text = fs::read_to_string(&path).expect("read");
        let (before, after) = text.split_once("code = \"").expect("a digest");
        fs::write(&path, format!("{before}code = \"0{after}")).expect("written");
    }
    assert!(error_of(&fig1(&carried, &["--merge"])).contains("trials have no result yet"));
    succeed(fig1(&carried, &[]));
    succeed(fig1(&carried, &["--merge"]));
    assert_eq!(read(&alone, "fig1_init.csv"), read(&carried, "fig1_init.csv"));

    // A damaged file is named, and nothing is trained over it.
    let damaged = fs::read_dir(&to).expect("listed").flatten().next().expect("a trial").path();
    fs::write(damaged.join("history.csv"), "epoch,split,metric,value\n1,test").expect("written");
    for flags in [&["--merge"][..], &[]] {
        let error = error_of(&fig1(&carried, flags));
        assert!(error.contains(&format!("{} is not whole; remove that folder to train it anew", damaged.display())), "{error}");
    }
}

#[test]
fn a_trial_that_is_trained_with_other_threads_takes_the_place_of_none() {
    let scratch = Scratch::new();
    let run = |seeds: &str| {
        let mut command = example("fig1_init");
        command.env("OMP_NUM_THREADS", "2").args(["--limit", "300", "--epochs", "2", "--variant", "glorot", "--seeds", seeds]);
        succeed(scratch.in_here(command.arg("--data").arg(few_digits())).output().expect("runs"))
    };
    // Two trials at once have one thread each, a lone one has both.
    run("2");
    let two = finished(&scratch, &BTreeMap::new());
    assert!(!run("1").contains("finished before"));
    let three = finished(&scratch, &BTreeMap::new());
    assert!(three.len() == 3 && two.iter().all(|(folder, date)| three[folder] == *date), "{two:?} {three:?}");
    assert!(run("2").contains("2 of 2 trials were finished before") && run("1").contains("1 of 1 trials were finished before"));
    assert_eq!(finished(&scratch, &BTreeMap::new()), three);
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
