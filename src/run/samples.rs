//! Training images, as they are and as training changes them.

use super::{Run, Variant};
use crate::data::augmentation::Constants;
use crate::data::cats_dogs::{CLASSES, CatsDogs};
use crate::data::photographs::{SIDE, to_picture};
use crate::data::{DataSet, Examples};
use crate::experiment::Augmentation;
use crate::plot::{Section, Tile};
use crate::seed::{Purpose, draw};
use anyhow::{Context, Result};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// Pictures of training images, and which they are.
pub struct Samples {
    pub subtitle: String,
    pub sections: Vec<Section>,
    pub rows: Vec<Sample>,
}

/// One of the images shown.
#[derive(Debug, Serialize)]
pub struct Sample {
    pub file: String,
    pub label: &'static str,
}

/// The report's grids have 4 rows of 8.
const SHOWN: i64 = 32;

/// See [`Run::samples`].
pub(super) fn samples(run: &Run, photographs: &CatsDogs) -> Result<Samples> {
    let Variant { experiment, .. } = run.variants.first().context("the experiment has no variant")?;
    let augmentation = experiment.augmentation.as_ref().context("the experiment has no [augmentation], so there is nothing to show")?;
    let (all, seed) = (photographs.train.len(), run.flags.seed);
    let order = draw(seed, Purpose::Shuffle, 0, || Tensor::randperm(all, (Kind::Int64, Device::Cpu)));
    let places = order.narrow(0, 0, SHOWN.min(all));
    let Examples { images, labels } = photographs.train.select(&places);
    let labels: Vec<&'static str> = Vec::<i64>::try_from(labels)?.into_iter().map(|label| CLASSES[label as usize]).collect();
    let floats = images.to_kind(Kind::Float) / 255.0;
    let changed = changed(augmentation, &floats, &augmentation.numbers(images.size()[0], seed, 1, Device::Cpu));
    let file = |place: i64| photographs.names[place as usize].clone();
    let rows = Vec::<i64>::try_from(places)?.into_iter().zip(&labels).map(|(place, label)| Sample { file: file(place), label });
    Ok(Samples {
        subtitle: format!("{}; seed {seed}; not normalised", photographs.source().name),
        sections: vec![
            Section { heading: "Training images, 64x64".to_owned(), tiles: tiles(&floats, &labels)? },
            Section { heading: "The same, changed as in an epoch of training".to_owned(), tiles: tiles(&changed, &labels)? },
            Section {
                heading: "The first of them under each change alone, as far as it goes".to_owned(),
                tiles: alone(augmentation, &floats)?,
            },
        ],
        rows: rows.collect(),
    })
}

/// The first image under each change alone.
fn alone(augmentation: &Augmentation, images: &Tensor) -> Result<Vec<Tile>> {
    let image = images.narrow(0, 0, 1);
    // The largest of the numbers in [0, 1) takes every range to its end, and the smallest makes everything happen that may.
    let (most, least) = (Some(1.0 - f64::from(f32::EPSILON)), Some(0.0));
    let off = Augmentation::off();
    let Augmentation { rotation, flip, crop_scale, crop_ratio, brightness, contrast, saturation, hue, grey, .. } = *augmentation;
    let per_cent = |share: f64| format!("+{:.0} %", 100.0 * share);
    let mut cases = vec![
        (Augmentation { rotation, ..off.clone() }, most, format!("rotation, {rotation:.0}°")),
        (Augmentation { flip, ..off.clone() }, least, "flip".to_owned()),
        (Augmentation { crop_scale, crop_ratio, ..off.clone() }, least, "crop".to_owned()),
        (Augmentation { brightness, ..off.clone() }, most, format!("brightness {}", per_cent(brightness))),
        (Augmentation { contrast, ..off.clone() }, most, format!("contrast {}", per_cent(contrast))),
        (Augmentation { saturation, ..off.clone() }, most, format!("saturation {}", per_cent(saturation))),
        (Augmentation { hue, ..off.clone() }, most, format!("hue, {:.0}°", 360.0 * hue)),
        (Augmentation { grey, ..off.clone() }, least, "grey".to_owned()),
    ];
    // The report's photographs have none of these.
    let Augmentation { stretch, shear, shift, cutout, elastic, .. } = *augmentation;
    let others = [
        (Augmentation { stretch, ..off.clone() }, most, format!("stretch {}", per_cent(stretch))),
        (Augmentation { shear, ..off.clone() }, most, format!("shear, {shear:.0}°")),
        (Augmentation { shift, ..off.clone() }, most, format!("shift {}", per_cent(shift))),
        // Normal numbers have no end, and a square may be anywhere; some are drawn.
        (Augmentation { cutout, ..off.clone() }, None, "cutout".to_owned()),
        (Augmentation { elastic, ..off.clone() }, None, "elastic".to_owned()),
    ];
    cases.extend(others.into_iter().filter(|(alone, ..)| *alone != off));
    let tile = |(alone, number, caption): (Augmentation, Option<f64>, String)| {
        let numbers = alone.numbers(1, 0, 0, Device::Cpu);
        let numbers = number.map_or_else(|| numbers.shallow_clone(), |number| numbers.full_like(number));
        Ok(Tile { image: picture(&changed(&alone, &image, &numbers).get(0))?, caption })
    };
    cases.into_iter().map(tile).collect()
}

/// The images as `numbers` have it. Not normalized, they are black where they are blotted out.
fn changed(augmentation: &Augmentation, images: &Tensor, numbers: &Tensor) -> Tensor {
    let changes = augmentation.changes(numbers);
    let side = i64::from(SIDE);
    let constants = Constants::new(augmentation, [side, side], (images.kind(), images.device()));
    augmentation.cutout(augmentation.apply(images, &changes, &constants), &changes)
}

fn tiles(images: &Tensor, labels: &[&'static str]) -> Result<Vec<Tile>> {
    let tile = |(index, label): (usize, &&str)| Ok(Tile { image: picture(&images.get(index as i64))?, caption: (*label).to_owned() });
    labels.iter().enumerate().map(tile).collect()
}

/// An image `[3, height, width]`, in \[0, 1\].
fn picture(image: &Tensor) -> Result<image::RgbImage> {
    to_picture(&(image * 255.0).round().to_kind(Kind::Uint8))
}
