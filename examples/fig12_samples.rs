//! Figure 12: training images of cats and dogs, the same images augmented, and one image under each augmentation alone.
//! Reads experiments/fig12_samples.toml; writes plots/fig12_samples.png and plots/fig12_samples.csv, which names the images.

use anyhow::Context;
use reproduction::data::cats_dogs::CLASSES;
use reproduction::data::photographs::to_picture;
use reproduction::data::splits::Inputs;
use reproduction::plot::{Section, Tile, draw_grid};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::say;
use reproduction::seed::{Purpose, draw};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// The report's grids have 4 rows of 8.
const COLUMNS: u32 = 8;
const SHOWN: i64 = 32;

/// One of the images shown: a line of the CSV.
#[derive(Serialize)]
struct Sample<'a> {
    file: &'a str,
    label: &'static str,
}

fn main() -> ExitCode {
    run::main(Run::start("fig12_samples"), make)
}

fn make(run: &Run) -> Result<()> {
    let photographs = run.cats_dogs()?;
    let variant = run.variants.first().context("the experiment has no variant")?;
    let augmentation = variant.experiment.augmentation.as_ref();
    let augmentation = augmentation.context("the experiment has no [augmentation], so there is nothing to show")?;
    let (all, seed) = (photographs.data.train.len(), variant.seeds.start);
    let order = draw(seed, Purpose::Shuffle, 0, || Tensor::randperm(all, (Kind::Int64, Device::Cpu)));
    let places = order.narrow(0, 0, SHOWN.min(all));
    let examples = photographs.data.train.select(&places);
    let places = Vec::<i64>::try_from(&places)?.into_iter().map(|place| place as usize);
    let labels = Vec::<i64>::try_from(&examples.labels)?.into_iter().map(|label| CLASSES[label as usize]);
    let samples: Vec<Sample> = places.zip(labels).map(|(place, label)| Sample { file: &photographs.names[place], label }).collect();

    let original = Inputs::new(&examples, None, Some(augmentation), Device::Cpu)?;
    let tiles = |inputs: &Inputs| -> Result<Vec<Tile>> {
        let images = inputs.range(0, inputs.len()).images;
        samples.iter().zip(0..).map(|(sample, index)| tile(&images.get(index), sample.label)).collect()
    };
    let alone = augmentation.each_alone(&original.range(0, 1).images);
    let alone = alone.iter().map(|(name, image)| tile(&image.get(0), name)).collect::<Result<_>>()?;
    let sections = [
        Section { heading: "Training images, 64x64".to_owned(), tiles: tiles(&original)? },
        Section { heading: "The same, augmented as in training".to_owned(), tiles: tiles(&original.augmented(seed, 1))? },
        Section { heading: "The first image under each augmentation alone, at full strength".to_owned(), tiles: alone },
    ];
    let title = "Figure 12: cats and dogs";
    let subtitle = format!("{}; seed {seed}; not normalized", photographs.data.source.name);
    run.write_picture(title, &draw_grid(title, &subtitle, &sections, COLUMNS)?, &samples)?;
    say!("{} training images are shown as they are and changed.", samples.len());
    Ok(())
}

/// An image `[3, height, width]`, floats in \[0, 1\].
fn tile(image: &Tensor, caption: &str) -> Result<Tile> {
    Ok(Tile { image: to_picture(&(image * 255.0).round().to_kind(Kind::Uint8))?, caption: caption.to_owned() })
}
