//! The crate as a library: the program of the documentation, and parameters that PyTorch reads.

mod common;

use common::{Scratch, few_digits};
use reproduction::data::Location;
use reproduction::experiment::{self, Initialization, Layer, Precision, Views};
use reproduction::layers::Mode;
use reproduction::model::{Model, build};
use reproduction::train::parameters::{load, save};
use std::path::Path;
use std::process::Command;
use tch::{Device, Kind, Tensor};

#[path = "../docs/library.rs"]
#[allow(clippy::print_stdout, dead_code)]
mod program;

#[test]
fn the_program_of_the_documentation_learns() {
    let accuracy = program::accuracy(&Location::Path(few_digits())).expect("trains");
    assert!(accuracy > 0.5, "{accuracy}");
}

/// Networks for images `[2, 12, 10]` and 5 classes, as tests/library.py has them too.
fn networks() -> [(&'static str, Vec<i64>, Vec<Layer>); 3] {
    use Layer::{BatchNorm, Convolution, FullyConnected, GlobalAveragePool, GroupNorm, MaxPool, ResidualBlock};
    [
        ("mlp", vec![7, 6], vec![]),
        ("cnn", vec![], vec![Convolution(3), MaxPool, Convolution(4), GroupNorm(2), FullyConnected(6), FullyConnected(5)]),
        (
            "resnet",
            vec![],
            vec![Convolution(4), BatchNorm, MaxPool, ResidualBlock(4), ResidualBlock(6), GlobalAveragePool, FullyConnected(5)],
        ),
    ]
}

fn network(hidden: Vec<i64>, layers: Vec<Layer>, seed: u64) -> Box<dyn Model> {
    let model = experiment::Model {
        hidden,
        layers,
        initialization: Initialization::KaimingUniform,
        bias_initialization: None,
        precision: Precision::F32,
        views: Views::Single,
        parameters: None,
    };
    build(&model, [2, 12, 10], 5, seed, Device::Cpu).expect("fits")
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
    for (name, hidden, layers) in networks() {
        let images = Tensor::rand([6, 2, 12, 10], (Kind::Float, Device::Cpu));
        let trained = network(hidden.clone(), layers.clone(), 1);
        // Running means and variances of its own.
        let _ = trained.logits(&(&images * 3.0), Mode::Train { seed: 1, minibatch: 0 });
        let logits = trained.logits(&images, Mode::Eval);
        let path = scratch.path(&format!("{name}.safetensors"));
        save(&trained.state_dict(), &path).expect("written");
        let example = [("images", &images), ("logits", &logits)];
        Tensor::write_safetensors(&example, scratch.path(&format!("{name}_example.safetensors"))).expect("written");

        let again = network(hidden, layers, 2);
        assert_ne!(again.logits(&images, Mode::Eval), logits);
        load(&mut again.state_dict(), &path).expect("read");
        assert_eq!(again.logits(&images, Mode::Eval), logits, "{name}");
    }

    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python");
        if packages.is_dir() {
            command.env("PYTHONPATH", packages);
        }
        command.args(arguments).output()
    };
    if !python(&["-c", "import torch, safetensors.torch"]).is_ok_and(|output| output.status.success()) {
        eprintln!("python3 has no torch and safetensors: what PyTorch makes of the saved networks is not tested");
        return;
    }
    let output = python(&["-c", program, &scratch.path("").to_string_lossy()]).expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
