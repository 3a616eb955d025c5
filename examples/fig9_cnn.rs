//! Figure 9: accuracy of the CNN over 10 epochs, and of the best MLP after as many.
//! Trains. Reads experiments/fig9_cnn.toml; writes plots/fig9_cnn.png and plots/fig9_cnn.csv.

use reproduction::compare;
use reproduction::history::Metric::Accuracy;
use reproduction::plot::{Figure, Panel};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};

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
    let panel = |variant: &String| vec![Panel::new(variant, Accuracy, "accuracy").near_one()];
    let title = "Figure 9: a CNN with 570,436 parameters on MNIST, beside the best MLP".to_owned();
    let rows = vec![variants(&points, Accuracy).iter().map(panel).collect()];
    run.write(&Figure { title, rows }, &points)?;

    let mut comparisons = compare::last_points(&points);
    for (variant, place) in [("cnn", "Section 2.c, CNN after 10 epochs"), ("mlp", "Section 2.c, MLP after 10 epochs")] {
        comparisons.extend(compare::with_number(&points, variant, report.number(place)?));
    }
    compare::print(&comparisons);
    Ok(())
}
