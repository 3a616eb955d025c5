//! Tables, for a terminal and as Markdown.

use crate::architecture::{Architecture, Stage};
use crate::experiment::{Layer, Variant};
use crate::files;
use crate::layers::Description;
use crate::plot::thousands;
use crate::points::{Origin, Panel, Point, Quantity, with_deviation};
use anyhow::Result;
pub use comfy_table::Table;
use comfy_table::{CellAlignment, presets};
use serde::{Deserialize, Serialize};
use std::path::Path;

pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(headings);
    table
}

pub fn markdown(table: &Table) -> String {
    let mut table = table.clone();
    table.load_style(presets::ASCII_MARKDOWN);
    format!("{table}\n")
}

/// The variant `name` as people call it, with the sizes of its hidden layers or its number of parameters if it is one of `variants`.
pub fn network(variants: &[Variant], name: &str) -> String {
    let model = variants.iter().find(|variant| variant.name == name).map(|variant| &variant.experiment.model);
    let hidden = model.map(|model| model.hidden.iter().map(i64::to_string).collect::<Vec<_>>().join("-"));
    let parameters = model.and_then(|model| Some(format!("{} parameters", thousands(model.parameters?))));
    let size = hidden.filter(|hidden| !hidden.is_empty()).or(parameters).map_or(String::new(), |size| format!(": {size}"));
    format!("{}{size}", name.replace('_', " "))
}

/// Dropout, L2 and learning rate of the variant `name`, as the report's Figure 15 names its runs; nothing if it is none of `variants`.
pub fn settings(variants: &[Variant], name: &str) -> String {
    let Some(Variant { experiment, .. }) = variants.iter().find(|variant| variant.name == name) else { return String::new() };
    let dropout =
        experiment.model.layers.iter().find_map(|layer| if let Layer::Dropout(probability) = layer { Some(*probability) } else { None });
    let dropout = dropout.map(|probability| format!("dropout {probability}"));
    let training = experiment.training.as_ref();
    let rest = training.map(|training| format!("L2 {:e}, learning rate {:e}", training.weight_decay, training.learning_rate));
    dropout.into_iter().chain(rest).collect::<Vec<_>>().join(", ")
}

/// One layer of a network, as a line of a CSV.
#[derive(Debug, Serialize, Deserialize)]
pub struct LayerRow {
    pub layer: String,
    pub input: String,
    pub output: String,
    pub weights: i64,
    pub biases: i64,
    pub parameters: i64,
    /// For one example, forward.
    pub multiply_adds: i64,
}

/// Reads the CSV of [`LayerRow`]s.
pub fn read_layers(path: &Path) -> Result<Vec<LayerRow>> {
    files::read_csv(path, "the layers in")
}

/// The layers of `architecture`, a line each.
pub fn layers(architecture: &Architecture) -> Vec<LayerRow> {
    let row = |stage: &Stage| LayerRow {
        layer: stage.name.clone(),
        input: stage.input.to_string(),
        output: stage.description.output.to_string(),
        weights: stage.description.weights,
        biases: stage.description.biases,
        parameters: stage.parameters(),
        multiply_adds: stage.description.multiply_adds,
    };
    architecture.stages.iter().map(row).collect()
}

/// Weights and biases of each layer that has any, as the report's Table 3 has them, the total, and the share of the fully connected ones.
pub fn parameters(architecture: &Architecture) -> Table {
    let mut table = new(["Layer", "Weight", "Bias", "Total"]);
    for stage in architecture.stages.iter().filter(|stage| stage.parameters() > 0) {
        let Description { weight_formula, biases, .. } = &stage.description;
        table.add_row([stage.name.clone(), weight_formula.clone(), biases.to_string(), stage.parameters().to_string()]);
    }
    table.add_row(["Total".to_owned(), String::new(), String::new(), architecture.parameters().to_string()]);
    let share = format!("{:.1} %", 100.0 * architecture.fully_connected_share());
    table.add_row(["fully connected".to_owned(), String::new(), String::new(), share]);
    align_right(&mut table, 2..4);
    table
}

/// Results of each network, for images `[channels, height, width]`, after its last epoch, from the panels `<variant>_accuracy` and
/// `<variant>_seconds`, a line per variant.
///
/// # Errors
/// If a network's layers do not fit the images.
pub fn networks(points: &[Point], variants: &[Variant], image: [i64; 3]) -> Result<Table> {
    let mut table = new(["", "parameters", "seconds an epoch", "train", "validation", "train - validation", "test", "epochs", "seeds"]);
    for Variant { name: variant, experiment, .. } in variants {
        let last = |quantity, series: &str| {
            let panel = Panel::new(variant, quantity);
            points.iter().rfind(|point| point.panel == panel && point.series == series && point.origin == Origin::Reproduced)
        };
        let (Some(train), Some(validation)) = (last(Quantity::Accuracy, "train"), last(Quantity::Accuracy, "validation")) else { continue };
        let words = |point: &Point| with_deviation(point.y, point.deviation, 4);
        let seconds = last(Quantity::Seconds, "train").map_or(String::new(), |seconds| format!("{:.1}", seconds.y / seconds.x));
        table.add_row([
            variant.replace('_', " "),
            thousands(Architecture::new(image, &experiment.model.layers)?.parameters()),
            seconds,
            words(train),
            words(validation),
            format!("{:+.4}", train.y - validation.y),
            last(Quantity::Accuracy, "test").map_or(String::new(), words),
            train.x.to_string(),
            train.seeds.map_or(String::new(), |seeds| seeds.to_string()),
        ]);
    }
    align_right(&mut table, 1..9);
    Ok(table)
}

pub fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
