//! What a network trained on photographs says of those it has not learned from.

use super::trials::{self, Outcome, Trained};
use super::{Run, Variant};
use crate::data::Examples;
use crate::data::cats_dogs::{self, CLASSES, CatsDogs, Corrupt};
use crate::data::photographs::SIDE;
use crate::data::splits::{Inputs, Splits};
use crate::experiment::Experiment;
use crate::files::write_whole;
use crate::model::Model;
use crate::submission;
use crate::train::{logits, predictions};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// What a network says of one validation image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prediction {
    pub file: String,
    pub label: String,
    pub prediction: String,
    /// The probability that the network gives its prediction.
    pub confidence: f64,
}

pub(super) fn load(run: &Run) -> Result<CatsDogs> {
    let corrupt = if run.flags.skip_corrupt { Corrupt::LeaveOut } else { Corrupt::Refuse };
    cats_dogs::load(&run.flags.data(), corrupt, &run.root)
}

/// See [`Run::write_submission`].
pub(super) fn write_submission(run: &Run, trained: &Trained, photographs: &CatsDogs) -> Result<()> {
    let outcome = trained.outcomes.first().context("nothing was trained")?;
    let Variant { experiment, .. } = run.variants.iter().find(|variant| variant.name == outcome.variant).context("the variant")?;
    let model = network(outcome, experiment, run.device)?;
    let (_, places) = Splits::places(photographs.train.len(), experiment, outcome.seed)?;
    let Examples { images, labels } = photographs.train.select(&places);
    let said = look(&*model, &images, experiment, run.device)?;
    let labels = Vec::<i64>::try_from(labels)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    for ((place, label), (prediction, confidence)) in Vec::<i64>::try_from(&places)?.into_iter().zip(labels).zip(said) {
        let (file, label) = (photographs.names[place as usize].clone(), CLASSES[label as usize].to_owned());
        writer.serialize(Prediction { file, label, prediction: prediction.to_owned(), confidence })?;
    }
    write(run, "validation.csv", &writer.into_inner()?)?;

    let said = look(&*model, &photographs.test, experiment, run.device)?;
    let labels: Vec<&str> = said.iter().map(|(label, _)| *label).collect();
    write(run, "submission.csv", &submission::to_csv(&photographs.ids, &labels, &CLASSES)?)
}

pub(super) fn network(outcome: &Outcome, experiment: &Experiment, device: Device) -> Result<Box<dyn Model>> {
    let side = i64::from(SIDE);
    trials::network(outcome, experiment, [3, side, side], CLASSES.len() as i64, device)
}

/// What a network of `experiment` says of images, uint8 `[n, 3, 64, 64]`: the likelier class of each, and its probability.
pub(super) fn look(model: &dyn Model, images: &Tensor, experiment: &Experiment, device: Device) -> Result<Vec<(&'static str, f64)>> {
    let labels = Tensor::zeros([images.size()[0]], (Kind::Int64, Device::Cpu));
    let inputs = Inputs::new(&Examples { images: images.shallow_clone(), labels }, experiment.normalization.as_ref(), None, device)?;
    let said = predictions(&logits(model, &inputs))?;
    Ok(said.into_iter().map(|(class, confidence)| (CLASSES[class as usize], confidence)).collect())
}

pub(super) fn write(run: &Run, what: &str, contents: &[u8]) -> Result<()> {
    let path = run.flags.out.join(format!("{}_{what}", run.name));
    write_whole(&path, contents)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
