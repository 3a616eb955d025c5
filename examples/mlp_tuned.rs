//! Beyond the report: an MLP of less than a million parameters, without and with augmentation of the digits.
//! Trains. Reads experiments/mlp_tuned.toml; writes plots/mlp_tuned.png, .csv and .md.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("mlp_tuned"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| Ok(run.train(&run.mnist()?)?.all_curves()))?;

    let report = run.report()?;
    let mut figure = Figure::of_variants("Beyond the report: an MLP of less than a million parameters", &points, |variant| {
        let title = table::network(&run.variants, variant);
        vec![Axes::new(variant, Loss, &title).logarithmic(), Axes::new(variant, Accuracy, &title).near_one()]
    });
    for variant in variants(&points, Accuracy) {
        figure = figure.with(compare::levels(&points, &variant, report.number("Table 2, best")?));
    }
    run.write(&figure, &points)?;
    run.write_tables(&[("After the last epoch", table::networks(&points, &run.variants, [1, 28, 28])?)])
}
