//! Tables 1 and 2: five MLPs trained for 60 epochs, their hyperparameters, and their accuracies beside the report's.
//! Trains. Reads experiments/table2_sweep.toml; writes plots/table2_sweep.png, plots/table2_sweep.csv and plots/table2_sweep.md.

use reproduction::experiment::{Experiment, Training, Variant};
use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("table2_sweep"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let trained = run.train(&run.mnist()?)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            points.extend(trained.curves(variant, Loss));
            points.extend(trained.curves(variant, Accuracy));
        }
        Ok(points)
    })?;

    let mut figure = Figure::of_variants("Table 2: MLPs by the sizes of their hidden layers", &points, |variant| {
        let title = table::network(&run.variants, variant);
        vec![Axes::new(variant, Accuracy, &title).near_one(), Axes::new(variant, Loss, &title).logarithmic()]
    });
    let report = run.report()?;
    let mut comparisons = Vec::new();
    for variant in variants(&points, Accuracy) {
        // The report has no numbers for the variants that --set makes.
        if let Ok(number) = report.number(&format!("Table 2, {}", variant.replace('_', " "))) {
            figure = figure.with(compare::levels(&points, &variant, number));
            comparisons.extend(compare::with_number(&points, &variant, number));
        }
    }
    run.write(&figure, &points)?;
    run.write_tables(&[
        ("Table 1: hyperparameters", hyperparameters(&run.variants)),
        ("Table 2: accuracies after the last epoch", compare::table(&comparisons)),
    ])?;
    compare::print_summary(&comparisons);
    Ok(())
}

/// Hyperparameters, a column per variant, as the report's Table 1 has them.
fn hyperparameters(variants: &[Variant]) -> table::Table {
    let mut table = table::new(std::iter::once("").chain(variants.iter().map(|variant| variant.name.as_str())));
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
