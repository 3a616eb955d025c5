//! Training takes no more memory the longer it goes on. Alone in its process, since memory is counted for a process.

#![cfg(target_os = "linux")]

use reproduction::data::embedded;
use reproduction::data::splits::Splits;
use reproduction::device;
use reproduction::experiment::Experiment;
use reproduction::model::{Parameter, build};
use reproduction::train::{Callbacks, Checkpoints, Request, RunIdentity, State, fit};
use tch::Device;

/// Notes the resident memory after each epoch, and keeps where training stands every twenty.
struct Watching {
    checkpoints: Checkpoints,
    epochs: i64,
    kibibytes: Vec<u64>,
}

impl Callbacks for Watching {
    fn request(&mut self) -> Request {
        if self.epochs % 20 == 19 { Request::Checkpoint } else { Request::Continue }
    }

    fn after_epoch(&mut self, state: &State) {
        self.epochs = state.epoch;
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
        self.kibibytes.push(line.trim().trim_end_matches(" kB").parse().expect("a number"));
    }

    fn checkpoint(&mut self, state: &State, parameters: &[Parameter]) -> anyhow::Result<()> {
        self.checkpoints.write(state, parameters, &RunIdentity::default()).map(drop)
    }
}

#[test]
fn resident_memory_stays_flat_over_200_epochs() -> anyhow::Result<()> {
    device::select(device::Choice::Cpu)?;
    device::keep_memory();
    tch::set_num_threads(1);
    let text = r#"
        split = { validation = "last", validation_examples = 100 }
        model = { initialization = "glorot", layers = [{ convolution = 4 }, "max_pool", { fully_connected = 32 }, { dropout = 0.2 }, { fully_connected = 10 }] }
        training = { epochs = 200, minibatch = 50, learning_rate = 0.05, momentum = 0.9, order = "shuffled", keep = "best" }
    "#;
    let experiment: Experiment = toml::from_str(text)?;
    let (train, test) = embedded::digits(300, 100, 0);
    let splits = Splits::new(&train, Some(&test), &experiment, 1, Device::Cpu)?;
    let model = build(&experiment.model, [1, 28, 28], 10, 1, Device::Cpu)?;
    let folder = tempfile::tempdir()?;
    let mut watching = Watching { checkpoints: Checkpoints::new(folder.path().join("checkpoints")), epochs: 0, kibibytes: Vec::new() };
    fit(&*model, &splits, experiment.training()?, 1, State::new(experiment.training()?), &mut watching)?;
    // A graph of one epoch's evaluation would be 5 MB: 400 images of 4 x 28 x 28 values in the first layer alone.
    let (early, late) = (watching.kibibytes[59], watching.kibibytes[199]);
    println!("{early} KiB after epoch 60, {late} KiB after epoch 200");
    assert!(late < early + 2_048, "{early} KiB after epoch 60, {late} KiB after epoch 200");
    Ok(())
}
