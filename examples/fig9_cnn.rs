//! Figure 9: accuracy of the CNN over 10 epochs, and of the best MLP after as many.
//! Trains. Reads experiments/fig9_cnn.toml; writes plots/fig9_cnn.png and plots/fig9_cnn.csv.

use reproduction::history::Metric::Accuracy;
use reproduction::plot::{Axes, Figure};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("fig9_cnn"), make)
}

fn make(run: &Run) -> Result<()> {
    let report = run.report()?;
    let points = run.points(|| {
        let trained = run.train(&run.mnist()?)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            points.extend(match variant {
                "cnn" => trained.with_reported("cnn", Accuracy, &report.figure(9)?, "main")?,
                other => trained.curves(other, Accuracy),
            });
        }
        Ok(points)
    })?;

    // Both networks side by side.
    let axes = |variant: &String| Axes::new(variant, Accuracy, &table::network(&run.variants, variant)).near_one();
    let mut figure = Figure::new("Figure 9: accuracy after each epoch", vec![variants(&points, Accuracy).iter().map(axes).collect()]);
    let mut comparisons = compare::last_points(&points);
    for (variant, place) in [("cnn", "Section 2.c, CNN after 10 epochs"), ("mlp", "Section 2.c, MLP after 10 epochs")] {
        let number = report.number(place)?;
        figure = figure.with(compare::levels(&points, variant, number));
        comparisons.extend(compare::with_number(&points, variant, number));
    }
    run.write(&figure, &points)?;
    compare::print(&comparisons);
    Ok(())
}
