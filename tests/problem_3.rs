//! Figures 12 to 14 and 16 and the submission as a user makes them, short and on drawn cats and dogs.

mod common;

use common::{Scratch, error_of, example};
use reproduction::experiment::{Experiment, ExperimentFile};
use std::path::Path;
use std::process::Output;

fn run(scratch: &Scratch, name: &str, flags: &[&str]) -> Output {
    let output = scratch.in_here(example(name).args(["--data", "embedded"]).args(flags)).output().expect("runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(&format!("plots/{name}"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_vgg_is_trained_and_says_what_it_sees() {
    let scratch = Scratch::new();
    run(&scratch, "kaggle_vgg", &["--limit", "32", "--epochs", "1"]);
    let points = read(&scratch, "kaggle_vgg.csv");
    assert!(points.contains("vgg_accuracy,validation,reproduced,1.0,") && !points.contains(",reported,"), "{points}");
    let submission = read(&scratch, "kaggle_vgg_submission.csv");
    let lines: Vec<&str> = submission.lines().collect();
    assert_eq!((lines[0], lines.len()), ("id,label", 501), "{submission}");
    let is_right = |(id, line): (usize, &&str)| **line == format!("{id},Cat") || **line == format!("{id},Dog");
    assert!(lines.iter().enumerate().skip(1).all(is_right), "{submission}");
    let validation = read(&scratch, "kaggle_vgg_validation.csv");
    assert!(validation.starts_with("file,label,prediction,confidence\n") && validation.lines().count() == 401, "{validation}");

    run(&scratch, "fig16_errors", &[]);
    let errors = read(&scratch, "fig16_errors.csv");
    let wrong = validation.lines().skip(1).filter(|line| line.split(',').nth(1) != line.split(',').nth(2)).count();
    assert_eq!(errors.lines().count(), 1 + wrong, "only wrong ones, and all of them");
    let confidences =
        errors.lines().skip(1).map(|line| line.split(',').nth(3).and_then(|text| text.parse::<f64>().ok()).expect("a number"));
    assert!(confidences.is_sorted_by(|a, b| a >= b), "the surest come first");
    assert!(scratch.path("plots/fig16_errors.png").exists());

    let own = scratch.path("own");
    std::fs::create_dir_all(&own).expect("a folder");
    image::RgbImage::from_pixel(90, 50, image::Rgb([200, 150, 90])).save(own.join("pet.png")).expect("written");
    std::fs::write(own.join("broken.jpg"), "no image").expect("written");
    let output = run(&scratch, "kaggle_vgg", &["--predict", &own.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("pet.png") && said.contains("broken.jpg") && said.contains("cannot be read"), "{said}");
    assert!(scratch.path("plots/kaggle_vgg_predictions.png").exists());
    std::fs::remove_file(own.join("pet.png")).and_then(|()| std::fs::rename(own.join("broken.jpg"), own.join("notes.txt"))).expect("moved");
    let refused = scratch.in_here(example("kaggle_vgg").arg("--predict").arg(&own)).output().expect("runs");
    assert!(error_of(&refused).contains("holds no images, expected files .jpg"));
}

#[test]
fn nothing_is_predicted_before_something_is_trained() {
    let scratch = Scratch::new();
    let refused = scratch.in_here(example("kaggle_vgg").args(["--predict", "experiments"])).output().expect("runs");
    assert!(error_of(&refused).contains("holds no trained network; run kaggle_vgg without --predict first"));
    let refused = scratch.in_here(example("fig1_init").args(["--predict", "experiments"])).output().expect("runs");
    assert!(error_of(&refused).contains("--predict is no flag of fig1_init") && refused.status.code() == Some(2));
    let refused = scratch.in_here(example("fig16_errors").args(["--data", "embedded"])).output().expect("runs");
    assert!(error_of(&refused).contains("kaggle_vgg_validation.csv; kaggle_vgg writes them"));
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
    let folder = std::fs::read_dir(scratch.path("runs/fig1_init")).expect("a folder").flatten().next().expect("a trial").path();
    std::fs::remove_file(folder.join("provenance.toml")).expect("removed");
    std::fs::write(folder.join("unfinished.safetensors"), "damaged").expect("written");
    let again = |flag: &str| {
        let flag: &[&str] = if flag.is_empty() { &[] } else { &[flag] };
        scratch.in_here(example("fig1_init").args(["--data", "embedded"]).args(flags).args(flag)).output().expect("runs")
    };
    let error = error_of(&again(""));
    assert!(error.contains("trial glorot seed 1 was interrupted") && error.contains("--resume, or begin again with --fresh"), "{error}");
    assert!(error_of(&again("--resume")).contains("cannot read the parameters"), "a damaged state is not gone on from");
    assert!(folder.join("unfinished.safetensors").exists(), "nor removed");
    assert!(again("--fresh").status.success());
    assert!(!folder.join("unfinished.safetensors").exists() && folder.join("provenance.toml").exists());
}
