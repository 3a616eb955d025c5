//! What is written of test images, from data sets as users have them.

mod common;

use common::{Scratch, error_of, example};
use std::path::Path;
use std::process::Output;

/// A network that is trained in no time.
const SMALL: &str = r#"
    run = ["ahead"]
    seeds = 1
    split = { validation = "random", validation_share = 0.3 }
    [model]
    initialization = "glorot"
    layers = [{ convolution = 2 }, "max_pool", { fully_connected = 2 }]
    [training]
    epochs = 1
    minibatch = 4
    learning_rate = 0.01
    order = "shuffled"
    [variants.ahead]
"#;

fn image(path: &Path, value: u8) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    image::RgbImage::from_pixel(64, 64, image::Rgb([value; 3])).save(path).expect("written");
}

fn laboratory(train: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.experiments(&[("kaggle_ahead", SMALL)]);
    for number in 0..6 {
        image(&scratch.path(&format!("data/{}", train.replace("CLASS", "Cat").replace('N', &number.to_string()))), number);
        image(&scratch.path(&format!("data/{}", train.replace("CLASS", "Dog").replace('N', &number.to_string()))), 250 - number);
    }
    scratch
}

fn run(scratch: &Scratch, flags: &[&str]) -> Output {
    let mut command = example("kaggle_ahead");
    command.current_dir(scratch.path("")).arg("--data").arg(scratch.path("data")).arg("--quiet").args(flags);
    scratch.in_here(&mut command).output().expect("runs")
}

fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(&format!("plots/kaggle_ahead{name}"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_test_image_of_a_competition_has_its_line() {
    for (folder, is_label) in [("test1", true), ("test", false)] {
        let scratch = laboratory("train/CLASS.N.png");
        [1, 3, 10].into_iter().for_each(|number| image(&scratch.path(&format!("data/{folder}/{number}.png")), number));
        std::fs::write(scratch.path(&format!("data/{folder}/2.png")), "").expect("written");
        let error = error_of(&run(&scratch, &[]));
        assert!(
            error.contains(&format!("{folder}/2.png cannot be used: the file is empty")) && error.contains("--skip-corrupt"),
            "{error}"
        );
        let output = run(&scratch, &["--skip-corrupt"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("the class of most training images in the submission (1): 2\n"), "{said}");
        let submission = read(&scratch, "_submission.csv");
        let rows: Vec<(&str, f64)> = submission
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(','))
            .map(|(id, label)| (id, label.parse().expect("a number")))
            .collect();
        assert!(submission.starts_with("id,label\n"), "{submission}");
        assert_eq!(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["1", "2", "3", "10"]);
        assert!(rows.iter().all(|(_, label)| (0.0..=1.0).contains(label) && (label.fract() == 0.0 || !is_label)), "{submission}");
        assert_eq!(rows[1].1, if is_label { 0.0 } else { 0.5 }, "as many cats as dogs");
        assert!(!scratch.path("plots/kaggle_ahead_test.csv").exists());
    }
}

#[test]
fn images_held_out_are_predicted_by_their_names_and_not_submitted() {
    let scratch = laboratory("PetImages/CLASS/N.png");
    let older = scratch.path("plots/kaggle_ahead_submission.csv");
    std::fs::create_dir_all(scratch.path("plots")).and_then(|()| std::fs::write(&older, "older")).expect("written");
    let output = run(&scratch, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("no submission is written") && said.contains("of an earlier run"), "{said}");
    assert_eq!(std::fs::read_to_string(&older).expect("there"), "older");
    let test = read(&scratch, "_test.csv");
    let lines: Vec<&str> = test.lines().collect();
    assert_eq!((lines[0], lines.len()), ("file,label,prediction,confidence", 3), "{test}");
    for line in &lines[1..] {
        let fields: Vec<&str> = line.split(',').collect();
        assert!(fields[0].starts_with(&format!("PetImages/{}/", fields[1])), "{line}");
    }
    let validation = read(&scratch, "_validation.csv");
    assert!(read(&scratch, ".md").contains("| label | → Cat"), "{}", read(&scratch, ".md"));
    assert!(lines[1..].iter().all(|line| !validation.contains(line.split(',').next().expect("a name"))), "{validation}");
}

#[test]
fn a_data_set_with_its_own_parts_is_trained_on_these() {
    let scratch = laboratory("train/CLASS/N.png");
    for (name, value) in
        [("val/Cat/1.png", 5), ("val/Dog/1.png", 240), ("test/Cat/1.png", 9), ("test/Dog/2.png", 230), ("train/Bird/1.png", 7)]
    {
        image(&scratch.path(&format!("data/{name}")), value);
    }
    let output = run(&scratch, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("6 cats and 6 dogs to train on, 2 for validation, 2 images to predict"), "{said}");
    assert!(said.contains("1 in train/Bird"), "{said}");
    let files = |name: &str| -> Vec<String> {
        let rows = read(&scratch, name);
        rows.lines().skip(1).map(|line| line.split(',').next().expect("a name").to_owned()).collect()
    };
    assert_eq!(files("_validation.csv"), ["val/Cat/1.png", "val/Dog/1.png"]);
    assert_eq!(files("_test.csv"), ["test/Cat/1.png", "test/Dog/2.png"]);
}
