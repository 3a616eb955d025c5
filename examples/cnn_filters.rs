//! What the CNN of Figure 9 does: its first filters, and the validation digits that it misclassifies most confidently.
//! Trains, or takes what fig9_cnn has trained. Reads experiments/cnn_filters.toml; writes plots/cnn_filters.png, .csv and .md.

use anyhow::{Context, ensure};
use image::{Rgb, RgbImage};
use reproduction::data::splits::{Inputs, Splits};
use reproduction::model::Model;
use reproduction::plot::{Section, Tile, draw_grid, signed_picture};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::say;
use reproduction::submission::confusion;
use reproduction::train::{Misclassified, logits, misclassified};
use tch::Kind;

/// How many misclassified digits are shown, and how many tiles are side by side.
const SHOWN: usize = 27;
const COLUMNS: u32 = 9;

fn main() -> ExitCode {
    run::main(Run::start("cnn_filters"), make)
}

fn make(run: &Run) -> Result<()> {
    let digits = run.mnist()?;
    let trained = run.train(&digits)?;
    let first = trained.outcomes.first().context("nothing was trained")?;
    let validation = Splits::new(&digits.train, None, &first.experiment, first.seed, run.device)?.validation;
    let network = first.network(validation.image(), digits.classes.len() as i64, run.device)?;
    let logits = logits(&*network, &validation);
    let wrong = misclassified(&logits, &validation.labels)?;
    for Misclassified { validation_example, label, prediction, confidence } in wrong.iter().take(5) {
        say!("validation digit {validation_example}: a {label} taken for a {prediction} with {:.2} %", 100.0 * confidence);
    }

    let filters = filters(&*network)?;
    let heading = format!("The {} filters of the first layer: blue below zero, red above", filters.len());
    let of_filters = Section { heading, tiles: filters };
    let (count, all) = (wrong.len(), validation.len());
    let heading = format!("{count} of {all} validation digits are misclassified; the most confident errors: label → prediction");
    let tiles = wrong.iter().take(SHOWN).map(|row| digit(row, &validation)).collect::<Result<_>>()?;
    let of_digits = Section { heading, tiles };

    let title = "Inside the CNN of Figure 9";
    let (data, device, epochs) = (&trained.data, &trained.device, first.history.epochs());
    let subtitle = format!("{data}, {device}, seed {}, after {epochs} epochs", first.seed);
    run.write_picture(title, &draw_grid(title, &subtitle, &[of_filters, of_digits], COLUMNS)?, &wrong)?;
    let labels = Vec::<i64>::try_from(&validation.labels)?;
    let predictions = Vec::<i64>::try_from(logits.argmax(1, false))?;
    run.write_tables(&[("Validation digits", confusion(labels.iter().zip(&predictions)))])
}

/// The filters of the first convolution, `[filters, 1, height, width]`, all on one scale.
fn filters(network: &dyn Model) -> Result<Vec<Tile>> {
    let filters = network.parameters().into_iter().find(|parameter| parameter.tensor.dim() == 4);
    let filters = filters.context("the network has no convolution, so there are no filters to show")?.tensor;
    let (_, channels, height, width) = filters.size4()?;
    ensure!(channels == 1, "the first filters look at {channels} channels, expected 1: only filters of gray images are drawn");
    let values = Vec::<f32>::try_from(filters.to_kind(Kind::Float).flatten(0, -1))?;
    let largest = values.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let filters = values.chunks((height * width) as usize).zip(1..);
    let tile = |(values, number)| Tile { image: signed_picture(values, width as u32, largest), caption: format!("filter {number}") };
    Ok(filters.map(tile).collect())
}

/// A misclassified digit, dark on white.
fn digit(row: &Misclassified, inputs: &Inputs) -> Result<Tile> {
    let [_, height, width] = inputs.image().map(|size| size as u32);
    let pixels = Vec::<u8>::try_from(inputs.bytes(row.validation_example).flatten(0, -1))?;
    let image = RgbImage::from_fn(width, height, |x, y| Rgb([255 - pixels[(y * width + x) as usize]; 3]));
    Ok(Tile { image, caption: format!("{} → {}, {:.2} %", row.label, row.prediction, 100.0 * row.confidence) })
}
