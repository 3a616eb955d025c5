//! Beyond the report: its two CNNs as they are, with later training techniques.
//! Trains. Reads experiments/cnn_tuned.toml; writes plots/cnn_tuned.png, .csv and .md.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("cnn_tuned"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| Ok(run.train(&run.mnist()?)?.all_curves()))?;

    let report = run.report()?;
    let mut figure = Figure::of_variants("Beyond the report: its CNNs with later training techniques", &points, |variant| {
        let title = table::network(&run.variants, variant);
        vec![Axes::new(variant, Loss, &title).logarithmic(), Axes::new(variant, Accuracy, &title).near_one()]
    });
    for (variant, place) in [("large", "Section 2.c, CNN after 10 epochs"), ("small", "Section 2.d, small CNN")] {
        figure = figure.with(compare::levels(&points, variant, report.number(place)?));
    }
    run.write(&figure, &points)?;
    run.write_tables(&[("After the last epoch", table::networks(&points, &run.variants, [1, 28, 28])?)])
}
