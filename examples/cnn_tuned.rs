//! Beyond the report: its two CNNs as they are, trained in the way of later years.
//! Trains. Reads experiments/cnn_tuned.toml; writes plots/cnn_tuned.png, .csv and .md.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("cnn_tuned"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let trained = run.train(&run.mnist()?)?;
            trained.variants().iter().flat_map(|variant| trained.learned(variant)).collect()
        }
    };
    let row = |variant: &String| {
        let (loss, accuracy) = (Panel::new(variant, Loss, "loss").logarithmic(), Panel::new(variant, Accuracy, "accuracy").near_one());
        vec![vec![loss], vec![accuracy]]
    };
    let title = "Beyond the report: the CNNs of 570,436 (large) and of 2,066 parameters (small) on MNIST".to_owned();
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(row).collect() }, &points)?;
    run.write_tables(&[("After the last epoch", table::networks(&points, &run.experiments(), [1, 28, 28])?)])
}
