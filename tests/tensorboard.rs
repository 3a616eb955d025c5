//! `--tensorboard`, read back by TensorBoard's own Python package.
//!
//! Where python3 has none, it is installed once into the folder for tests' files below target/; where that fails too, what needs it is
//! skipped and says so.

mod common;

use common::{Scratch, error_of, example, few_digits};
use reproduction::history::History;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Prints what TensorBoard finds in the folder: `scalar <run> <tag> <step> <value>` and `picture <run> <tag> <step> <width> <height>
/// <file>`, with the picture's bytes in that file; the field of the run is `.` for the folder itself.
const READER: &str = r#"
import os, sys
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
folder, pictures = sys.argv[1:]
everything = {"scalars": 0, "images": 0}
multiplexer = EventMultiplexer(size_guidance=everything).AddRunsFromDirectory(folder)
multiplexer.Reload()
for run, found in sorted(multiplexer.Runs().items()):
    for tag in found["scalars"]:
        for event in multiplexer.Scalars(run, tag):
            print("scalar", run, tag, event.step, repr(event.value))
    for tag in found["images"]:
        for event in multiplexer.GetAccumulator(run).Images(tag):
            path = os.path.join(pictures, tag.replace("/", "-") + ".png")
            open(path, "wb").write(event.encoded_image_string)
            print("picture", run, tag, event.step, event.width, event.height, path)
"#;

/// python3 with the package tensorboard, as the folder that holds it where it is not python3's own; none where there is no such thing.
#[expect(clippy::print_stderr, reason = "the output of a test")]
fn package() -> Option<&'static Path> {
    static PACKAGE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let imports = |folder: &Path| {
        let tried = Command::new("python3")
            .env("PYTHONPATH", folder)
            .args(["-c", "from tensorboard.backend.event_processing import event_multiplexer"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    let find = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tensorboard-package");
        if imports(&folder) {
            return Some(folder);
        }
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"]).arg(&folder).arg("tensorboard");
        let why = match pip.output() {
            Ok(_) if imports(&folder) => return Some(folder),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => format!("python3: {error}"),
        };
        eprintln!("skipped: there is no Python package tensorboard to read events with, and it cannot be installed: {why}");
        None
    };
    PACKAGE.get_or_init(find).as_deref()
}

/// What TensorBoard finds in `folder`, as lines of fields.
fn read_back(folder: &Path, package: &Path, scratch: &Scratch) -> Vec<Vec<String>> {
    let pictures = scratch.path("pictures");
    fs::create_dir_all(&pictures).expect("made");
    let mut python = Command::new("python3");
    let output = python.env("PYTHONPATH", package).args(["-c", READER]).arg(folder).arg(&pictures).output().expect("runs");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// `[run, tag, step]` and value of every scalar, in order.
fn scalars(lines: &[Vec<String>]) -> Vec<([String; 3], f32)> {
    let scalar = |line: &Vec<String>| match &line[..] {
        [kind, run, tag, step, value] if kind == "scalar" => {
            Some(([run.clone(), tag.clone(), step.clone()], value.parse().expect("a number")))
        }
        _ => None,
    };
    let mut scalars: Vec<([String; 3], f32)> = lines.iter().filter_map(scalar).collect();
    scalars.sort_by(|one, other| one.0.cmp(&other.0));
    scalars
}

/// What `history`, of a trial that TensorBoard calls `run`, has to have written, in order.
fn expected(run: &str, history: &History, learning_rates: &[f64]) -> Vec<([String; 3], f32)> {
    let place = |tag: String, epoch: i64| [run.to_owned(), tag, epoch.to_string()];
    let record = |record: &reproduction::history::Record| {
        (place(format!("{}/{}", record.metric.name(), record.split.name()), record.epoch), record.value as f32)
    };
    let rates = learning_rates.iter().zip(1..).map(|(rate, epoch)| (place("learning_rate".to_owned(), epoch), *rate as f32));
    let mut all: Vec<([String; 3], f32)> = history.records.iter().map(record).chain(rates).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// The history of the trial kept below `runs` whose folder begins with `name`.
fn history(runs: &Path, name: &str) -> History {
    let mut folders = fs::read_dir(runs).expect("listed").flatten().map(|entry| entry.path());
    let folder = folders.find(|folder| folder.file_name().is_some_and(|own| own.to_string_lossy().starts_with(name)));
    History::read(&folder.expect("the trial's folder").join("history.csv")).expect("a history")
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    said
}

fn fig1(scratch: &Scratch, flags: &[&str]) -> Command {
    let mut command = example("fig1_init");
    command.args(["--limit", "300", "--epochs", "2", "--seeds", "2", "--variant", "glorot"]).args(flags).arg("--data").arg(few_digits());
    scratch.in_here(&mut command).arg("--tensorboard").arg(scratch.path("events"));
    command
}

/// The event files below `folder`.
fn event_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true => found.extend(event_files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn tensorboard_finds_the_history_of_every_trial_and_the_picture() {
    let scratch = Scratch::new();
    // Trained twice: nothing of the first time is left.
    run(&mut fig1(&scratch, &[]));
    run(&mut fig1(&scratch, &["--fresh"]));
    assert_eq!(event_files(&scratch.path("events")).len(), 3, "one a trial, one for the picture");
    let Some(package) = package() else { return };
    let lines = read_back(&scratch.path("events"), package, &scratch);
    let runs = scratch.path("runs/fig1_init");
    let of = |seed: u64| expected(&format!("fig1_init/glorot-seed{seed}"), &history(&runs, &format!("glorot-seed{seed}")), &[0.01; 2]);
    let all = [of(1), of(2)].concat();
    assert_eq!(all.len(), 2 * 2 * (3 * 3 + 1), "trials, epochs, splits and metrics, learning rates");
    assert_eq!(scalars(&lines), all);

    let pictures: Vec<&Vec<String>> = lines.iter().filter(|line| line[0] == "picture").collect();
    let [picture] = pictures[..] else { panic!("{pictures:?}") };
    assert_eq!(picture[1..4], ["fig1_init", "fig1_init", "0"]);
    let (seen, written) = (fs::read(&picture[6]).expect("read"), fs::read(scratch.path("plots/fig1_init.png")).expect("read"));
    let mut reader = png::Decoder::new(std::io::Cursor::new(&seen)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut pixels).expect("a picture");
    assert_eq!([frame.width.to_string(), frame.height.to_string()], picture[4..6]);
    assert!(frame.width > 100 && seen == written, "the picture is the one of --out");
}

#[test]
fn a_redrawn_picture_is_shown_and_no_scalar_is_touched() {
    let scratch = Scratch::new();
    run(&mut fig1(&scratch, &[]));
    let before = event_files(&scratch.path("events/fig1_init/glorot-seed1"));
    fs::remove_dir_all(scratch.path("events/fig1_init/glorot-seed2")).expect("removed");
    let pictures = event_files(&scratch.path("events/fig1_init")).into_iter().filter(|path| !before.contains(path));
    pictures.for_each(|path| fs::remove_file(path).expect("removed"));
    run(&mut fig1(&scratch, &["--redraw"]));
    assert_eq!(event_files(&scratch.path("events/fig1_init/glorot-seed1")), before);
    assert_eq!(event_files(&scratch.path("events")).len(), 2, "the picture's, and the trial's that was there");
}

/// A small network whose learning rate falls; stopped and resumed, its events are those of one run.
#[test]
#[cfg(unix)]
fn what_is_resumed_has_every_epoch_once_with_its_learning_rate() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};
    let scratch = Scratch::new();
    scratch.experiments(&[(
        "fig9_cnn",
        r#"
        run = ["cnn"]
        seeds = 1
        checkpoint_seconds = 0
        split = { validation = "random", validation_examples = 300, limit = 600 }
        model = { initialization = "kaiming_uniform", layers = [{ convolution = 4 }, "max_pool", { fully_connected = 10 }] }
        [training]
        epochs = 30
        minibatch = 50
        learning_rate = 0.05
        order = "shuffled"
        reduce_on_plateau = { factor = 0.5, patience = 0, threshold = 0.2 }
        [variants.cnn]
        "#,
    )]);
    let command = |folder: &str| {
        let mut command = example("fig9_cnn");
        command.current_dir(scratch.path("")).arg("--data").arg(few_digits()).arg("--resume");
        for (flag, below) in [("--out", "plots"), ("--runs", "runs"), ("--tensorboard", "events")] {
            command.arg(flag).arg(scratch.path(folder).join(below));
        }
        command
    };
    run(&mut command("whole"));

    let mut child = command("stopped").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("runs");
    // Some epochs, as each makes its event file longer.
    let (folder, started) = (scratch.path("stopped/events/fig9_cnn/cnn-seed1"), Instant::now());
    let length = || event_files(&folder).iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).sum::<u64>();
    while length() < 2_000 {
        assert!(started.elapsed() < Duration::from_secs(120), "no epoch was written");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("runs").success());
    assert_eq!(child.wait().expect("ends").code(), Some(143), "stopped before its end");
    let said = run(&mut command("stopped"));
    assert!(said.contains("going on "), "{said}");
    assert_eq!(event_files(&folder).len(), 1, "the file of the run that was stopped is gone");

    let Some(package) = package() else { return };
    let read = |folder: &str| scalars(&read_back(&scratch.path(folder).join("events"), package, &scratch));
    let whole = read("whole");
    assert_eq!(read("stopped"), whole);
    let rates: Vec<f32> = whole.iter().filter(|(place, _)| place[1] == "learning_rate").map(|(_, rate)| *rate).collect();
    assert_eq!(rates.len(), 30);
    assert!(rates.contains(&0.05) && rates.iter().any(|rate| *rate < 0.05), "it falls: {rates:?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_anything_is_trained() {
    let scratch = Scratch::new();
    fs::write(scratch.path("events"), "a file").expect("written");
    let error = error_of(&fig1(&scratch, &[]).output().expect("runs"));
    let folder = scratch.path("events").join("fig1_init");
    assert!(error.contains(&format!("cannot write into {}; choose another folder", folder.display())), "{error}");
    // And where it is only the place of one trial, the last.
    fs::remove_file(scratch.path("events")).expect("removed");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("glorot-seed2"), "a file").expect("written");
    let error = error_of(&fig1(&scratch, &[]).output().expect("runs"));
    assert!(error.contains(&format!("cannot write into {}; choose another folder", folder.join("glorot-seed2").display())), "{error}");
    let trained = fs::read_dir(scratch.path("runs")).into_iter().flatten().count();
    assert_eq!(trained, 0, "nothing was begun");
    // What trains nothing has no such flag.
    let output = example("fig8_cnn_architecture").arg("--tensorboard").arg(scratch.path("other")).output().expect("runs");
    assert!(error_of(&output).contains("--tensorboard is no flag of fig8_cnn_architecture") && output.status.code() == Some(2));
}
