//! Figure 1: loss and accuracy of the MLP under Glorot, normal and zero initialization.
//! Trains. Reads experiments/fig1_init.toml; writes plots/fig1_init.png and plots/fig1_init.csv.

use reproduction::compare;
use reproduction::history::Metric::{Accuracy, Loss, TwiceSoftmaxedLoss};
use reproduction::plot::{Axes, Figure};
use reproduction::run::{self, ExitCode, Result, Run};

fn main() -> ExitCode {
    run::main(Run::start("fig1_init"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let trained = run.train(&run.mnist()?)?;
        let published = run.report()?.figure(1)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            let name = variant.trim_end_matches("_as_published");
            points.extend(trained.curves(variant, Loss));
            // The published losses are cross-entropies of softmax outputs: the softmax was taken twice.
            points.extend(trained.with_reported(variant, TwiceSoftmaxedLoss, &published, &format!("{name}_loss"))?);
            points.extend(trained.with_reported(variant, Accuracy, &published, &format!("{name}_accuracy"))?);
        }
        Ok(points)
    })?;

    let figure = Figure::of_variants("Figure 1: initialization of the MLP", &points, |variant| {
        // On a shared y range, each initialization's curves would look like one line.
        let axes = |metric| Axes::new(variant, metric, &variant.replace('_', " ")).with_own_range();
        [Accuracy, TwiceSoftmaxedLoss, Loss].map(axes).to_vec()
    });
    run.write(&figure, &points)?;

    compare::print(&compare::last_points(&points));
    Ok(())
}
