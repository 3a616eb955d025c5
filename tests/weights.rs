//! Networks that are kept in weights/, and what they say of a user's own images.

mod common;

use common::{Scratch, error_of, example, few_digits};
use image::{GrayImage, Luma, imageops};
use reproduction::data::{Location, mnist};
use reproduction::files::sha256_of;
use std::fs::{self, File};
use std::path::Path;
use std::process::Output;

/// A network that is trained in no time.
const SMALL: &str = r#"
    run = ["plain", "small"]
    seeds = 1
    split = { validation = "last", validation_examples = 5000 }
    training = { epochs = 4, minibatch = 32, learning_rate = 0.05, momentum = 0.9, order = "shuffled" }
    model.initialization = "kaiming_uniform"
    variants.plain.model.layers = [{ fully_connected = 100 }, { fully_connected = 10 }]
    variants.small.model.layers = [{ fully_connected = 2 }, { fully_connected = 10 }]
"#;

fn run(scratch: &Scratch, flags: &[&str]) -> Output {
    example("mlp_tuned").current_dir(scratch.path("")).arg("--quiet").args(flags).output().expect("runs")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The first test digits as files `<number>_<label>.png`: as they are, and in another folder dark on light, of several sizes, none in the
/// middle.
fn write_digits(plain: &Path, changed: &Path, count: usize) {
    [plain, changed].into_iter().for_each(|folder| fs::create_dir_all(folder).expect("made"));
    let test = mnist::load(&Location::Path(few_digits()), Path::new(".")).expect("read").test.expect("with labels");
    for number in 0..count {
        let digit = Vec::<u8>::try_from(test.images.get(number as i64).flatten(0, -1)).expect("bytes");
        let label = test.labels.int64_value(&[number as i64]);
        let name = format!("{number}_{label}.png");
        GrayImage::from_raw(28, 28, digit.clone()).and_then(|digit| digit.save(plain.join(&name)).ok()).expect("written");
        let small = GrayImage::from_fn(28, 28, |x, y| Luma([255 - digit[(28 * y + x) as usize]]));
        let side = [40, 70, 100][number % 3];
        let mut picture = GrayImage::from_pixel(160, 120, Luma([255]));
        imageops::overlay(&mut picture, &imageops::resize(&small, side, side, imageops::FilterType::Triangle), 5, 15);
        picture.save(changed.join(name)).expect("written");
    }
}

/// How many of the files are taken for the label in their names.
fn accuracy(predictions: &Path) -> f64 {
    let text = fs::read_to_string(predictions).expect("written");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let right = rows.iter().filter(|row| row[0].ends_with(&format!("_{}.png", row[1]))).count();
    right as f64 / rows.len() as f64
}

#[test]
fn a_network_is_kept_and_reads_digits_of_any_size_dark_on_light() {
    let scratch = Scratch::new();
    scratch.experiments(&[("mlp_tuned", SMALL)]);
    write_digits(&scratch.path("as_they_are"), &scratch.path("digits"), 100);
    let error = error_of(&run(&scratch, &["--predict", "digits"]));
    assert!(error.contains("weights/ none of mlp_tuned") && error.contains("cargo run --example mlp_tuned, which takes about"), "{error}");

    let data = few_digits();
    let data = ["--data", &data.to_string_lossy()];
    let error = error_of(&run(&scratch, &[&data[..], &["--export-weights", "--out", "weights"]].concat()));
    assert!(error.contains("there is nothing to export") && error.contains("run mlp_tuned"), "{error}");
    said(&run(&scratch, &data));
    let error = error_of(&run(&scratch, &[&data[..], &["--export-weights"]].concat()));
    assert!(error.contains("weights/ takes the networks of experiments/mlp_tuned.toml as it stands, on the report's data"), "{error}");
    let wrote = said(&run(&scratch, &[&data[..], &["--export-weights", "--out", "weights"]].concat()));
    assert!(wrote.contains("wrote weights/mlp_tuned-plain.safetensors, in float16: validation accuracy 0."), "{wrote}");
    let card: toml::Table =
        toml::from_str(&fs::read_to_string(scratch.path("weights/mlp_tuned-plain.toml")).expect("there")).expect("TOML");
    assert_eq!((card["parameters"].as_integer(), card["epochs"].as_integer()), (Some(79_510), Some(4)));
    assert!(card["experiment"]["model"]["layers"].is_array() && card["provenance"]["data_checksum"].is_str());
    assert!(card["test"]["accuracy"].as_float().is_some_and(|accuracy| accuracy > 0.8), "{card}");

    // The trial comes first, where it is there; the better of the two that are kept otherwise.
    let text = said(&run(&scratch, &["--predict", "digits", "--variant", "plain"]));
    assert!(text.contains("the network is that of runs/mlp_tuned/plain-seed1-"), "{text}");
    fs::remove_dir_all(scratch.path("runs")).expect("removed");
    let text = said(&run(&scratch, &["--predict", "digits", "--out", "out"]));
    assert!(text.contains("weights/mlp_tuned-plain.safetensors: plain seed 1, after 4 epochs, validation accuracy "), "{text}");
    said(&run(&scratch, &["--predict", "as_they_are", "--out", "plain"]));
    let [changed, plain] = ["out", "plain"].map(|folder| accuracy(&scratch.path(&format!("{folder}/mlp_tuned_predictions.csv"))));
    // Drawn digits do not fill MNIST's box, to which files are scaled: the network reads either less well than what it learned from.
    assert!(plain > 0.6 && (changed - plain).abs() <= 0.05, "{changed} and {plain}");
    assert!(scratch.path("out/mlp_tuned_predictions.png").exists());
    let text = said(&run(&scratch, &["--predict", "digits", "--variant", "small"]));
    assert!(text.contains("weights/mlp_tuned-small.safetensors: small seed 1"), "{text}");

    let path = scratch.path("weights/mlp_tuned-plain.safetensors");
    let mut bytes = fs::read(&path).expect("there");
    *bytes.last_mut().expect("bytes") ^= 1;
    fs::write(&path, bytes).expect("written");
    let error = error_of(&run(&scratch, &["--predict", "digits"]));
    assert!(error.contains("mlp_tuned-plain.safetensors is damaged") && error.contains("git checkout -- weights"), "{error}");
}

#[test]
fn what_is_committed_is_whole_and_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
    let mut bytes = 0;
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|ending| ending == "safetensors") {
            let card: toml::Table = toml::from_str(&fs::read_to_string(path.with_extension("toml")).expect("what it is")).expect("TOML");
            let checksum = File::open(&path).and_then(sha256_of).expect("read");
            assert_eq!(card["sha256"].as_str(), Some(checksum.as_str()), "{}", path.display());
            bytes += path.metadata().expect("a file").len();
        }
    }
    assert!(bytes <= 16_000_000, "weights/ has {bytes} bytes");
}
