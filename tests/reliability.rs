//! Runs that are killed, interrupted, damaged or out of room end where the uninterrupted run does: to the last bit, as a user sees it.
//!
//! `cargo test --test reliability` is short. The long version kills 200 times and takes a quarter of an hour:
//! `KILLS=200 cargo test --test reliability killed -- --nocapture`.

#![cfg(unix)]

mod common;

use common::{Scratch, error_of, example, few_images};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use reproduction::files::sha256_of;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A folder with experiments of its own: those of the project, but for three that are small and keep where they stand at every minibatch.
struct Laboratory(Scratch);

const MLP: (&str, &str) = (
    "fig1_init",
    r#"
    run = ["glorot"]
    seeds = 1
    checkpoint_seconds = 0
    split = { validation = "last", validation_examples = 300, limit = 600 }
    model = { hidden = [16, 16], initialization = "glorot" }
    training = { epochs = 12, minibatch = 50, learning_rate = 0.1, order = "shuffled" }
    [variants.glorot]
    "#,
);
const CNN: (&str, &str) = (
    "fig9_cnn",
    r#"
    run = ["cnn"]
    seeds = 2
    checkpoint_seconds = 0
    split = { validation = "random", validation_examples = 300, limit = 600 }
    model = { initialization = "kaiming_uniform", layers = [{ convolution = 4 }, "max_pool", { fully_connected = 10 }] }
    training = { epochs = 8, minibatch = 50, learning_rate = 0.05, momentum = 0.9, order = "shuffled" }
    [variants.cnn]
    "#,
);
const VGG: (&str, &str) = (
    "kaggle_vgg",
    r#"
    run = ["vgg"]
    seeds = 1
    checkpoint_seconds = 0
    split = { validation = "random", validation_share = 0.2, limit = 320 }
    normalization = { mean = [0.5, 0.5, 0.5], deviation = [0.3, 0.3, 0.3] }
    augmentation = { rotation = 10, flip = 0.5, crop_scale = [0.8, 1], crop_ratio = [0.75, 1.3], brightness = 0.2, contrast = 0.2, saturation = 0.2, hue = 0.05, grayscale = 0.2 }
    [model]
    initialization = "glorot"
    bias_initialization = "kaiming_uniform"
    layers = [{ convolution = 4 }, "max_pool", { convolution = 4 }, "max_pool", { fully_connected = 8 }, { dropout = 0.4 }, { fully_connected = 2 }]
    [training]
    epochs = 12
    minibatch = 32
    learning_rate = 0.05
    momentum = 0.9
    momentum_form = "rate_inside"
    weight_decay = 1e-3
    order = "shuffled"
    keep = "best"
    reduce_on_plateau = { factor = 0.5, patience = 0, threshold = 0.1 }
    early_stopping = { patience = 8 }
    [variants.vgg]
    "#,
);

impl Laboratory {
    fn new() -> Laboratory {
        let scratch = Scratch::new();
        scratch.experiments(&[MLP, CNN, VGG]);
        Laboratory(scratch)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// The example, on drawn data, with one thread, which is to write into `folder`.
    fn command(&self, name: &str, folder: &str) -> Command {
        self.command_on(&few_images(name), name, folder)
    }

    fn command_on(&self, data: &Path, name: &str, folder: &str) -> Command {
        let mut command = example(name);
        command.current_dir(self.path("")).arg("--data").arg(data).arg("--resume");
        command.arg("--out").arg(self.path(folder).join("plots")).arg("--runs").arg(self.path(folder).join("runs"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Whatever this test was started by: nohup, for example, hands down that SIGHUP is ignored.
        // SAFETY: the call is allowed between fork and exec.
        unsafe {
            command.pre_exec(|| {
                for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGXCPU] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        command
    }

    /// The checksums of every trial's result.
    fn results(&self, name: &str, folder: &str) -> Vec<(String, String)> {
        let mut results = Vec::new();
        for trial in fs::read_dir(self.path(folder).join("runs").join(name)).expect("there are runs") {
            let trial = trial.expect("readable").path();
            let sum = |file: &str| {
                sha256_of(File::open(trial.join(file)).unwrap_or_else(|_| panic!("{file} in {}", trial.display()))).expect("read")
            };
            results.push((
                trial.file_name().expect("a name").to_string_lossy().into_owned(),
                sum("parameters.safetensors") + &sum("history.csv"),
            ));
            assert!(!trial.join("checkpoints").exists(), "what is no longer needed is removed");
            let left = fs::read_dir(&trial).expect("listed").flatten().filter(|file| file.file_name().to_string_lossy().starts_with('.'));
            assert_eq!(left.count(), 0, "nothing half-written is left");
        }
        results.sort();
        results
    }

    /// The results of a run that nothing disturbs, after how long it first kept where it stood, and how long it took.
    fn undisturbed(&self, name: &str) -> (Vec<(String, String)>, Duration, Duration) {
        let started = Instant::now();
        let running = self.begun(name, "undisturbed");
        let begun = started.elapsed();
        let output = running.output();
        assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
        (self.results(name, "undisturbed"), begun, started.elapsed())
    }

    /// Starts a run and waits until it has kept where it stands.
    fn begun(&self, name: &str, folder: &str) -> Running {
        self.begun_by(self.command(name, folder), name, folder)
    }

    fn begun_by(&self, mut command: Command, name: &str, folder: &str) -> Running {
        let running = Running(command.spawn().expect("starts"));
        let started = Instant::now();
        while self.checkpoints(name, folder).is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "no checkpoint after a minute");
            sleep(Duration::from_millis(2));
        }
        running
    }

    fn checkpoints(&self, name: &str, folder: &str) -> Vec<PathBuf> {
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
        let trials = entries(&self.path(folder).join("runs").join(name));
        let all = trials.iter().flat_map(|trial| entries(&trial.join("checkpoints")));
        let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors")).collect();
        all.sort_by_key(|path| fs::metadata(path).and_then(|found| found.modified()).ok());
        all
    }
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn signal(&self, signal: i32) {
        // SAFETY: kill only sends a signal, here to a child that was not yet waited for.
        assert_eq!(unsafe { libc::kill(self.0.id() as i32, signal) }, 0);
    }

    fn output(mut self) -> Output {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let status = self.0.wait().expect("waited for");
        let read = |stream: Option<Box<dyn std::io::Read>>| {
            let mut bytes = Vec::new();
            stream.expect("piped").read_to_end(&mut bytes).expect("read");
            bytes
        };
        Output {
            status,
            stdout: read(stdout.map(|stream| Box::new(stream) as _)),
            stderr: read(stderr.map(|stream| Box::new(stream) as _)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn killed_at_any_moment_it_ends_where_the_undisturbed_run_does() {
    let kills: usize = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(), [7; 8], [7; 8], [7; 8]].concat());
    let laboratory = Laboratory::new();
    let names = [MLP.0, CNN.0, VGG.0];
    let expected = names.map(|name| laboratory.undisturbed(name));
    let (mut done, mut runs) = (0, 0);
    // Where the killed ones stood.
    let (mut before, mut within, mut in_file) = (0, 0, 0);
    while done < kills {
        let which = runs % names.len();
        let (name, (results, begun, whole)) = (names[which], &expected[which]);
        let folder = format!("killed{runs}");
        loop {
            let mut running = Running(laboratory.command(name, &folder).spawn().expect("starts"));
            // The moments are spread over the time in which there is something to lose: from just before the first checkpoint to the end.
            let share = f64::from(random.next_u32()) / f64::from(u32::MAX);
            let wait = begun.mul_f64(0.95) + whole.saturating_sub(*begun).mul_f64(share);
            sleep(wait);
            if running.0.try_wait().expect("asked").is_some() {
                let output = running.output();
                assert!(output.status.success(), "seed {seed}, {name}: {}: {}", output.status, stderr(&output));
                break;
            }
            running.signal(libc::SIGKILL);
            drop(running);
            done += 1;
            let partial = walk(&laboratory.path(&folder)).iter().any(|path| path.to_string_lossy().contains(".partial-"));
            match (partial, laboratory.checkpoints(name, &folder).is_empty()) {
                (true, _) => in_file += 1,
                (false, false) => within += 1,
                (false, true) => before += 1,
            }
            if done >= kills {
                succeed(&mut laboratory.command(name, &folder));
                break;
            }
        }
        assert_eq!(&laboratory.results(name, &folder), results, "seed {seed}, {name}");
        fs::remove_dir_all(laboratory.path(&folder)).expect("removed");
        runs += 1;
    }
    println!(
        "{done} kills in {runs} runs, all of which ended with the undisturbed run's bytes: {within} with a checkpoint to go on from, {in_file} while a file was written, {before} before or after"
    );
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder).into_iter().flatten().map(|entry| entry.path().to_owned()).collect()
}

#[test]
fn a_signal_finishes_the_step_keeps_it_and_says_how_to_go_on() {
    let laboratory = Laboratory::new();
    for ((name, _), signal, code) in [(MLP, libc::SIGINT, 130), (VGG, libc::SIGTERM, 143)] {
        let (results, ..) = laboratory.undisturbed(name);
        let running = laboratory.begun(name, "stopped");
        running.signal(signal);
        if signal == libc::SIGTERM {
            // As some programs send it; only a second Ctrl-C is a person's second thought.
            sleep(Duration::from_micros(200));
            running.signal(signal);
        }
        let output = running.output();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("stopped in epoch") || said.contains("stopped after epoch"), "{said}");
        assert!(said.contains("kept in") && said.contains("--resume goes on"), "{said}");
        assert_eq!(laboratory.checkpoints(name, "stopped").len().min(2), laboratory.checkpoints(name, "stopped").len(), "two are kept");
        let said = stderr(&succeed(&mut laboratory.command(name, "stopped")));
        assert!(said.contains("going on in epoch") || said.contains("going on after epoch"), "{said}");
        assert_eq!(laboratory.results(name, "stopped"), results);
    }
}

#[test]
fn a_lost_terminal_and_a_batch_system_stop_it_as_sigterm_does() {
    let laboratory = Laboratory::new();
    let (results, ..) = laboratory.undisturbed(MLP.0);
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGXCPU] {
        let folder = format!("stopped{signal}");
        let running = laboratory.begun(MLP.0, &folder);
        running.signal(signal);
        let output = running.output();
        assert_eq!(output.status.code(), Some(128 + signal), "{}", stderr(&output));
        assert!(stderr(&output).contains("kept in") && !laboratory.checkpoints(MLP.0, &folder).is_empty(), "{}", stderr(&output));
        succeed(&mut laboratory.command(MLP.0, &folder));
        assert_eq!(laboratory.results(MLP.0, &folder), results);
    }
    // As nohup starts it.
    let mut command = laboratory.command(MLP.0, "nohup");
    // SAFETY: the call is allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    let running = laboratory.begun_by(command, MLP.0, "nohup");
    running.signal(libc::SIGHUP);
    let output = running.output();
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    assert_eq!(laboratory.results(MLP.0, "nohup"), results);
}

#[test]
fn a_reader_that_goes_away_takes_no_training_with_it() {
    let laboratory = Laboratory::new();
    let (results, ..) = laboratory.undisturbed(MLP.0);
    for (folder, signal, code) in [("unread", None, 0), ("stopped", Some(libc::SIGINT), 130)] {
        let mut running = laboratory.begun(MLP.0, folder);
        drop((running.0.stdout.take(), running.0.stderr.take()));
        signal.into_iter().for_each(|signal| running.signal(signal));
        assert_eq!(running.0.wait().expect("waited for").code(), Some(code), "{folder}");
    }
    assert_eq!(laboratory.results(MLP.0, "unread"), results);
    let mut doctor = Running(example("doctor").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"));
    drop(doctor.0.stdout.take());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut doctor.0.stderr.take().expect("piped"), &mut said).expect("read");
    assert!(!said.contains("panicked") && doctor.0.wait().expect("waited for").code() != Some(101), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_result_that_cannot_be_written_is_an_error_and_progress_is_none() {
    let laboratory = Laboratory::new();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("opened"));
    for name in ["doctor", "fig8_cnn_architecture"] {
        let mut command = example(name);
        command.current_dir(laboratory.path(""));
        let output = command.stdout(full()).output().expect("runs");
        let error = error_of(&output);
        assert!(output.status.code() == Some(1) && error.contains("cannot write to the standard output: No space left"), "{error}");
    }
    let status = laboratory.command(MLP.0, "full").stderr(full()).status().expect("runs");
    assert!(status.success(), "{status}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let laboratory = Laboratory::new();
    // Steps of several seconds.
    let slow = MLP.1.replace("[16, 16]", "[8192, 8192]").replace("minibatch = 50", "minibatch = 600");
    fs::write(laboratory.path("experiments/fig1_init.toml"), slow).expect("written");
    let running = Running(laboratory.command("fig1_init", "twice").arg("--precision").arg("f32").spawn().expect("starts"));
    let started = Instant::now();
    while !walk(&laboratory.path("twice")).iter().any(|path| path.ends_with("lock")) {
        assert!(started.elapsed() < Duration::from_secs(60), "no lock after a minute");
        sleep(Duration::from_millis(2));
    }
    running.signal(libc::SIGINT);
    sleep(Duration::from_millis(50));
    running.signal(libc::SIGINT);
    let asked = Instant::now();
    let output = running.output();
    assert_eq!(output.status.signal(), Some(libc::SIGINT), "{}", stderr(&output));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[test]
fn where_there_is_nothing_to_resume_it_says_so_and_another_experiment_is_refused() {
    let laboratory = Laboratory::new();
    let running = laboratory.begun(MLP.0, "changed");
    running.signal(libc::SIGINT);
    drop(running.output());
    let resumed = laboratory.command(MLP.0, "elsewhere").output().expect("runs");
    let said = stderr(&resumed);
    assert!(
        resumed.status.success() && said.contains("nothing to go on from for glorot seed 1 in ") && said.contains("begins anew"),
        "{said}"
    );
    let finished = stderr(&succeed(&mut laboratory.command(MLP.0, "elsewhere")));
    assert!(finished.contains("finished before") && !finished.contains("begins anew"), "{finished}");
    let without = example(MLP.0)
        .current_dir(laboratory.path(""))
        .arg("--data")
        .arg(few_images(MLP.0))
        .arg("--out")
        .arg(laboratory.path("changed/plots"))
        .arg("--runs")
        .arg(laboratory.path("changed/runs"))
        .output()
        .expect("runs");
    assert!(error_of(&without).contains("go on from there with --resume, or begin again with --fresh"), "{}", error_of(&without));
    let changed = MLP.1.replace("learning_rate = 0.1", "learning_rate = 0.2").replace("epochs = 12", "epochs = 13");
    fs::write(laboratory.path("experiments/fig1_init.toml"), changed).expect("written");
    let kept = laboratory.checkpoints(MLP.0, "changed");
    let output = laboratory.command(MLP.0, "changed").output().expect("runs");
    let error = error_of(&output);
    for part in [
        "it is of another training",
        "training.learning_rate was 0.1 and is 0.2",
        "training.epochs was 12 and is 13",
        "--fresh trains from scratch",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(error.contains(&kept.last().expect("kept").display().to_string()), "{error}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(laboratory.checkpoints(MLP.0, "changed"), kept, "nothing is lost");
    let said = stderr(&succeed(&mut without_resume(&laboratory, "changed")));
    assert!(said.contains("glorot seed 1 begins anew: the interrupted training in "), "{said}");
    assert_eq!(laboratory.checkpoints(MLP.0, "changed"), kept, "nothing is lost");
}

/// The MLP's example as [`Laboratory::command`] has it, without --resume.
fn without_resume(laboratory: &Laboratory, folder: &str) -> Command {
    let mut command = example(MLP.0);
    command.current_dir(laboratory.path("")).arg("--data").arg(few_images(MLP.0)).arg("--out");
    command.arg(laboratory.path(folder).join("plots")).arg("--runs").arg(laboratory.path(folder).join("runs"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_training_goes_on_with_another_number_of_threads_and_says_so() {
    let laboratory = Laboratory::new();
    let running = laboratory.begun(MLP.0, "moved");
    running.signal(libc::SIGTERM);
    drop(running.output());
    let said = stderr(&succeed(laboratory.command(MLP.0, "moved").env("OMP_NUM_THREADS", "2")));
    assert!(said.contains("going on") && said.contains("threads was 1 and is 2: from here on"), "{said}");
    assert!(laboratory.checkpoints(MLP.0, "moved").is_empty(), "what is no longer needed is removed");
}

#[test]
fn an_interrupted_fresh_training_is_gone_on_with_and_not_the_result_before_it() {
    let laboratory = Laboratory::new();
    let (results, ..) = laboratory.undisturbed(MLP.0);
    let mut command = without_resume(&laboratory, "undisturbed");
    command.arg("--fresh");
    let running = laboratory.begun_by(command, MLP.0, "undisturbed");
    running.signal(libc::SIGTERM);
    drop(running.output());
    let said = stderr(&succeed(&mut laboratory.command(MLP.0, "undisturbed")));
    assert!(said.contains("going on") && !said.contains("finished before"), "{said}");
    assert_eq!(laboratory.results(MLP.0, "undisturbed"), results);
}

#[test]
fn what_another_process_finishes_meanwhile_is_not_trained_again() {
    let laboratory = Laboratory::new();
    // It trains seed 1 while another one trains seed 2, which comes next here.
    let first = laboratory.begun(CNN.0, "both");
    first.signal(libc::SIGSTOP);
    succeed(laboratory.command(CNN.0, "both").args(["--seed", "2", "--seeds", "1"]));
    let of_second = || {
        let files = walk(&laboratory.path("both/runs")).into_iter();
        let path = files.filter(|path| path.ends_with("provenance.toml")).find(|path| path.to_string_lossy().contains("-seed2-"));
        fs::read_to_string(path.expect("it is finished")).expect("read")
    };
    let finished = of_second();
    first.signal(libc::SIGCONT);
    assert!(first.output().status.success());
    assert_eq!(of_second(), finished);
}

/// A team of threads that sleeps between two operations, because there are more of them than cores, makes training slower by half.
#[test]
#[cfg(target_os = "linux")]
fn libtorch_has_one_team_of_threads_for_a_lone_trial_and_none_for_several() {
    let laboratory = Laboratory::new();
    let threads = |(name, text): (&str, &str), epochs: &str, folder: &str| {
        fs::write(laboratory.path("experiments").join(format!("{name}.toml")), text.replace(epochs, "epochs = 2000")).expect("written");
        // Files would be read by threads of their own.
        let mut command = laboratory.command_on(Path::new("embedded"), name, folder);
        command.env("OMP_NUM_THREADS", "2");
        let running = laboratory.begun_by(command, name, folder);
        fs::read_dir(format!("/proc/{}/task", running.0.id())).expect("it runs").count()
    };
    assert_eq!(threads(MLP, "epochs = 12", "lone"), 2, "the trial's, and one that helps it");
    assert_eq!(
        threads(CNN, "epochs = 8", "several"),
        3,
        "the two with which data were read, one of which trains, and one for the other trial"
    );
}

#[test]
fn two_processes_do_not_train_the_same_trial() {
    let laboratory = Laboratory::new();
    let first = laboratory.begun(VGG.0, "both");
    // Stopped, it holds the lock for as long as this test wants.
    first.signal(libc::SIGSTOP);
    let error = error_of(&laboratory.command(VGG.0, "both").output().expect("runs"));
    assert!(error.contains(&format!("is in use by process {} on ", first.0.id())) && error.contains("--runs"), "{error}");
    first.signal(libc::SIGCONT);
    assert!(first.output().status.success());
    assert_eq!(laboratory.results(VGG.0, "both"), laboratory.undisturbed(VGG.0).0);
}

#[test]
fn without_room_it_says_so_and_what_was_kept_stays() {
    let laboratory = Laboratory::new();
    let (results, ..) = laboratory.undisturbed(MLP.0);
    let running = laboratory.begun(MLP.0, "full");
    running.signal(libc::SIGTERM);
    drop(running.output());
    let kept = laboratory.checkpoints(MLP.0, "full");
    let mut command = laboratory.command(MLP.0, "full");
    // No file may become larger than 20 kB, and a write beyond that is an error, as it is on a full disk, and not a signal.
    // SAFETY: both calls are allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &libc::rlimit { rlim_cur: 20_000, rlim_max: 20_000 });
            Ok(())
        });
    }
    let output = command.output().expect("runs");
    let error = error_of(&output);
    assert_eq!(output.status.code(), Some(1));
    let last = kept.last().expect("kept").display().to_string();
    assert!(error.contains("cannot write a checkpoint into") && error.contains(&last) && error.contains("free disk space"), "{error}");
    assert_eq!(laboratory.checkpoints(MLP.0, "full"), kept);
    succeed(&mut laboratory.command(MLP.0, "full"));
    assert_eq!(laboratory.results(MLP.0, "full"), results);

    let nowhere = laboratory.command(MLP.0, "nowhere").arg("--fresh").output().expect("runs");
    assert!(error_of(&nowhere).contains("cannot be used with"), "{}", error_of(&nowhere));
    let mut command = example(MLP.0);
    command.current_dir(laboratory.path("")).args(["--data", "embedded", "--runs", "/proc/here", "--out"]).arg(laboratory.path("out"));
    assert!(error_of(&command.output().expect("runs")).contains("cannot make the folder /proc/here"));
}

#[test]
fn damaged_checkpoints_are_reported_and_the_one_before_is_used() {
    let laboratory = Laboratory::new();
    let (results, ..) = laboratory.undisturbed(CNN.0);
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().expect("not empty") ^= 1;
    let (truncate, empty) = (|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2), |bytes: &mut Vec<u8>| bytes.clear());
    type Damage<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));
    let damages: [Damage; 3] = [("flip", &flip), ("truncate", &truncate), ("empty", &empty)];
    for (folder, damage) in damages {
        let running = laboratory.begun(CNN.0, folder);
        while laboratory.checkpoints(CNN.0, folder).len() < 2 {
            sleep(Duration::from_millis(1));
        }
        running.signal(libc::SIGTERM);
        drop(running.output());
        let newest = laboratory.checkpoints(CNN.0, folder).pop().expect("kept");
        let mut bytes = fs::read(&newest).expect("read");
        damage(&mut bytes);
        fs::write(&newest, bytes).expect("written");
        let said = stderr(&succeed(&mut laboratory.command(CNN.0, folder)));
        assert!(said.contains(&format!("the checkpoint {} is damaged", newest.display())), "{folder}: {said}");
        assert_eq!(laboratory.results(CNN.0, folder), results, "{folder}");
    }
}

#[test]
fn what_diverges_is_named_with_the_last_good_checkpoint() {
    let laboratory = Laboratory::new();
    let wild = MLP.1.replace("learning_rate = 0.1", "learning_rate = 1e19").replace("hidden = [16, 16]", "hidden = [16]");
    fs::write(laboratory.path("experiments/fig1_init.toml"), wild).expect("written");
    let error = error_of(&laboratory.command(MLP.0, "wild").output().expect("runs"));
    assert!(error.contains("trial glorot seed 1") && error.contains("in epoch 1, minibatch"), "{error}");
    assert!(error.contains("of 12, at learning rate 10000000000000000000") && error.contains("fc"), "{error}");
    let kept = laboratory.checkpoints(MLP.0, "wild");
    assert!(kept.is_empty() || error.contains(&kept.last().expect("one").display().to_string()), "{error}");
}

#[test]
fn two_runs_write_the_same_bytes_deterministic_or_not() {
    let laboratory = Laboratory::new();
    let (first, ..) = laboratory.undisturbed(VGG.0);
    succeed(laboratory.command(VGG.0, "again").arg("--deterministic"));
    assert_eq!(laboratory.results(VGG.0, "again"), first);
    for file in ["kaggle_vgg.csv", "kaggle_vgg_submission.csv", "kaggle_vgg_validation.csv"] {
        let read = |folder: &str| fs::read(laboratory.path(folder).join("plots").join(file)).expect("written");
        assert_eq!(read("undisturbed"), read("again"), "{file}");
    }
}
