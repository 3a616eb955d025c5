//! Figure 14: loss and accuracy of the VGG on cats and dogs, and its predictions for the test set as a submission to Kaggle.
//! Trains. Reads experiments/kaggle_vgg.toml; writes plots/kaggle_vgg.png, .csv, .md, _validation.csv, and _submission.csv or _test.csv.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::submission::{Prediction, confusion, read_predictions};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("kaggle_vgg"), make)
}

fn make(run: &Run) -> Result<()> {
    let report = run.report()?;
    let points = run.points(|| {
        let photographs = run.cats_dogs()?;
        let trained = run.train(&photographs.data)?;
        run.write_submission(&trained, &photographs)?;
        let published = report.figure(14)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            points.extend(trained.with_reported(variant, Loss, &published, "main_loss")?);
            points.extend(trained.with_reported(variant, Accuracy, &published, "main_accuracy")?);
        }
        Ok(points)
    })?;

    let figure = Figure::of_variants("Figure 14: the VGG for cats and dogs", &points, |variant| {
        let title = table::network(&run.variants, variant);
        vec![Axes::new(variant, Loss, &title), Axes::new(variant, Accuracy, &title)]
    });
    run.write(&figure, &points)?;
    run.write_tables(&[(
        "Validation images",
        confusion(read_predictions(&run.out(), "kaggle_vgg")?.iter().map(Prediction::label_and_prediction)),
    )])?;

    let mut comparisons = compare::last_points(&points);
    comparisons.extend(compare::with_number(&points, "vgg", report.number("Section 3, VGG")?));
    compare::print(&comparisons);
    Ok(())
}
