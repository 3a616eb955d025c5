//! What goes beyond the report as a user makes it, short and on few digits and drawn photographs.

mod common;

use common::{Scratch, error_of, example, few_digits, few_images};
use std::process::Output;

fn run(scratch: &Scratch, name: &str, flags: &[&str]) -> Output {
    let mut command = example(name);
    let output =
        scratch.in_here(command.current_dir(scratch.path(".")).arg("--data").arg(few_images(name)).args(flags)).output().expect("runs");
    assert!(output.status.success(), "{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(&format!("plots/{name}"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The last number of the lines that begin so.
fn values(points: &str, start: &str) -> Vec<f64> {
    let value = |line: &str| line.split(',').nth(4).and_then(|y| y.parse().ok());
    points.lines().filter(|line| line.starts_with(start)).filter_map(value).collect()
}

const DIGITS: &str = r#"
    run = ["augmented"]
    seeds = 2
    trials_at_a_time = 1
    split = { validation = "last", validation_examples = 200, limit = 300 }
    augmentation = { rotation = 10, shift = 0.05, elastic = { grid = 4, strength = 0.02 } }
    [model]
    initialization = "kaiming_uniform"
    test_time_augmentation = "shifted"
    layers = [{ dropout = 0.1 }, { fully_connected = 16 }, "batch_norm", { fully_connected = 10 }]
    [training]
    epochs = 3
    minibatch = 30
    learning_rate = 0.2
    momentum = 0.9
    label_smoothing = 0.05
    ema_decay = 0.9
    order = "shuffled"
    schedule = { warm_up = 0.1, decay = "cosine" }
    evaluate_every = 2
    [variants.augmented]
"#;

#[test]
fn a_tuned_network_learns_and_its_table_comes_from_its_points() {
    let scratch = Scratch::new();
    scratch.experiments(&[("mlp_tuned", DIGITS)]);
    run(&scratch, "mlp_tuned", &[]);
    let points = read(&scratch, "mlp_tuned.csv");
    let accuracies = values(&points, "augmented_accuracy,test,reproduced,");
    assert_eq!(accuracies.len(), 2, "after the second epoch and the third: {points}");
    assert!(accuracies[1] > 0.3, "ten classes: {points}");
    let table = read(&scratch, "mlp_tuned.md");
    let row = format!("{:.4}", accuracies[1]);
    assert!(table.contains("| augmented |") && table.contains("12,762") && table.contains(&row), "{row}: {table}");
    run(&scratch, "mlp_tuned", &["--redraw"]);
    assert_eq!(read(&scratch, "mlp_tuned.md"), table);
}

#[test]
fn a_speed_record_is_one_training_at_a_time_and_every_seed_is_shown() {
    let scratch = Scratch::new();
    scratch.experiments(&[("speed_records", DIGITS)]);
    let mut command = example("speed_records");
    command.env("OMP_NUM_THREADS", "2").current_dir(scratch.path(".")).arg("--data").arg(few_digits());
    assert!(scratch.in_here(&mut command).status().expect("runs").success());
    let points = read(&scratch, "speed_records.csv");
    let seconds = values(&points, "augmented_seconds_by_seed,test,reproduced,");
    let mean = values(&points, "augmented_seconds,train,reproduced,");
    assert!(seconds.len() == 2 && seconds.iter().all(|seconds| *seconds > 0.0), "{points}");
    assert!((mean[0] - (seconds[0] + seconds[1]) / 2.0).abs() < 1e-9, "{points}");
    let provenance = std::fs::read_dir(scratch.path("runs/speed_records")).expect("trials").flatten().map(|entry| entry.path());
    for path in provenance.filter(|path| path.join("provenance.toml").exists()) {
        let text = std::fs::read_to_string(path.join("provenance.toml")).expect("read");
        assert!(text.contains("threads = 2\n"), "all cores are on one training: {text}");
    }
}

const PHOTOGRAPHS: &str = r#"
    run = ["ahead"]
    seeds = 1
    split = { validation = "random", validation_share = 0.2, limit = 64 }
    normalization = { mean = [0.5, 0.5, 0.5], deviation = [0.3, 0.3, 0.3] }
    augmentation = { rotation = 10, flip = 0.5 }
    [model]
    initialization = "kaiming_uniform"
    test_time_augmentation = "mirrored"
    layers = [{ convolution = 4 }, "batch_norm", "max_pool", { residual_block = 8 }, "global_average_pool", { fully_connected = 2 }]
    [training]
    epochs = 2
    minibatch = 16
    learning_rate = 0.1
    momentum = 0.9
    ema_decay = 0.9
    order = "shuffled"
    schedule = { warm_up = 0.1, decay = "cosine" }
    [variants.ahead]
"#;

/// The network that is written is the one that was measured: with its running means, averaged, and looking twice.
#[test]
fn what_the_kept_network_says_of_the_validation_images_is_what_was_measured() {
    let scratch = Scratch::new();
    scratch.experiments(&[("kaggle_ahead", PHOTOGRAPHS)]);
    run(&scratch, "kaggle_ahead", &[]);
    let measured = values(&read(&scratch, "kaggle_ahead.csv"), "ahead_accuracy,validation,reproduced,");
    let said = read(&scratch, "kaggle_ahead_validation.csv");
    let right = said.lines().skip(1).filter(|line| line.split(',').nth(1) == line.split(',').nth(2)).count();
    assert!((right as f64 / 400.0 - measured[1]).abs() < 1e-9, "{right} of 400, measured {measured:?}");
    // Accuracies of so small a network are coarse: the mean cross-entropy, too, follows from what it says.
    let losses = values(&read(&scratch, "kaggle_ahead.csv"), "ahead_loss,validation,reproduced,");
    let surprise = |line: &str| -> f64 {
        let cells: Vec<&str> = line.split(',').collect();
        let confidence: f64 = cells[3].parse().expect("a number");
        -(if cells[1] == cells[2] { confidence } else { 1.0 - confidence }).ln()
    };
    let loss = said.lines().skip(1).map(surprise).sum::<f64>() / 400.0;
    assert!((loss - losses[1]).abs() < 1e-4, "{loss}, measured {losses:?}");
    assert_eq!(read(&scratch, "kaggle_ahead_submission.csv").lines().count(), 501);
}

#[test]
fn the_ablation_has_a_panel_and_a_line_for_each_network() {
    let scratch = Scratch::new();
    let both = PHOTOGRAPHS.replace("run = [\"ahead\"]", "run = [\"ahead\", \"ahead_modern\"]") + "[variants.ahead_modern]\n";
    scratch.experiments(&[("ablation_vgg", &both)]);
    run(&scratch, "ablation_vgg", &["--epochs", "1"]);
    let table = read(&scratch, "ablation_vgg.md");
    assert!(table.contains("| ahead ") && table.contains("| ahead modern "), "{table}");
    assert!(scratch.path("plots/ablation_vgg.png").exists());
}

/// A change that is made after normalization is in the picture of what training changes too.
#[test]
fn cutout_is_shown() {
    let scratch = Scratch::new();
    let black = |augmentation: &str| {
        let model = "[model]\ninitialization = 'glorot'\nlayers = [{ fully_connected = 2 }]";
        let experiment = format!("run = ['vgg']\n[augmentation]\n{augmentation}\n{model}\n[variants.vgg]\n");
        scratch.experiments(&[("fig12_samples", &experiment)]);
        run(&scratch, "fig12_samples", &[]);
        let picture = image::open(scratch.path("plots/fig12_samples.png")).expect("a picture").into_rgb8();
        picture.pixels().filter(|pixel| pixel.0 == [0; 3]).count()
    };
    let (whole, cut_out) = (black("flip = 0.5"), black("cutout = 0.5"));
    // Of each of 32 tiles of 84x84 pixels at least a sixteenth: a quarter of the square, were its middle a corner of each.
    assert!(cut_out > whole + 32 * 84 * 84 / 16, "{whole} black pixels, then {cut_out}");
}

#[test]
fn small_networks_stand_beside_the_reports_by_their_parameters() {
    let scratch = Scratch::new();
    let small = |flags: &[&str]| {
        let mut command = example("cnn_small");
        let command = command.arg("--data").arg(few_digits()).args(["--limit", "200", "--epochs", "1", "--seeds", "1"]).args(flags);
        scratch.in_here(command).output().expect("runs")
    };
    let output = small(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("lacks the networks of cnn_tuned"), "{said}");
    let points = read(&scratch, "cnn_small.csv");
    for row in
        ["the report,reported,2066.0,0.971,", "the report,reported,570436.0,0.9859,", "ours,reproduced,2047.0,", "ours,reproduced,2066.0,"]
    {
        assert!(points.contains(&format!("networks_accuracy_by_parameters,{row}")), "{row}: {points}");
    }
    let pixels = || image::open(scratch.path("plots/cnn_small.png")).expect("drawn").into_rgb8();
    let drawn = pixels();
    assert!(small(&["--redraw"]).status.success());
    assert!(pixels() == drawn, "the CSV has every point");

    // Variants that --set has made of another example's are in no file.
    let other = "panel,series,origin,x,y,deviation,resolution,seeds,data,device\nplain_learning_rate_0.1_accuracy,test,reproduced,1.0,0.5,,,1,MNIST,cpu\n";
    std::fs::write(scratch.path("plots/mlp_tuned.csv"), other).expect("written");
    assert!(small(&[]).status.success());

    let several = small(&["--variant", "deeper", "--set", "training.learning_rate=0.1,0.03"]);
    assert!(several.status.success(), "{}", String::from_utf8_lossy(&several.stderr));

    // Another network under the teacher's name makes another trial.
    let root = Scratch::new();
    root.experiments(&[]);
    let taught_by = |teacher: &str| {
        std::fs::create_dir_all(root.path("weights")).expect("made");
        for ending in ["safetensors", "toml"] {
            let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("weights/{teacher}.{ending}"));
            std::fs::copy(from, root.path(&format!("weights/cnn_tuned-large.{ending}"))).expect("copied");
        }
        run(&root, "cnn_small", &["--variant", "distilled", "--limit", "200", "--epochs", "1", "--seeds", "1"]);
        std::fs::read_dir(root.path("runs/cnn_small")).expect("trials").count()
    };
    assert_eq!(["cnn_tuned-large", "cnn_tuned-large", "cnn_tuned-small"].map(taught_by), [1, 1, 2]);
    let digit = root.path("digit.png");
    let stroke = |x: u32, y: u32| image::Rgb([if x.abs_diff(14) < 2 && y.abs_diff(14) < 9 { 255 } else { 0 }; 3]);
    image::RgbImage::from_fn(28, 28, stroke).save(&digit).expect("written");
    let predicted = run(&root, "cnn_small", &["--variant", "distilled", "--predict", &digit.to_string_lossy()]);
    assert!(String::from_utf8_lossy(&predicted.stdout).contains("digit.png"), "{predicted:?}");

    let unknown = small(&["--variant", "distilled", "--set", "model.teacher=cnn_tuned-huge"]);
    let error = error_of(&unknown);
    assert!(error.contains("cnn_tuned-huge") && error.contains("cnn_tuned-large"), "{error}");
}
