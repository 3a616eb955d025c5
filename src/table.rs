//! Tables, for a terminal and as Markdown.

use crate::architecture::{Architecture, Stage};
use crate::experiment::{Experiment, Layer, Training, Variant};
use crate::history::Metric;
use crate::layers::Description;
use crate::plot::thousands;
use crate::points::{Origin, Panel, Point, Quantity};
use anyhow::{Context, Result};
pub use comfy_table::Table;
use comfy_table::{CellAlignment, presets};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A table with these headings.
pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(headings);
    table
}

/// The table as Markdown.
pub fn markdown(table: &Table) -> String {
    let mut table = table.clone();
    table.load_style(presets::ASCII_MARKDOWN);
    format!("{table}\n")
}

/// Hyperparameters, a column per variant, as the report's Table 1 has them.
pub fn hyperparameters(variants: &[Variant]) -> Table {
    let mut table = new(std::iter::once("").chain(variants.iter().map(|variant| variant.name.as_str())));
    let mut row = |name: &str, value: &dyn Fn(&Experiment) -> String| {
        let values = variants.iter().map(|variant| value(&variant.experiment));
        table.add_row(std::iter::once(name.to_owned()).chain(values));
    };
    let deepest = variants.iter().map(|variant| variant.experiment.model.hidden.len()).max().unwrap_or(0);
    for layer in 0..deepest {
        let width = |experiment: &Experiment| experiment.model.hidden.get(layer).map_or(String::new(), i64::to_string);
        row(&format!("h{}", layer + 1), &width);
    }
    row("non-linearity", &|_| "ReLU".to_owned());
    let mut of_training = |name: &str, value: fn(&Training) -> String| {
        row(name, &|experiment| experiment.training.as_ref().map_or(String::new(), value));
    };
    of_training("learning rate", |training| training.learning_rate.to_string());
    of_training("minibatch", |training| training.minibatch.to_string());
    of_training("epochs", |training| training.epochs.to_string());
    row("parameters", &|experiment| experiment.model.parameters.map_or(String::new(), |count| count.to_string()));
    table
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
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot read the layers in {}", path.display()))?;
    reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("in {}", path.display()))
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

/// How far training is ahead of validation after the last epoch, from the panels `<variant>_<metric>_gap`, a line per variant.
pub fn gaps(points: &[Point], variants: &[String]) -> Table {
    let mut table = new(["", "accuracy, train - validation", "loss, validation - train", "published accuracy", "published loss", "seeds"]);
    for variant in variants {
        let last = |quantity: Quantity, series: &str, origin: Origin| {
            let panel = Panel::new(variant, quantity);
            points.iter().rfind(|point| point.panel == panel && point.series == series && point.origin == origin)
        };
        let ours = |metric| {
            last(Quantity::from(metric).gap(), "train ahead of validation", Origin::Reproduced).map_or(String::new(), |point| {
                let deviation = point.deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.4}"));
                format!("{:.4}{deviation}", point.y)
            })
        };
        let published = |metric: Metric, sign: f64| {
            let of = |split| last(metric.into(), split, Origin::Reported).map(|point| point.y);
            of("train").zip(of("validation")).map_or(String::new(), |(train, validation)| format!("{:.4}", sign * (train - validation)))
        };
        let seeds = last(Quantity::AccuracyGap, "train ahead of validation", Origin::Reproduced).and_then(|point| point.seeds);
        table.add_row([
            variant.clone(),
            ours(Metric::Accuracy),
            ours(Metric::Loss),
            published(Metric::Accuracy, 1.0),
            published(Metric::Loss, -1.0),
            seeds.map_or(String::new(), |seeds| seeds.to_string()),
        ]);
    }
    align_right(&mut table, 1..6);
    table
}

/// What each network for images `[channels, height, width]` came to after its last epoch, from the panels `<variant>_accuracy` and
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
        let with_deviation = |point: &Point| {
            let deviation = point.deviation.map_or(String::new(), |deviation| format!(" ± {deviation:.4}"));
            format!("{:.4}{deviation}", point.y)
        };
        let seconds = last(Quantity::Seconds, "train").map_or(String::new(), |seconds| format!("{:.1}", seconds.y / seconds.x));
        table.add_row([
            variant.replace('_', " "),
            thousands(Architecture::new(image, &experiment.model.layers)?.parameters()),
            seconds,
            with_deviation(train),
            with_deviation(validation),
            format!("{:+.4}", train.y - validation.y),
            last(Quantity::Accuracy, "test").map_or(String::new(), with_deviation),
            train.x.to_string(),
            train.seeds.map_or(String::new(), |seeds| seeds.to_string()),
        ]);
    }
    align_right(&mut table, 1..9);
    Ok(table)
}

/// Aligns numbers in these columns.
pub fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
