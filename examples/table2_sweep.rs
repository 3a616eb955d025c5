//! Tables 1 and 2: five MLPs trained for 60 epochs, their hyperparameters, and their accuracies beside the report's.
//! Trains. Reads experiments/table2_sweep.toml; writes plots/table2_sweep.png, plots/table2_sweep.csv and plots/table2_sweep.md.

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
        let title = table::network(run.variants(), variant);
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
        ("Table 1: hyperparameters", table::hyperparameters(run.variants())),
        ("Table 2: accuracies after the last epoch", compare::table(&comparisons)),
    ])?;
    compare::print_summary(&comparisons);
    Ok(())
}
