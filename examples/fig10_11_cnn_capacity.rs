//! Figures 10 and 11: loss and accuracy of a CNN with 570,436 parameters and of one with 2,066 over 100 epochs.
//! Trains. Reads experiments/fig10_11_cnn_capacity.toml; writes plots/fig10_11_cnn_capacity.png, .csv and .md.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("fig10_11_cnn_capacity"), make)
}

fn make(run: &Run) -> Result<()> {
    let report = run.report()?;
    let points = run.points(|| {
        let trained = run.train(&run.mnist()?)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            let published = report.figure(if variant == "small" { 11 } else { 10 })?;
            points.extend(trained.with_reported(variant, Loss, &published, "main_loss")?);
            points.extend(trained.with_reported(variant, Accuracy, &published, "main_accuracy")?);
            points.extend(trained.gaps(variant, Loss));
            points.extend(trained.gaps(variant, Accuracy));
        }
        Ok(points)
    })?;

    let title = "Figures 10 and 11: CNNs with 570,436 (large) and with 2,066 parameters (small) on MNIST";
    let figure = Figure::of_variants(title, &points, |variant| {
        let loss = Panel::new(variant, Loss, "loss").logarithmic();
        let accuracy = Panel::new(variant, Accuracy, "accuracy").near_one();
        vec![vec![loss], vec![accuracy], vec![Panel::gap(variant, Accuracy)]]
    });
    run.write(&figure, &points)?;

    let mut comparisons = compare::last_points(&points);
    comparisons.extend(compare::with_number(&points, "small", report.number("Section 2.d, small CNN")?));
    run.write_tables(&[
        ("After the last epoch", compare::table(&comparisons)),
        ("Overfitting", table::gaps(&points, &variants(&points, Accuracy))),
    ])?;
    compare::print_summary(&comparisons);
    Ok(())
}
