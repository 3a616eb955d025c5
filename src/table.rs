//! Tables, for a terminal and as Markdown.

use crate::experiment::{Experiment, Training};
use comfy_table::{Table, presets};

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
pub fn hyperparameters(variants: &[(&str, &Experiment)]) -> Table {
    let mut table = new(std::iter::once("").chain(variants.iter().map(|(name, _)| *name)));
    let mut row = |name: &str, value: &dyn Fn(&Experiment) -> String| {
        let values = variants.iter().map(|(_, experiment)| value(experiment));
        table.add_row(std::iter::once(name.to_owned()).chain(values));
    };
    let deepest = variants.iter().map(|(_, experiment)| experiment.model.hidden.len()).max().unwrap_or(0);
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
