//! Figure 14: loss and accuracy of the VGG on cats and dogs, and what it says of the test images as a submission to Kaggle.
//! Trains. Reads experiments/kaggle_vgg.toml; writes plots/kaggle_vgg.png, .csv, _validation.csv, and _submission.csv or _test.csv.

use reproduction::compare;
use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::{epochs, variants};
use reproduction::run::{self, ExitCode, Result, Run};

fn main() -> ExitCode {
    run::main(Run::start("kaggle_vgg"), make)
}

fn make(run: &Run) -> Result<()> {
    if let Some(folder) = run.predict() {
        return run.write_predictions(folder);
    }
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let photographs = run.cats_dogs()?;
            let trained = run.train(&photographs)?;
            run.write_submission(&trained, &photographs)?;
            let published = run.reported(14)?;
            let mut points = Vec::new();
            for variant in trained.variants() {
                points.extend(trained.with_reported(variant, Loss, &published, "main_loss")?);
                points.extend(trained.with_reported(variant, Accuracy, &published, "main_accuracy")?);
            }
            points
        }
    };
    let cells = |variant: &String| vec![vec![Panel::new(variant, Loss, "loss")], vec![Panel::new(variant, Accuracy, "accuracy")]];
    let title = format!("Figure 14: a VGG with 57,208,706 parameters on cats and dogs, {} epochs", epochs(&points));
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(cells).collect() }, &points)?;
    let mut comparisons = compare::last_points(&points);
    comparisons.extend(compare::with_number(&points, "vgg", run.reported_numbers()?.number("Section 3, VGG")?));
    run.compare(&comparisons)
}
