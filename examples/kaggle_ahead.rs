//! Beyond the report: cats and dogs by a residual network with later training techniques, and its submission to Kaggle.
//! Trains. Reads experiments/kaggle_ahead.toml; writes plots/kaggle_ahead.png, .csv, .md, _validation.csv, and _submission.csv or _test.csv.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::epochs;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::submission::{confusion, read_predictions};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("kaggle_ahead"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let photographs = run.cats_dogs()?;
        let trained = run.train(&photographs)?;
        run.write_submission(&trained, &photographs)?;
        Ok(trained.all_curves())
    })?;

    let title = format!("Beyond the report: a residual network on cats and dogs, {} epochs", epochs(&points));
    let figure = Figure::of_variants(&title, &points, |variant| {
        vec![vec![Panel::new(variant, Loss, "loss")], vec![Panel::new(variant, Accuracy, "accuracy")]]
    });
    run.write(&figure, &points)?;
    run.write_tables(&[
        ("After the last epoch", table::networks(&points, run.variants(), [3, 64, 64])?),
        ("Validation images", confusion(&read_predictions(&run.out(), "kaggle_ahead")?)),
    ])
}
