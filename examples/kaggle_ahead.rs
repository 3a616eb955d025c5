//! Beyond the report: cats and dogs by a residual network with later training techniques, and its submission to Kaggle.
//! Trains. Reads experiments/kaggle_ahead.toml; writes plots/kaggle_ahead.png, .csv, .md, _validation.csv, and _submission.csv or _test.csv.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::submission::{Prediction, confusion, read_predictions};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("kaggle_ahead"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let photographs = run.cats_dogs()?;
        let trained = run.train(&photographs.data)?;
        run.write_submission(&trained, &photographs)?;
        Ok(trained.all_curves())
    })?;

    let report = run.report()?;
    let mut figure = Figure::of_variants("Beyond the report: a residual network for cats and dogs", &points, |variant| {
        let title = table::network(&run.variants, variant);
        vec![Axes::new(variant, Loss, &title), Axes::new(variant, Accuracy, &title)]
    });
    for variant in variants(&points, Accuracy) {
        figure = figure.with(compare::levels(&points, &variant, report.number("Section 3, VGG")?));
    }
    run.write(&figure, &points)?;
    run.write_tables(&[
        ("After the last epoch", table::networks(&points, &run.variants, [3, 64, 64])?),
        ("Validation images", confusion(read_predictions(&run.out(), "kaggle_ahead")?.iter().map(Prediction::label_and_prediction))),
    ])
}
