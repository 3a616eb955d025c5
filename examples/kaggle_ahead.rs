//! Beyond the report: cats and dogs by a residual network in the way of later years, and its submission to Kaggle.
//! Trains. Reads experiments/kaggle_ahead.toml; writes plots/kaggle_ahead.png, .csv, .md, _validation.csv, and _submission.csv or _test.csv.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::{epochs, variants};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("kaggle_ahead"), make)
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
            trained.variants().iter().flat_map(|variant| trained.learned(variant)).collect()
        }
    };
    let row = |variant: &String| [Loss, Accuracy].map(|metric| vec![Panel::new(variant, metric, metric.name())]).to_vec();
    let title = format!("Beyond the report: a residual network on cats and dogs, {} epochs", epochs(&points));
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(row).collect() }, &points)?;
    run.write_tables(&[("After the last epoch", table::networks(&points, &run.experiments(), [3, 64, 64])?)])
}
