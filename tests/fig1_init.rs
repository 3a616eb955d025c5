//! `fig1_init` as a user runs it, on few digits; on MNIST where MNIST_DIR names it.

mod common;

use common::{Scratch, error_of, example, few_digits};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Two variants, two seeds, two epochs on 200 digits.
fn short_run(scratch: &Scratch) -> Command {
    let mut command = example("fig1_init");
    command.arg("--data").arg(few_digits());
    command.args(["--limit", "200", "--epochs", "2", "--seeds", "2", "--variant", "glorot", "--variant", "zero"]);
    scratch.in_here(&mut command);
    command
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A PNG's pixels and texts.
fn png(path: &Path) -> (Vec<u8>, BTreeMap<String, String>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes(path))).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("a picture");
    reader.finish().expect("an end");
    let texts = reader.info().utf8_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.get_text().expect("text")));
    (pixels, texts.collect())
}

#[test]
fn same_seed_same_bytes_another_seed_another_run() {
    let (first, again, other) = (Scratch::new(), Scratch::new(), Scratch::new());
    let output = short_run(&first).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    assert!(stderr.contains("epoch 2/2"), "plain lines where there is no terminal: {stderr}");
    assert!(short_run(&again).arg("--quiet").output().expect("runs").stderr.is_ascii());
    assert!(short_run(&other).args(["--seed", "7"]).env("REPRODUCTION_COMMIT", "carried").status().expect("runs").success());
    let csv = |scratch: &Scratch| bytes(&scratch.path("plots/fig1_init.csv"));
    assert_eq!(csv(&first), csv(&again));
    assert_ne!(csv(&first), csv(&other));
    let text = String::from_utf8(csv(&first)).expect("text");
    assert_eq!(text.lines().count(), 1 + 2 * 3 * 3 * 2, "variants, metrics, splits, epochs: {text}");
    assert!(text.contains("\"data set in few-digits, not MNIST, first 200 training examples\""), "{text}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("Nothing here can be compared"), "other digits are not the report's: {stdout}");

    let (_, texts) = png(&first.path("plots/fig1_init.png"));
    for key in ["Title", "Software", "Device", "Precision", "Creation Time", "Commit", "Command", "Experiment"] {
        assert!(texts.get(key).is_some_and(|text| !text.is_empty()), "the PNG's text chunk {key}: {texts:?}");
    }
    assert!(
        texts["Device"].starts_with("cpu (") && texts["Precision"].contains("glorot f32") && texts["Software"].contains("libtorch 2.11")
    );
    assert_eq!(png(&other.path("plots/fig1_init.png")).1["Commit"], "carried", "a program without its checkout");
    let folders: Vec<_> = std::fs::read_dir(first.path("runs/fig1_init")).expect("run folders").flatten().collect();
    assert_eq!(folders.len(), 4);
    for folder in folders {
        let read = |name: &str| String::from_utf8(bytes(&folder.path().join(name))).expect("text");
        assert!(read("experiment.toml").contains("epochs = 2"), "resolved, with what the flags change");
        assert!(read("provenance.toml").contains("data_checksum = \"") && read("history.csv").lines().count() == 1 + 2 * 9);
    }
}

#[test]
fn finished_trials_are_kept_and_redraw_needs_nothing_but_the_csv() {
    let scratch = Scratch::new();
    assert!(short_run(&scratch).status().expect("runs").success());
    let csv = bytes(&scratch.path("plots/fig1_init.csv"));
    let (pixels, _) = png(&scratch.path("plots/fig1_init.png"));
    let again = short_run(&scratch).output().expect("runs");
    assert!(String::from_utf8_lossy(&again.stderr).contains("4 of 4 trials were finished before"), "{again:?}");
    assert_eq!(bytes(&scratch.path("plots/fig1_init.csv")), csv);
    let fresh = short_run(&scratch).arg("--fresh").output().expect("runs");
    assert!(fresh.status.success(), "{fresh:?}");
    assert!(!String::from_utf8_lossy(&fresh.stderr).contains("finished before"), "{fresh:?}");

    let mut longer = example("fig1_init");
    longer.arg("--data").arg(few_digits()).args(["--limit", "201", "--epochs", "2", "--seeds", "1", "--variant", "zero"]);
    let longer = scratch.in_here(&mut longer).output().expect("runs");
    assert!(longer.status.success(), "{longer:?}");
    assert!(!String::from_utf8_lossy(&longer.stderr).contains("finished before"), "201 examples are another trial: {longer:?}");
    assert!(short_run(&scratch).status().expect("runs").success());
    assert_eq!(bytes(&scratch.path("plots/fig1_init.csv")), csv);

    // What is only drawn again is still the result of the command that trained it.
    let texts = || png(&scratch.path("plots/fig1_init.png")).1;
    let trained = texts();
    assert!(scratch.in_here(example("fig1_init").arg("--redraw")).status().expect("runs").success());
    let redrawn = texts();
    assert!(redrawn["Redrawn"].contains("fig1_init --redraw") && !trained.contains_key("Redrawn"), "{redrawn:?}");
    assert!(trained.iter().all(|(key, text)| redrawn[key] == *text), "{redrawn:?} in place of {trained:?}");
    std::fs::remove_file(scratch.path("plots/fig1_init.png")).expect("removed");
    let mut redraw = example("fig1_init");
    // Nothing in the surrounding: no fonts to be found by HOME, no data set.
    let output = scratch.in_here(redraw.env_clear().arg("--redraw")).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(bytes(&scratch.path("plots/fig1_init.csv")), csv, "--redraw writes no CSV");
    let (redrawn, _) = png(&scratch.path("plots/fig1_init.png"));
    assert_eq!(redrawn, pixels);
    // The title's text, drawn without any font of the system: dark pixels in the top left.
    let dark = pixels[..1400 * 3 * 30].iter().filter(|value| **value < 64).count();
    assert!(dark > 1000, "{dark} dark values in the title's rows");
}

/// Nothing that somebody tries out takes the place of a committed result.
#[test]
fn only_the_experiment_as_its_file_has_it_is_written_to_plots() {
    let small = "run = ['glorot']\nseeds = 1\nsplit = { validation = 'last', validation_examples = 300, limit = 300 }\n\
                 model = { hidden = [8], initialization = 'glorot' }\n\
                 training = { epochs = 1, minibatch = 50, learning_rate = 0.1, order = 'shuffled' }\nvariants.glorot = {}";
    let scratch = Scratch::new();
    scratch.experiments(&[("fig1_init", small)]);
    let few = few_digits().display().to_string();
    let run = |name: &str, flags: &[&str]| {
        let output = example(name).current_dir(scratch.path("")).args(flags).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name} {flags:?}: {}: {said}", output.status);
        said.lines().last().is_some_and(|line| line.contains("everything is in plots/local"))
    };
    let written = |path: &str| std::fs::remove_file(scratch.path(path)).is_ok();
    assert!(!run("fig8_cnn_architecture", &[]));
    assert!(["csv", "md", "png"].iter().all(|what| written(&format!("plots/fig8_cnn_architecture.{what}"))));
    assert!(!scratch.path("plots/local").exists());
    for flags in [&["--seed", "2"][..], &["--seeds", "1"], &["--precision", "f64"], &["--data", "embedded"]] {
        assert!(run("fig8_cnn_architecture", flags), "{flags:?}");
        assert!(written("plots/local/fig8_cnn_architecture.csv") && !written("plots/fig8_cnn_architecture.csv"), "{flags:?}");
    }
    assert!(!run("fig8_cnn_architecture", &["--seeds", "3"]), "as many as it has anyway");
    // Digits that are not MNIST.
    assert!(run("fig1_init", &["--data", &few]));
    assert!(written("plots/local/fig1_init.png") && !written("plots/fig1_init.png") && !written("plots/fig1_init.csv"));
    // Drawn again is what is in plots/, unless something else is said.
    let points = std::fs::read(scratch.path("plots/local/fig1_init.csv")).expect("written");
    std::fs::write(scratch.path("plots/fig1_init.csv"), points).expect("written");
    assert!(!run("fig1_init", &["--redraw"]) && written("plots/fig1_init.png") && !written("plots/local/fig1_init.png"));
    assert!(!run("fig1_init", &["--redraw", "--out", "plots/local"]) && written("plots/local/fig1_init.png"));
    assert!(!run("fig1_init", &["--data", &few, "--out", "plots"]) && written("plots/fig1_init.png"));
    // The card is of what lies beside it.
    assert!(!run("report_card", &[]) && written("plots/report_card.md"));
    assert!(run("report_card", &["--data", "embedded"]) && written("plots/local/report_card.md") && !written("plots/report_card.md"));
}

#[test]
fn precision_auto_is_what_this_processor_is_fast_in() {
    let scratch = Scratch::new();
    let run = |precision: &str| {
        let mut command = example("fig1_init");
        command.args(["--device", "cpu", "--limit", "300", "--epochs", "1", "--seeds", "1", "--variant", "zero", "--precision", precision]);
        let output = scratch.in_here(command.arg("--data").arg(few_digits())).output().expect("runs");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_bf16 = flags.split_whitespace().any(|flag| ["avx512_bf16", "amx_bf16"].contains(&flag));
    let resolved = if has_bf16 { "bf16" } else { "f32" };
    let said = run("auto");
    assert!(said.lines().next().is_some_and(|line| line.starts_with(&format!("precision auto: {resolved}"))), "{said}");
    let again = run(resolved);
    assert!(again.contains("1 of 1 trials were finished before"), "a trial of auto is one of what it has come to: {again}");
    assert_eq!(run("bf16").contains("bf16 takes many times as long"), !has_bf16);
}

#[test]
fn a_killed_run_leaves_whole_files_and_the_next_goes_on() {
    let scratch = Scratch::new();
    let many = |scratch: &Scratch| {
        let mut command = example("fig1_init");
        scratch.in_here(
            command.args(["--limit", "250", "--epochs", "2", "--seeds", "12", "--variant", "glorot"]).arg("--data").arg(few_digits()),
        );
        command
    };
    let mut child = many(&scratch).stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().expect("starts");
    let finished = || {
        let folders = std::fs::read_dir(scratch.path("runs/fig1_init")).into_iter().flatten().flatten();
        folders.filter(|folder| folder.path().join("provenance.toml").exists()).count()
    };
    let started = std::time::Instant::now();
    while finished() < 2 && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("killed");
    let _ = child.wait();
    let kept = finished();
    assert!((2..12).contains(&kept), "{kept} of 12 trials were finished when it was killed");
    assert!(!scratch.path("plots/fig1_init.csv").exists() && !scratch.path("plots/fig1_init.png").exists());
    let next = many(&scratch).output().expect("runs");
    assert!(next.status.success());
    let stderr = String::from_utf8_lossy(&next.stderr);
    assert!(stderr.contains(&format!("{kept} of 12 trials were finished before")), "{stderr}");
}

#[test]
fn wrong_flags_are_refused_before_any_work() {
    let known = "known are: glorot, glorot_as_published, normal, normal_as_published, zero, zero_as_published";
    let cases: [(&[&str], i32, &str); 12] = [
        (&["--seeds", "0"], 2, "'0' for '--seeds <K>'"),
        (&["--epochs", "0"], 2, "'0' for '--epochs <N>'"),
        (&["--limit", "-3"], 2, "'-3'"),
        (&["--seed", "18446744073709551615"], 2, "18446744073709551615 is not in"),
        (&["--epochs", "9223372036854775807"], 2, "9223372036854775807 is not in"),
        (&["--device", "gpu"], 2, "expected auto, cpu, cuda, cuda:N"),
        (&["--cuda", "--device", "cpu"], 2, "cannot be used with"),
        (&["--precision", "f16"], 2, "expected f32, tf32, bf16, f64 or auto"),
        (&["--precision", "tf32", "--device", "cpu"], 1, "tf32 of glorot is for NVIDIA GPUs"),
        (&["--variant", "xavier"], 1, known),
        (&["--data", "/nowhere"], 1, "/nowhere"),
        (&["--redraw"], 1, "fig1_init.csv"),
    ];
    for (flags, code, expected) in cases {
        let scratch = Scratch::new();
        let output = scratch.in_here(example("fig1_init").args(flags)).output().expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {stderr}");
        let _ = error_of(&output);
        assert!(stderr.contains(expected), "{flags:?}: {stderr}");
        assert!(!scratch.path("runs").exists() && !scratch.path("plots/fig1_init.png").exists(), "{flags:?} left something");
    }
}

#[test]
fn an_output_folder_that_cannot_be_written_is_found_out_first() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("plots"), "a file where the folder should be").expect("written");
    let output = short_run(&scratch).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let error = error_of(&output);
    assert!(error.contains("cannot write into") && error.contains("plots"), "{error}");
    assert!(!scratch.path("runs").exists(), "nothing was trained");
}

#[test]
fn a_gpu_that_is_asked_for_and_not_there_is_an_error() {
    let scratch = Scratch::new();
    let output = scratch.in_here(example("fig1_init").args(["--device", "cuda:99", "--data", "embedded"])).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let error = error_of(&output);
    assert!(error.contains("cuda:99"), "{error}");
}

#[test]
fn damaged_data_are_named_and_nothing_is_written() {
    let scratch = Scratch::new();
    let data = scratch.path("data");
    std::fs::create_dir_all(&data).expect("made");
    for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        std::fs::write(data.join(format!("{name}.gz")), "<!DOCTYPE html><html>Please log in</html>").expect("written");
    }
    let output = scratch.in_here(example("fig1_init").arg("--data").arg(&data)).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let error = error_of(&output);
    assert!(error.contains("train-images-idx3-ubyte.gz") && error.contains("web page"), "{error}");
    assert!(!scratch.path("plots/fig1_init.csv").exists() && !scratch.path("runs").exists());
}

#[test]
fn zero_initialization_on_mnist_is_always_one() {
    let Some(folder) = std::env::var_os("MNIST_DIR") else {
        println!("skipped: MNIST_DIR names no data set");
        return;
    };
    let scratch = Scratch::new();
    let mut command = example("fig1_init");
    scratch.in_here(command.env("MNIST_DIR", folder).args(["--variant", "zero", "--epochs", "1", "--seeds", "1"]));
    assert!(command.status().expect("runs").success());
    let csv = String::from_utf8(bytes(&scratch.path("plots/fig1_init.csv"))).expect("text");
    // The digit 1 has 5,678 of 50,000, 1,064 of 10,000 and 1,135 of 10,000 examples.
    for (split, share) in [("train", "0.11356"), ("validation", "0.1064"), ("test", "0.1135")] {
        let line = format!("zero_accuracy,{split},reproduced,1.0,{share},");
        assert!(csv.lines().any(|row| row.starts_with(&line)), "{line} in {csv}");
    }
}
