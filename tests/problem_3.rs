//! Figures 12 to 14 and 16 and the submission as a user makes them, short and on drawn cats and dogs.

mod common;

use common::{Scratch, error_of, example, few_images};
use reproduction::experiment::{Experiment, ExperimentFile};
use std::path::Path;
use std::process::Output;

fn run(scratch: &Scratch, name: &str, flags: &[&str]) -> Output {
    let output = scratch.in_here(example(name).arg("--data").arg(few_images(name)).args(flags)).output().expect("runs");
    assert!(output.status.success(), "{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(&format!("plots/{name}"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// With a small network: the report's has 229 MB, and takes minutes. One of its steps is taken in `no_step_of_the_vgg_...`, narrower.
#[test]
fn a_network_is_trained_and_says_what_it_sees() {
    let scratch = Scratch::new();
    scratch.experiments(&[("kaggle_vgg", &format!("run = [\"vgg\"]\n{SMALL}\n[variants.vgg]"))]);
    in_laboratory(&scratch, "kaggle_vgg", &["--epochs", "1"]);
    let points = read(&scratch, "kaggle_vgg.csv");
    assert!(points.contains("vgg_accuracy,validation,reproduced,1.0,") && !points.contains(",reported,"), "{points}");
    let submission = read(&scratch, "kaggle_vgg_submission.csv");
    let lines: Vec<&str> = submission.lines().collect();
    assert_eq!((lines[0], lines.len()), ("id,label", 501), "{submission}");
    let is_right = |(id, line): (usize, &&str)| **line == format!("{id},Cat") || **line == format!("{id},Dog");
    assert!(lines.iter().enumerate().skip(1).all(is_right), "{submission}");
    let validation = read(&scratch, "kaggle_vgg_validation.csv");
    assert!(validation.starts_with("file,label,prediction,confidence\n") && validation.lines().count() == 401, "{validation}");

    in_laboratory(&scratch, "fig16_errors", &[]);
    let errors = read(&scratch, "fig16_errors.csv");
    let wrong = validation.lines().skip(1).filter(|line| line.split(',').nth(1) != line.split(',').nth(2)).count();
    assert_eq!(errors.lines().count(), 1 + wrong, "only wrong ones, and all of them");
    let confidences =
        errors.lines().skip(1).map(|line| line.split(',').nth(3).and_then(|text| text.parse::<f64>().ok()).expect("a number"));
    assert!(confidences.is_sorted_by(|a, b| a >= b), "the most confident come first");
    assert!(scratch.path("plots/fig16_errors.png").exists());

    let own = scratch.path("own");
    std::fs::create_dir_all(&own).expect("a folder");
    image::RgbImage::from_pixel(90, 50, image::Rgb([200, 150, 90])).save(own.join("pet.png")).expect("written");
    std::fs::write(own.join("broken.jpg"), "no image").expect("written");
    let output = in_laboratory(&scratch, "kaggle_vgg", &["--predict", &own.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("pet.png") && said.contains("broken.jpg") && said.contains("cannot be read"), "{said}");
    assert!(scratch.path("plots/kaggle_vgg_predictions.png").exists());
    let predictions = read(&scratch, "kaggle_vgg_predictions.csv");
    let lines: Vec<&str> = predictions.lines().collect();
    assert_eq!((lines[0], lines.len()), ("file,prediction,probability,reason", 3));
    assert!(lines[1].starts_with("broken.jpg,,,") && lines[1].contains("no image"), "{predictions}");
    assert!(lines[2].starts_with("pet.png,Cat,0.") || lines[2].starts_with("pet.png,Dog,0."), "{predictions}");
    std::fs::remove_file(own.join("pet.png")).and_then(|()| std::fs::rename(own.join("broken.jpg"), own.join("notes.txt"))).expect("moved");
    let refused = scratch.in_here(example("kaggle_vgg").current_dir(scratch.path("")).arg("--predict").arg(&own)).output().expect("runs");
    assert!(error_of(&refused).contains("no image that can be read") && error_of(&refused).contains("notes.txt"));
}

#[test]
fn nothing_is_predicted_before_something_is_trained() {
    let scratch = Scratch::new();
    let refused = scratch.in_here(example("kaggle_vgg").args(["--predict", "experiments"])).output().expect("runs");
    let error = error_of(&refused);
    assert!(error.contains("holds no trained network, and weights/ none of kaggle_vgg: run kaggle_vgg without --predict first"), "{error}");
    assert!(error.contains("cargo run --example kaggle_vgg, which takes about 16h 40m on two cores"), "{error}");
    let refused = scratch.in_here(example("fig1_init").args(["--predict", "experiments"])).output().expect("runs");
    assert!(error_of(&refused).contains("--predict is no flag of fig1_init") && refused.status.code() == Some(2));
    let refused = scratch.in_here(example("fig16_errors").args(["--data", "embedded"])).output().expect("runs");
    let error = error_of(&refused);
    assert!(error.contains("kaggle_vgg_validation.csv") && error.contains("kaggle_vgg writes the predictions; run it first"), "{error}");
}

#[test]
fn samples_are_shown_as_they_are_and_changed() {
    let scratch = Scratch::new();
    run(&scratch, "fig12_samples", &[]);
    let picture = std::fs::read(scratch.path("plots/fig12_samples.png")).expect("a picture");
    assert_eq!(read(&scratch, "fig12_samples.csv").lines().count(), 33);
    run(&scratch, "fig12_samples", &["--seed", "2"]);
    assert_ne!(picture, std::fs::read(scratch.path("plots/fig12_samples.png")).expect("a picture"), "other images");
}

#[test]
fn the_vgg_has_57208706_parameters() {
    let scratch = Scratch::new();
    let output = run(&scratch, "fig13_vgg_architecture", &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 equal, 0 reproduced, 0 differ"));
    let table = read(&scratch, "fig13_vgg_architecture.md");
    assert!(table.contains("57208706") && table.contains("512 × 4 × 4 × 4096"), "{table}");
}

/// The pictures of the images and of the network are of those that are trained on and with.
#[test]
fn the_experiments_of_problem_3_agree() {
    let experiment = |name: &str| -> Experiment {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(format!("{name}.toml"));
        ExperimentFile::read(&path).and_then(|file| file.variant("vgg")).unwrap_or_else(|error| panic!("{error:#}"))
    };
    let trained = experiment("kaggle_vgg");
    assert_eq!(experiment("fig12_samples").augmentation, trained.augmentation);
    assert_eq!(experiment("fig13_vgg_architecture").model, trained.model);
}

#[test]
fn what_was_interrupted_is_neither_lost_nor_taken_for_finished() {
    let scratch = Scratch::new();
    let flags = ["--variant", "glorot", "--seeds", "1", "--epochs", "1", "--limit", "100"];
    run(&scratch, "fig1_init", &flags);
    let mut trials = std::fs::read_dir(scratch.path("runs/fig1_init")).expect("a folder").flatten();
    let folder = trials.next().expect("a trial").path();
    std::fs::remove_file(folder.join("provenance.toml")).expect("removed");
    let checkpoint = folder.join("checkpoints/epoch0000001-minibatch000000000-0123456789abcdef.safetensors");
    std::fs::create_dir(folder.join("checkpoints")).expect("made");
    std::fs::write(&checkpoint, "damaged").expect("written");
    let again = |flag: &str| {
        let flag: &[&str] = if flag.is_empty() { &[] } else { &[flag] };
        scratch.in_here(example("fig1_init").arg("--data").arg(few_images("fig1_init")).args(flags).args(flag)).output().expect("runs")
    };
    let error = error_of(&again(""));
    assert!(error.contains("trial glorot seed 1 was interrupted") && error.contains("--resume, or begin again with --fresh"), "{error}");
    for _ in 0..2 {
        assert!(error_of(&again("--resume")).contains("is whole: the checkpoint"), "a damaged state is not gone on from");
        assert!(checkpoint.exists(), "nor removed");
    }
    assert!(again("--fresh").status.success());
    assert!(!checkpoint.exists() && folder.join("provenance.toml").exists());
    // As if it had been killed just after it had finished the trial.
    std::fs::create_dir(folder.join("checkpoints")).expect("made");
    std::fs::write(&checkpoint, "no longer needed").expect("written");
    assert!(again("").status.success() && !checkpoint.exists());
}

/// The small network that stands for the VGG where many are trained.
const SMALL: &str = r#"
    seeds = 1
    split = { validation = "random", validation_share = 0.2, limit = 200 }
    [model]
    initialization = "glorot"
    layers = [{ convolution = 4 }, "max_pool", { fully_connected = 8 }, { dropout = 0.4 }, { fully_connected = 2 }]
    [training]
    epochs = 2
    minibatch = 32
    learning_rate = 0.05
    momentum = 0.9
    weight_decay = 1e-3
    order = "shuffled"
"#;

fn in_laboratory(scratch: &Scratch, name: &str, flags: &[&str]) -> Output {
    let mut command = example(name);
    command.current_dir(scratch.path("")).args(["--data", "embedded"]).args(flags);
    let output = scratch.in_here(&mut command).output().expect("runs");
    assert!(output.status.success(), "{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn six_settings_are_trained_and_titled_by_what_sets_them_apart() {
    let scratch = Scratch::new();
    let names = ["a", "b", "c", "d", "e", "f"];
    let variants: String = names.iter().map(|name| format!("[variants.{name}]\n")).collect();
    scratch.experiments(&[("fig15_vgg_sweep", &format!("run = {names:?}\n{SMALL}\n{variants}"))]);
    in_laboratory(&scratch, "fig15_vgg_sweep", &["--epochs", "1"]);
    let points = read(&scratch, "fig15_vgg_sweep.csv");
    assert!(names.iter().all(|name| points.contains(&format!("{name}_accuracy,validation,reproduced,1.0,"))), "{points}");
    assert!(!points.contains(",reported,"), "drawn pictures are not the report's");
}

#[test]
fn a_search_goes_from_coarse_to_fine_and_in_shares_to_the_same_trials() {
    let searched = Scratch::new();
    let search = "search = { coarse = { trials = 5, epochs = 1 }, fine = { trials = 3, epochs = 2 }, around = 2, space = { \"training.learning_rate\" = { log_uniform = [1e-3, 1e-1] }, \"model.layers.*.dropout\" = { uniform = [0.1, 0.6] } } }";
    let experiment = format!("run = [\"vgg\"]\n{search}\n{SMALL}\n[variants.vgg]");
    searched.experiments(&[("kaggle_search", &experiment)]);
    in_laboratory(&searched, "kaggle_search", &[]);
    let trials = read(&searched, "kaggle_search.csv");
    let lines: Vec<&str> = trials.lines().collect();
    let settings = "trial,model.layers.*.dropout,training.learning_rate";
    assert_eq!(lines[0], format!("{settings},epochs,best_epoch,best_validation_accuracy,seconds,data,device"));
    assert!(lines.len() == 9 && lines[5].starts_with("coarse_005,") && lines[6].starts_with("fine_001,"), "{trials}");
    let rates: Vec<f64> =
        lines[1..].iter().map(|line| line.split(',').nth(2).and_then(|text| text.parse().ok()).expect("a number")).collect();
    assert!(rates.iter().all(|rate| (1e-3..=1e-1).contains(rate)), "{rates:?}");
    let pixels = || image::open(searched.path("plots/kaggle_search.png")).expect("drawn").into_rgb8();
    let (table, drawn) = (read(&searched, "kaggle_search.md"), pixels());
    assert!(table.contains("### The ten best"), "{table}");
    in_laboratory(&searched, "kaggle_search", &["--redraw"]);
    assert!(read(&searched, "kaggle_search.md") == table && pixels() == drawn, "the CSV has all that is drawn");

    let shared = Scratch::new();
    shared.experiments(&[("kaggle_search", &experiment)]);
    let said = |share: &str| String::from_utf8_lossy(&in_laboratory(&shared, "kaggle_search", &["--shard", share]).stderr).into_owned();
    assert!(said("0/2").contains("the same command goes on with the next one"));
    // The last of a stage goes on with the next one at once.
    assert!(said("1/2").contains("fine_00"));
    assert!(said("0/2").contains("the same command with --merge draws them"));
    for scratch in [&searched, &shared] {
        in_laboratory(scratch, "kaggle_search", &["--merge"]);
    }
    assert_eq!(read(&searched, "kaggle_search_trials.csv"), read(&shared, "kaggle_search_trials.csv"));
    assert_eq!(read(&shared, "kaggle_search_trials.csv").lines().count(), 9);
    assert!(error_of(&refused_search(&[])).contains("has no section [search]"));
    assert!(error_of(&refused_search(&["--seeds", "2"])).contains("leave --seeds out, or draw another search with --seed"));
    assert!(error_of(&refused_search(&["--variant", "vgg", "--variant", "other"])).contains("give one --variant"));
}

fn refused_search(flags: &[&str]) -> Output {
    let scratch = Scratch::new();
    scratch.experiments(&[("kaggle_search", &format!("run = [\"vgg\"]\n{SMALL}\n[variants.vgg]\n[variants.other]"))]);
    let mut command = example("kaggle_search");
    command.current_dir(scratch.path("")).args(["--data", "embedded"]).args(flags);
    scratch.in_here(&mut command).output().expect("runs")
}
