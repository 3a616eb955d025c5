//! The VGG of Figure 14 beside PyTorch and torchvision: a training step, and the augmentation of training images.
//!
//! `cargo bench --profile dev --bench vgg` runs ours and theirs (benches/peer_vgg.py) alternately on the same machine and threads, and
//! prints medians and ratios as Markdown; `-- step`, `augmentation` or `bf16` runs a part.

mod peer;

use anyhow::{Context, Result};
use peer::{Bench, Peer, Table, alternate};
use reproduction::data::cats_dogs::CLASSES;
use reproduction::data::embedded;
use reproduction::data::splits::Splits;
use reproduction::experiment::{Experiment, Precision};
use reproduction::layers::Mode;
use reproduction::loss::Objective;
use reproduction::model;
use reproduction::optim;
use std::time::Instant;
use tch::{Device, Tensor};

/// Images in a round of steps, and of augmentation.
const STEPS: i64 = 8 * 32;
const AUGMENTED: i64 = 4_096;

fn main() -> Result<()> {
    let Some(bench) = Bench::start()? else { return Ok(()) };
    let vgg = bench.experiments("kaggle_vgg.toml")?.variant("vgg")?;
    let mut low = vgg.clone();
    low.model.precision = Precision::Bf16;
    let minibatch = vgg.training()?.minibatch;
    let (train, _) = embedded::cats_dogs(AUGMENTED + AUGMENTED / 3, 0, 1);
    let splits = Splits::new(&train, None, &vgg, 1, Device::Cpu)?;

    let mut table = Table::new(&["PyTorch tight", "PyTorch channels-last"]);
    let peer = |work: &str, images: i64| -> Result<Peer> {
        let numbers = [("--images", images), ("--minibatch", minibatch), ("--threads", i64::from(bench.threads))];
        bench.script("peer_vgg.py", |command| {
            command.arg(work).args(numbers.iter().flat_map(|(flag, number)| [(*flag).to_owned(), number.to_string()]));
        })
    };
    let in_ms = 1e3 * minibatch as f64 / STEPS as f64;
    if bench.is_wanted("step") {
        let mut peers = [&mut peer("step", STEPS)?, &mut peer("channels_last", STEPS)?];
        table.add("VGG, training step of 32 images", in_ms, "ms", &alternate(5, steps(&vgg, &splits)?, &mut peers)?);
    }
    if bench.is_wanted("bf16") {
        let mut peers = [&mut peer("step", STEPS)?];
        let seconds = alternate(2, steps(&low, &splits)?, &mut peers)?;
        table.add("VGG, training step, --precision bf16 (theirs in f32)", in_ms, "ms", &seconds);
    }
    if bench.is_wanted("augmentation") {
        let mut peers = [&mut peer("augmentation", AUGMENTED)?];
        let seconds = alternate(5, || Ok(augment(&splits, minibatch)), &mut peers)?;
        table.add("augmentation of 1,000 images (theirs: torchvision)", 1e6 / AUGMENTED as f64, "ms", &seconds);
    }
    bench.finish(&table)
}

/// Seconds of a round of training steps on one minibatch, which both sides have ready in memory.
fn steps(experiment: &Experiment, splits: &Splits) -> Result<impl FnMut() -> Result<f64>> {
    let training = experiment.training().context("training")?;
    let model = model::build(&experiment.model, splits.train.image(), CLASSES.len() as i64, 1, Device::Cpu)?;
    let (mut parameters, mut sgd) = (model.parameters(), optim::build(training));
    let minibatch = splits.train.range(0, training.minibatch);
    Ok(move || {
        let started = Instant::now();
        for number in 0..STEPS / minibatch.labels.size()[0] {
            let mode = Mode::Train { seed: 1, minibatch: number as u64 };
            let (_, gradients) = model.gradients(&minibatch.images, &minibatch.labels, mode, Objective::default());
            sgd.step(&mut parameters, &gradients);
        }
        Ok(started.elapsed().as_secs_f64())
    })
}

/// Seconds of a shuffled epoch of minibatches, changed, normalised and not used.
fn augment(splits: &Splits, minibatch: i64) -> f64 {
    let started = Instant::now();
    let examples = splits.train.augmented(1, 1);
    let order = Tensor::randperm(examples.len(), (tch::Kind::Int64, Device::Cpu)).narrow(0, 0, AUGMENTED);
    for index in order.split(minibatch, 0) {
        drop(examples.select(&index).images);
    }
    started.elapsed().as_secs_f64()
}
