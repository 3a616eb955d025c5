//! What a trained network does: its first filters, and the images that mislead it most.

use super::trials::Trained;
use super::{Run, Variant};
use crate::data::DataSet;
use crate::data::mnist::Mnist;
use crate::data::splits::{Inputs, Splits};
use crate::plot::{Section, Tile};
use crate::train::{logits, predictions};
use anyhow::{Context, Result, ensure};
use image::{Rgb, RgbImage};
use serde::Serialize;
use tch::{Kind, Tensor};

/// Pictures of a network, and what they show as rows of a table.
pub struct Inside {
    /// Where the network comes from.
    pub subtitle: String,
    pub sections: Vec<Section>,
    pub rows: Vec<Row>,
}

/// One wrongly classified image.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The example's place in the validation split.
    pub validation_example: i64,
    pub label: i64,
    pub prediction: i64,
    /// The probability that the network gives its prediction.
    pub confidence: f64,
}

/// How many wrong images are shown.
const SHOWN: usize = 27;

/// See [`Run::look_inside`].
pub(super) fn look(run: &Run, trained: &Trained, digits: &Mnist) -> Result<Inside> {
    let outcome = trained.outcomes.first().context("nothing was trained")?;
    let Variant { experiment, .. } = run.variants.iter().find(|variant| variant.name == outcome.variant).context("the variant")?;
    let splits = Splits::new(&digits.train, None, experiment, outcome.seed, run.device)?;
    let model = outcome.network(splits.train.image(), digits.classes().len() as i64, run.device)?;
    let filters = model.parameters().into_iter().find(|parameter| parameter.tensor.dim() == 4);
    let filters = filters.context("the network has no convolution, so there are no filters to show")?;
    let rows = most_confidently_wrong(&logits(&*model, &splits.validation), &splits.validation.labels)?;

    let filter_tiles = filter_tiles(&filters.tensor)?;
    let shown = &rows[..rows.len().min(SHOWN)];
    let wrong_tiles = shown.iter().map(|row| wrong_tile(row, &splits.validation)).collect::<Result<Vec<_>>>()?;
    let last = outcome.history.epochs();
    let heading =
        format!("{} of {} validation digits were wrong; those it was surest of: label → prediction", rows.len(), splits.validation.len());
    Ok(Inside {
        subtitle: format!("{}, {}, seed {}, after {last} epochs", trained.data, trained.device, outcome.seed),
        sections: vec![
            Section {
                heading: format!("The {} filters of the first layer: blue below zero, red above", filter_tiles.len()),
                tiles: filter_tiles,
            },
            Section { heading, tiles: wrong_tiles },
        ],
        rows,
    })
}

/// Every wrong example, the surest first.
fn most_confidently_wrong(logits: &Tensor, labels: &Tensor) -> Result<Vec<Row>> {
    let said = predictions(logits)?.into_iter();
    let row = |(validation_example, ((prediction, confidence), label))| Row { validation_example, label, prediction, confidence };
    let mut rows: Vec<Row> =
        (0..).zip(said.zip(Vec::<i64>::try_from(labels)?)).map(row).filter(|row| row.label != row.prediction).collect();
    rows.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    Ok(rows)
}

/// Filters `[n, 1, height, width]`, all on one scale from blue by white to red.
fn filter_tiles(filters: &Tensor) -> Result<Vec<Tile>> {
    let (count, channels, height, width) = filters.size4()?;
    ensure!(channels == 1, "the first filters look at {channels} channels, expected 1: only filters of grey images are drawn");
    let values = Vec::<f32>::try_from(filters.to_kind(Kind::Float).flatten(0, -1))?;
    let largest = values.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let colour = |value: &f32| {
        let share = value / largest;
        let faded = (255.0 * (1.0 - share.abs())) as u8;
        if share < 0.0 { Rgb([faded, faded, 255]) } else { Rgb([255, faded, faded]) }
    };
    let tile = |(index, values): (usize, &[f32])| Tile {
        image: RgbImage::from_fn(width as u32, height as u32, |x, y| colour(&values[(y * width as u32 + x) as usize])),
        caption: format!("filter {}", index + 1),
    };
    let tiles: Vec<Tile> = values.chunks((height * width) as usize).enumerate().map(tile).collect();
    ensure!(tiles.len() as i64 == count, "expected {count} filters");
    Ok(tiles)
}

fn wrong_tile(row: &Row, inputs: &Inputs) -> Result<Tile> {
    let [_, height, width] = inputs.image();
    let pixels = Vec::<u8>::try_from(inputs.bytes(row.validation_example).flatten(0, -1))?;
    let grey = |x: u32, y: u32| 255 - pixels[(y * width as u32 + x) as usize];
    let image = RgbImage::from_fn(width as u32, height as u32, |x, y| Rgb([grey(x, y); 3]));
    Ok(Tile { image, caption: format!("{} → {}, {:.2} %", row.label, row.prediction, 100.0 * row.confidence) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_examples_come_surest_first() -> Result<()> {
        let logits = Tensor::from_slice(&[0.0, 1.0, 5.0, 0.0, 0.0, 3.0, 0.0, 9.0]).view([4, 2]);
        let rows = most_confidently_wrong(&logits, &Tensor::from_slice(&[0_i64, 1, 0, 1]))?;
        let found: Vec<(i64, i64, i64)> = rows.iter().map(|row| (row.validation_example, row.label, row.prediction)).collect();
        assert_eq!(found, [(1, 1, 0), (2, 0, 1), (0, 0, 1)], "the fourth is right");
        assert!((rows[0].confidence - 1.0 / (1.0 + (-5.0_f64).exp())).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn filters_are_on_one_scale_with_white_at_zero() -> Result<()> {
        let filters = Tensor::from_slice(&[0.0_f32, 2.0, -1.0, 1.0]).view([2, 1, 1, 2]);
        let tiles = filter_tiles(&filters)?;
        let pixel = |tile: usize, x: u32| tiles[tile].image.get_pixel(x, 0).0;
        assert_eq!([pixel(0, 0), pixel(0, 1), pixel(1, 0), pixel(1, 1)], [[255; 3], [255, 0, 0], [127, 127, 255], [255, 127, 127]]);
        assert!(filter_tiles(&Tensor::zeros([2, 3, 3, 3], (Kind::Float, tch::Device::Cpu))).is_err());
        Ok(())
    }
}
