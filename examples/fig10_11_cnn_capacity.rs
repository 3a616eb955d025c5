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
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let trained = run.train(&run.mnist()?)?;
            let mut points = Vec::new();
            for variant in trained.variants() {
                let published = run.reported(if variant == "small" { 11 } else { 10 })?;
                points.extend(trained.with_reported(variant, Loss, &published, "main_loss")?);
                points.extend(trained.with_reported(variant, Accuracy, &published, "main_accuracy")?);
                points.extend([Loss, Accuracy].into_iter().flat_map(|metric| trained.gaps(variant, metric)));
            }
            points
        }
    };
    let row = |variant: &String| {
        let (loss, accuracy) = (Panel::new(variant, Loss, "loss").logarithmic(), Panel::new(variant, Accuracy, "accuracy").near_one());
        [loss, accuracy, Panel::gap(variant, Accuracy)].map(|panel| vec![panel]).to_vec()
    };
    let names = variants(&points, Accuracy);
    let title = "Figures 10 and 11: CNNs with 570,436 (large) and with 2,066 parameters (small) on MNIST".to_owned();
    run.write(&Figure { title, rows: names.iter().map(row).collect() }, &points)?;
    let mut comparisons = compare::last_points(&points);
    comparisons.extend(compare::with_number(&points, "small", run.reported_numbers()?.number("Section 2.d, small CNN")?));
    run.write_tables(&[("After the last epoch", compare::table(&comparisons)), ("Overfitting", table::gaps(&points, &names))])?;
    run.summarize(&comparisons)
}
