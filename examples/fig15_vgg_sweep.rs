//! Figure 15: the VGG on cats and dogs under six other settings of dropout, L2 and learning rate.
//! Trains. Reads experiments/fig15_vgg_sweep.toml; writes plots/fig15_vgg_sweep.png and plots/fig15_vgg_sweep.csv.

use reproduction::compare;
use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::{epochs, variants};
use reproduction::run::{self, ExitCode, Result, Run};

fn main() -> ExitCode {
    run::main(Run::start("fig15_vgg_sweep"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let photographs = run.cats_dogs()?;
            let trained = run.train(&photographs)?;
            let published = run.reported(15)?;
            let mut points = Vec::new();
            for variant in trained.variants() {
                points.extend(trained.with_reported(variant, Loss, &published, &format!("{variant}_loss"))?);
                points.extend(trained.with_reported(variant, Accuracy, &published, &format!("{variant}_accuracy"))?);
            }
            points
        }
    };
    let names = variants(&points, Accuracy);
    let row = |names: &[String], metric| {
        names.iter().map(|name| vec![Panel::new(name, metric, &format!("{}, {}", metric.name(), run.settings(name)))]).collect()
    };
    let rows = names.chunks(3).flat_map(|three| [row(three, Loss), row(three, Accuracy)]).collect();
    let title = format!("Figure 15: six other settings of the VGG on cats and dogs, {} epochs", epochs(&points));
    run.write(&Figure { title, rows }, &points)?;
    run.compare(&compare::last_points(&points))
}
