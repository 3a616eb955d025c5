//! Tables 1 and 2: five MLPs trained for 60 epochs, their hyperparameters, and their accuracies beside the report's.
//! Trains. Reads experiments/table2_sweep.toml; writes plots/table2_sweep.png, plots/table2_sweep.csv and plots/table2_sweep.md.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("table2_sweep"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let digits = run.mnist()?;
            let trained = run.train(&digits)?;
            trained
                .variants()
                .iter()
                .flat_map(|variant| [trained.curves(variant, Loss), trained.curves(variant, Accuracy)])
                .flatten()
                .collect()
        }
    };
    let numbers = run.reported_numbers()?;
    let mut comparisons = Vec::new();
    for variant in variants(&points, Accuracy) {
        let place = format!("Table 2, {}", variant.replace('_', " "));
        comparisons.extend(compare::with_number(&points, &variant, numbers.number(&place)?));
    }
    let row = |variant: &String| vec![vec![Panel::new(variant, Loss, "loss")], vec![Panel::new(variant, Accuracy, "accuracy")]];
    let title = "Table 2: five MLPs on MNIST, 60 epochs".to_owned();
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(row).collect() }, &points)?;
    run.write_tables(&[
        ("Table 1: hyperparameters", table::hyperparameters(&run.experiments())),
        ("Table 2: accuracies after the last epoch", compare::table(&comparisons)),
    ])?;
    run.summarize(&comparisons)
}
