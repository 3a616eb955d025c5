//! Figures 2 and 3 (4 is their common caption): loss and accuracy of the best MLP over 60 epochs.
//! Trains, or takes what table2_sweep has trained. Reads experiments/fig2_4_best_mlp.toml; writes plots/fig2_4_best_mlp.png and .csv.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("fig2_4_best_mlp"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let trained = run.train(&run.mnist()?)?;
        let report = run.report()?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            points.extend(trained.with_reported(variant, Loss, &report.figure(2)?, "main")?);
            points.extend(trained.with_reported(variant, Accuracy, &report.figure(3)?, "main")?);
        }
        Ok(points)
    })?;

    let figure = Figure::of_variants("Figures 2 and 3: the best MLP", &points, |variant| {
        let title = |figure| format!("{} (Figure {figure})", table::network(&run.variants, variant));
        vec![Axes::new(variant, Loss, &title(2)), Axes::new(variant, Accuracy, &title(3))]
    });
    run.write(&figure, &points)?;

    compare::print(&compare::last_points(&points));
    Ok(())
}
