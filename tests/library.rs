//! The crate as a library: the program of the documentation, parameters that PyTorch reads, and tables that SciPy recomputes.

mod common;

use common::{Scratch, few_digits};
use reproduction::data::cats_dogs::{self, CatsDogs, Corrupt};
use reproduction::data::splits::Splits;
use reproduction::data::{Examples, Location, embedded, mnist};
use reproduction::experiment::{self, Experiment, Initialization, Layer, Precision, Views};
use reproduction::layers::Mode;
use reproduction::model::{Model, build};
use reproduction::train::logits;
use reproduction::train::parameters::{load, save};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tch::{Device, Kind, Tensor};

#[path = "../docs/library.rs"]
#[allow(clippy::print_stdout, dead_code)]
mod program;

#[test]
fn the_program_of_the_documentation_learns() {
    let accuracy = program::accuracy(&Location::Path(few_digits())).expect("trains");
    assert!(accuracy > 0.5, "{accuracy}");
}

/// Networks for images `[2, 12, 10]` and 5 classes.
fn networks() -> [(&'static str, experiment::Model); 3] {
    use Layer::{BatchNorm, Convolution, Dropout, FullyConnected, GlobalAveragePool, GroupNorm, MaxPool, ResidualBlock};
    let model = |hidden, layers, test_time_augmentation| experiment::Model {
        hidden,
        layers,
        initialization: Initialization::KaimingUniform,
        bias_initialization: None,
        precision: Precision::F32,
        test_time_augmentation,
        teacher: None,
        parameters: None,
    };
    let cnn = vec![Convolution(3), MaxPool, Convolution(4), GroupNorm(2), FullyConnected(6), BatchNorm, Dropout(0.3), FullyConnected(5)];
    let resnet = vec![Convolution(4), BatchNorm, MaxPool, ResidualBlock(4), ResidualBlock(6), GlobalAveragePool, FullyConnected(5)];
    [
        ("mlp", model(vec![7, 6], vec![], Views::Single)),
        ("cnn", model(vec![], cnn, Views::Shifted)),
        ("resnet", model(vec![], resnet, Views::Mirrored)),
    ]
}

fn network(model: &experiment::Model, seed: u64) -> Box<dyn Model> {
    build(model, [2, 12, 10], 5, seed, Device::Cpu).expect("fits")
}

/// The images, uint8, and what we make of them, where tests/library.py finds them.
fn write_example(images: &Tensor, logits: &Tensor, submitted: Option<&Tensor>, path: &Path) {
    let mut example = vec![("images", images), ("logits", logits)];
    example.extend(submitted.map(|submitted| ("submitted", submitted)));
    Tensor::write_safetensors(&example, path).expect("written");
}

/// Copies a committed network into `folder`, and writes its logits of validation images there: of the data that the environment names,
/// else of drawn ones; of cats and dogs also those of the test images, with the committed submission.
fn write_committed(card: &Path, folder: &Path) {
    let text = fs::read_to_string(card).expect("read");
    let mut experiment: Experiment = text.parse::<toml::Table>().expect("TOML")["experiment"].clone().try_into().expect("an experiment");
    experiment.model.precision = Precision::F32;
    let name = card.file_stem().expect("a name").to_string_lossy();
    let is_digits = !name.starts_with("kaggle");
    let named = |variable| std::env::var_os(variable).map(|path| Location::Path(PathBuf::from(path)));
    let mut photographs: Option<CatsDogs> = None;
    let train = if is_digits {
        let digits = named("MNIST_DIR").map(|location| mnist::load(&location, Path::new(".")).expect("read").train);
        digits.unwrap_or_else(|| embedded::digits(10_000, 0, 0).0)
    } else if let Some(location) = named("CATS_DOGS") {
        photographs.insert(cats_dogs::load(&location, Corrupt::Refuse, Path::new(".")).expect("read")).train.share()
    } else {
        embedded::cats_dogs(1_000, 0, 0).0
    };
    let validation = Splits::places(train.len(), &experiment, 1).expect("a split").1;
    let mut images = train.select(&validation.narrow(0, 0, 200)).images;
    let mut submitted = None;
    if let Some(CatsDogs { asked: Some(asked), test, .. }) = &photographs {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plots/kaggle_ahead_submission.csv");
        let classes: Vec<(i64, i64)> = (fs::read_to_string(path).expect("committed").lines().skip(1))
            .filter_map(|line| line.split_once(','))
            .map(|(id, class)| (id.parse().expect("a number"), i64::from(class == cats_dogs::CLASSES[1])))
            .collect();
        let class = |id: &i64| classes.iter().find(|(known, _)| known == id).expect("every test image is submitted").1;
        let all: Vec<i64> = [-1].repeat(200).into_iter().chain(asked.ids.iter().map(class)).collect();
        images = Tensor::cat(&[images, test.shallow_clone()], 0);
        submitted = Some(Tensor::from_slice(&all));
    }
    let (image, classes) = if is_digits { ([1, 28, 28], 10) } else { ([3, 64, 64], 2) };
    let network = build(&experiment.model, image, classes, 1, Device::Cpu).expect("fits");
    load(&mut network.state_dict(), &card.with_extension("safetensors")).expect("read");
    let labels = Tensor::zeros([images.size()[0]], (Kind::Int64, Device::Cpu));
    let examples = Examples { images: images.shallow_clone(), labels };
    let inputs = reproduction::data::splits::Inputs::new(&examples, experiment.normalization.as_ref(), None, Device::Cpu).expect("fits");
    for extension in ["toml", "safetensors"] {
        let from = card.with_extension(extension);
        fs::copy(&from, folder.join(from.file_name().expect("a name"))).expect("copied");
    }
    write_example(&images, &logits(&*network, &inputs), submitted.as_ref(), &folder.join(format!("{name}.example")));
}

/// Runs python3, with the packages of `benches/` where they are.
fn python(arguments: &[&str]) -> std::io::Result<Output> {
    let mut command = Command::new("python3");
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python");
    if packages.is_dir() {
        command.env("PYTHONPATH", packages);
    }
    command.args(arguments).output()
}

/// Saved, read by another network of ours and, where there is one, by PyTorch: the logits are the same.
#[test]
fn a_saved_network_has_the_same_logits_here_and_in_pytorch() {
    let program = include_str!("library.py");
    let documented = include_str!("../docs/extending.md").split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines: Vec<&str> = documented.expect("docs/extending.md has a piece of Python").lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in lines {
        assert!(program.contains(line), "the documented line `{line}` is not in tests/library.py");
    }

    let scratch = Scratch::new();
    for (name, model) in networks() {
        let bytes = Tensor::randint(256, [6, 2, 12, 10], (Kind::Uint8, Device::Cpu));
        let images = bytes.to_kind(Kind::Float) / 255.0;
        let trained = network(&model, 1);
        // Running means and variances of its own.
        let _ = trained.logits(&(&images * 3.0), Mode::Train { seed: 1, minibatch: 0 });
        let logits = trained.logits(&images, Mode::Eval);
        let path = scratch.path(&format!("{name}.safetensors"));
        save(&trained.state_dict(), &path).expect("written");
        fs::write(path.with_extension("toml"), toml::to_string(&std::collections::BTreeMap::from([("model", &model)])).expect("TOML"))
            .expect("written");
        write_example(&bytes, &logits, None, &path.with_extension("example"));

        let again = network(&model, 2);
        assert_ne!(again.logits(&images, Mode::Eval), logits);
        load(&mut again.state_dict(), &path).expect("read");
        assert_eq!(again.logits(&images, Mode::Eval), logits, "{name}");
    }

    if !python(&["-c", "import torch, safetensors.torch"]).is_ok_and(|output| output.status.success()) {
        eprintln!("python3 has no torch and safetensors: what PyTorch makes of the saved networks is not tested");
        return;
    }
    for card in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("weights")).into_iter().flatten().flatten() {
        if card.path().extension().is_some_and(|ending| ending == "toml") {
            write_committed(&card.path(), &scratch.path(""));
        }
    }
    let output = python(&["-c", program, &scratch.path("").to_string_lossy()]).expect("runs");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn scipy_computes_the_same_tables_from_the_csvs() {
    if !python(&["-c", "import tomllib, scipy"]).is_ok_and(|output| output.status.success()) {
        eprintln!("python3 has no scipy: the committed tables are not recomputed with it");
        return;
    }
    let output = python(&["-c", include_str!("tables.py"), env!("CARGO_MANIFEST_DIR")]).expect("runs");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The program of the documentation as a crate of its own, elsewhere, with the files that the documentation shows.
#[test]
fn a_dependent_crate_builds_and_starts_with_what_setup_made() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documentation = fs::read_to_string(root.join("docs/extending.md")).expect("read");
    let section = documentation.split("## As a library").nth(1).expect("a section");
    let block = |language: &str, place: usize| {
        let block = section.split(&format!("```{language}\n")).nth(place).and_then(|rest| rest.split("```").next());
        block.unwrap_or_else(|| panic!("{language} {place}")).replace("/path/to/reproduction", &root.display().to_string())
    };
    let scratch = Scratch::new();
    for folder in ["src", ".cargo"] {
        fs::create_dir_all(scratch.path(folder)).expect("made");
    }
    // The same versions and profiles, so that what is compiled for this crate serves for the dependent one.
    let cargo = fs::read_to_string(root.join("Cargo.toml")).expect("read");
    let profiles = cargo.find("[profile.dev]").zip(cargo.find("[[bench]]")).map(|(start, end)| &cargo[start..end]).expect("profiles");
    let manifest = format!("[package]\nname = \"dependent\"\nedition = \"2024\"\n\n{}\n{profiles}", block("toml", 1));
    fs::write(scratch.path("Cargo.toml"), manifest).expect("written");
    fs::write(scratch.path("build.rs"), block("rust", 1)).expect("written");
    // In the place of libtorch/, what this very test was built with.
    if let Ok(libtorch) = std::env::var("LIBTORCH") {
        let settings = block("toml", 2).replace(&format!("{}/libtorch/torch", root.display()), &libtorch);
        fs::write(scratch.path(".cargo/config.toml"), settings).expect("written");
    }
    fs::copy(root.join("docs/library.rs"), scratch.path("src/main.rs")).expect("copied");
    fs::copy(root.join("Cargo.lock"), scratch.path("Cargo.lock")).expect("copied");

    let profile = std::env::current_exe().expect("a path").ancestors().nth(2).expect("target/<profile>/deps").to_owned();
    let is_release = profile.ends_with("release");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--offline", "--quiet"]).args(is_release.then_some("--release")).current_dir(scratch.path(""));
    build.env("CARGO_TARGET_DIR", profile.parent().expect("target")).env_remove("LD_LIBRARY_PATH");
    // What Cargo sets for a test: torch-sys would take LIBTORCH_LIB for the user's, and build scripts run again where the others differ.
    let of_test = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "LIBTORCH", "OUT_DIR"].iter().any(|start| name.starts_with(start));
    for (name, _) in std::env::vars().filter(|(name, _)| of_test(name)) {
        build.env_remove(name);
    }
    let output = build.output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut program = Command::new(profile.join("dependent"));
    let output = program.current_dir(scratch.path("")).env_remove("LD_LIBRARY_PATH").env("MNIST_DIR", few_digits()).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("% of the test images are right\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
