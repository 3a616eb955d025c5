//! Figures 10 and 11: loss and accuracy of a CNN with 570,436 parameters and of one with 2,066 over 100 epochs.
//! Trains. Reads experiments/fig10_11_cnn_capacity.toml; writes plots/fig10_11_cnn_capacity.png, .csv and .md.

use reproduction::compare;
use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::variants;
use reproduction::run::{Result, Run};

fn main() -> Result<()> {
    let run = Run::start("fig10_11_cnn_capacity")?;
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let digits = run.mnist()?;
            let trained = run.train(&digits)?;
            let mut points = Vec::new();
            for variant in trained.variants() {
                let published = run.reported(if variant == "small" { 11 } else { 10 })?;
                points.extend(trained.with_reported(variant, Loss, &published, "main_loss")?);
                points.extend(trained.with_reported(variant, Accuracy, &published, "main_accuracy")?);
            }
            points
        }
    };
    let row = |variant: &String| vec![vec![Panel::new(variant, Loss, "loss")], vec![Panel::new(variant, Accuracy, "accuracy")]];
    let title = "Figures 10 and 11: CNNs with 570,436 and with 2,066 parameters on MNIST".to_owned();
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(row).collect() }, &points)?;
    let mut comparisons = compare::last_points(&points);
    comparisons.extend(compare::with_number(&points, "small", run.reported_numbers()?.number("Section 2.d, small CNN")?));
    run.compare(&comparisons)
}
