//! Predictions for photographs.

use super::Run;
use super::progress::Display;
use super::trials::Trained;
use crate::data::Examples;
use crate::data::cats_dogs::{CLASSES, CatsDogs};
use crate::data::photographs::SIDE;
use crate::data::splits::{Inputs, Splits};
use crate::experiment::Experiment;
use crate::files::write_whole;
use crate::model::Model;
use crate::submission::{self, Prediction};
use crate::train::{logits_while, predictions};
use anyhow::{Context, Result};
use std::convert::Infallible;
use tch::{Device, Kind, Tensor};

/// How many test images are listed where others are only counted.
const FEW: usize = 20;

/// See [`Run::write_submission`].
pub(super) fn write_submission(run: &Run, trained: &Trained, photographs: &CatsDogs) -> Result<()> {
    let outcome = trained.outcomes.first().context("nothing was trained")?;
    let (side, experiment) = (i64::from(SIDE), &outcome.experiment);
    let model = outcome.network([3, side, side], CLASSES.len() as i64, run.device)?;
    let (_, places) = Splits::places(photographs.train.len(), experiment, outcome.seed)?;
    let Examples { images, labels } = photographs.train.select(&places);
    let names = Vec::<i64>::try_from(&places)?.into_iter().map(|place| &photographs.names[place as usize]);
    let test = &photographs.test;
    let all = (images.size()[0] + test.size()[0]) as u64;
    let display = Display::new(all, run.flags.quiet);
    let advance = |count| {
        display.advance(count as u64);
        display.say(format!("predictions for {all} validation and test images"), false);
    };
    write_predictions(run, "validation.csv", names, &labels, &predict(&*model, &images, experiment, &CLASSES, run.device, advance)?)?;

    let predictions = if test.size()[0] == 0 { Vec::new() } else { predict(&*model, test, experiment, &CLASSES, run.device, advance)? };
    drop(display);
    if let Some(labels) = &photographs.test_labels {
        write_predictions(run, "test.csv", photographs.test_names.iter(), labels, &predictions)?;
    }
    let path = run.out().join(format!("{}_submission.csv", run.name));
    let Some(asked) = &photographs.asked else {
        let older = if path.exists() { format!("; {} is of an earlier run, on other data", path.display()) } else { String::new() };
        tell!("no submission is written, for these data have no competition's test images (testset/test, test1 or test){older}");
        return Ok(());
    };
    write(run, "submission.csv", &submission::to_csv(asked, &predictions, &photographs.train.labels)?)?;
    if !asked.unreadable.is_empty() {
        let count = asked.unreadable.len();
        let numbers: Vec<String> = asked.unreadable.iter().take(FEW).map(i64::to_string).collect();
        let others = if count > FEW { format!(" and {} more", count - FEW) } else { String::new() };
        let numbers = numbers.join(", ");
        tell!("test images that cannot be read have the class of most training images in the submission ({count}): {numbers}{others}");
    }
    Ok(())
}

/// Writes the predictions for images whose labels are known, a line for each.
fn write_predictions<'a>(
    run: &Run,
    what: &str,
    names: impl Iterator<Item = &'a String>,
    labels: &Tensor,
    predictions: &[(&str, f64)],
) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for ((file, label), (prediction, confidence)) in names.zip(Vec::<i64>::try_from(labels)?).zip(predictions) {
        let (label, prediction) = (CLASSES[label as usize].to_owned(), (*prediction).to_owned());
        writer.serialize(Prediction { file: file.clone(), label, prediction, confidence: *confidence })?;
    }
    write(run, what, &writer.into_inner()?)
}

/// Predictions for images, uint8 `[n, channels, height, width]`: the likeliest of `classes`, and its probability. `advance` is told of each
/// part of them.
pub(super) fn predict(
    model: &dyn Model,
    images: &Tensor,
    experiment: &Experiment,
    classes: &[&'static str],
    device: Device,
    advance: impl Fn(i64),
) -> Result<Vec<(&'static str, f64)>> {
    let Ok(logits) = logits_while(model, &inputs(images, experiment, device)?, |count| {
        advance(count);
        Ok::<(), Infallible>(())
    });
    let predictions = predictions(&logits)?;
    Ok(predictions.into_iter().map(|(class, confidence)| (classes[class as usize], confidence)).collect())
}

/// Images, uint8 `[n, channels, height, width]`, as the network of `experiment` takes them.
pub(super) fn inputs(images: &Tensor, experiment: &Experiment, device: Device) -> Result<Inputs> {
    let labels = Tensor::zeros([images.size()[0]], (Kind::Int64, Device::Cpu));
    Inputs::new(&Examples { images: images.shallow_clone(), labels }, experiment.normalization.as_ref(), None, device)
}

pub(super) fn write(run: &Run, what: &str, contents: &[u8]) -> Result<()> {
    let path = run.out().join(format!("{}_{what}", run.name));
    write_whole(&path, contents)?;
    tell!("wrote {}", path.display());
    Ok(())
}
