//! Beyond the report: its two CNNs as they are, with later training techniques.
//! Trains. Reads experiments/cnn_tuned.toml; writes plots/cnn_tuned.png, .csv and .md.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("cnn_tuned"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| Ok(run.train(&run.mnist()?)?.all_curves()))?;

    let figure = Figure::of_variants(
        "Beyond the report: the CNNs of 570,436 (large) and of 2,066 parameters (small) on MNIST",
        &points,
        |variant| {
            let loss = Panel::new(variant, Loss, "loss").logarithmic();
            let accuracy = Panel::new(variant, Accuracy, "accuracy").near_one();
            vec![vec![loss], vec![accuracy]]
        },
    );
    run.write(&figure, &points)?;
    run.write_tables(&[("After the last epoch", table::networks(&points, run.variants(), [1, 28, 28])?)])
}
