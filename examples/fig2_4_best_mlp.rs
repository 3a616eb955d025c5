//! Figures 2 and 3 (4 is their common caption): loss and accuracy of the best MLP over 60 epochs.
//! Trains, or takes what table2_sweep has trained. Reads experiments/fig2_4_best_mlp.toml; writes plots/fig2_4_best_mlp.png and .csv.

use reproduction::compare;
use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};

fn main() -> ExitCode {
    run::main(Run::start("fig2_4_best_mlp"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let digits = run.mnist()?;
            let trained = run.train(&digits)?;
            let (figure_2, figure_3) = (run.reported(2)?, run.reported(3)?);
            let laid_over = |variant: &&str| {
                Ok([trained.with_reported(variant, Loss, &figure_2, "main")?, trained.with_reported(variant, Accuracy, &figure_3, "main")?])
            };
            trained.variants().iter().map(laid_over).collect::<Result<Vec<_>>>()?.into_iter().flatten().flatten().collect()
        }
    };
    let row = |variant: &String| {
        vec![vec![Panel::new(variant, Loss, "loss (Figure 2)")], vec![Panel::new(variant, Accuracy, "accuracy (Figure 3)")]]
    };
    let title = "Figures 2 and 3: the best MLP, 512-512, on MNIST".to_owned();
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(row).collect() }, &points)?;
    run.compare(&compare::last_points(&points))
}
