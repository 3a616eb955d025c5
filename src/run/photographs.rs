//! What a network trained on photographs says of those it has not learned from.

use super::trials::{self, Outcome, Trained};
use super::{Run, Variant};
use crate::data::Examples;
use crate::data::archive::Archive;
use crate::data::cats_dogs::{self, CLASSES, CatsDogs, Corrupt};
use crate::data::photographs::{Decoded, SIDE, decode_all, is_image, to_picture};
use crate::data::splits::{Inputs, Splits};
use crate::experiment::Experiment;
use crate::files::write_whole;
use crate::model::Model;
use crate::plot::{Section, Tile, draw_grid};
use crate::submission;
use crate::table;
use crate::train::{logits, predictions};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
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

fn network(outcome: &Outcome, experiment: &Experiment, device: Device) -> Result<Box<dyn Model>> {
    let side = i64::from(SIDE);
    trials::network(outcome, experiment, [3, side, side], CLASSES.len() as i64, device)
}

/// What a network of `experiment` says of images, uint8 `[n, 3, 64, 64]`: the likelier class of each, and its probability.
fn look(model: &dyn Model, images: &Tensor, experiment: &Experiment, device: Device) -> Result<Vec<(&'static str, f64)>> {
    let labels = Tensor::zeros([images.size()[0]], (Kind::Int64, Device::Cpu));
    let inputs = Inputs::new(&Examples { images: images.shallow_clone(), labels }, experiment.normalization.as_ref(), None, device)?;
    let said = predictions(&logits(model, &inputs))?;
    Ok(said.into_iter().map(|(class, confidence)| (CLASSES[class as usize], confidence)).collect())
}

/// See [`Run::write_predictions`].
pub(super) fn write_predictions(run: &Run, path: &Path) -> Result<()> {
    let (outcome, experiment) = newest(run)?;
    let archive = Archive::open(path)?;
    let (places, names): (Vec<usize>, Vec<&str>) = archive.names().enumerate().filter(|(_, name)| is_image(name)).unzip();
    ensure!(!places.is_empty(), "{} holds no images, expected files .jpg, .jpeg, .png, .bmp, .gif or .webp", path.display());
    let Decoded { images, good, bad } = decode_all(&archive, &places)?;
    let mut table = table::new(["file", "prediction", "confidence"]);
    let mut tiles = Vec::new();
    if !good.is_empty() {
        let model = network(&outcome, &experiment, run.device)?;
        for (index, (class, confidence)) in look(&*model, &images, &experiment, run.device)?.into_iter().enumerate() {
            let percent = format!("{:.1} %", 100.0 * confidence);
            table.add_row([names[good[index]], class, &percent]);
            tiles.push(Tile { image: to_picture(&images.get(index as i64))?, caption: format!("{class}, {percent}") });
        }
    }
    for (index, reason) in bad {
        table.add_row([names[index], "cannot be read", &reason]);
    }
    let title = format!("What {} are", path.display());
    let subtitle = format!("{} seed {}, after {} epochs", outcome.variant, outcome.seed, outcome.history.epochs());
    let heading = format!("{} images", tiles.len());
    let picture = draw_grid(&title, &subtitle, &[Section { heading, tiles }], 8)?;
    let png = crate::plot::to_png(&picture, &super::provenance::text_chunks(run, &title)?)?;
    write(run, "predictions.png", &png)?;
    run.show_picture(&format!("{}_predictions", run.name), &picture, &png)?;
    println!("{table}");
    Ok(())
}

/// The trial of this example that was finished last, with its resolved experiment.
fn newest(run: &Run) -> Result<(Outcome, Experiment)> {
    let folder = run.flags.runs.join(run.name);
    let newest = trials::newest(&folder)?;
    newest.with_context(|| format!("{} holds no trained network; run {} without --predict first", folder.display(), run.name))
}

fn write(run: &Run, what: &str, contents: &[u8]) -> Result<()> {
    let path = run.flags.out.join(format!("{}_{what}", run.name));
    write_whole(&path, contents)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
