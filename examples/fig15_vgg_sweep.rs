//! Figure 15: the VGG on cats and dogs under six other settings of dropout, L2 and learning rate.
//! Trains. Reads experiments/fig15_vgg_sweep.toml; writes plots/fig15_vgg_sweep.png and plots/fig15_vgg_sweep.csv.

use reproduction::history::Metric::{Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("fig15_vgg_sweep"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let trained = run.train(&run.cats_dogs()?.data)?;
        let published = run.report()?.figure(15)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            points.extend(trained.with_reported(variant, Loss, &published, &format!("{variant}_loss"))?);
            points.extend(trained.with_reported(variant, Accuracy, &published, &format!("{variant}_accuracy"))?);
        }
        Ok(points)
    })?;

    // Three settings side by side, the accuracies below the losses, as in the report.
    let names = variants(&points, Accuracy);
    let settings = |name: &str| table::settings(&run.variants, name);
    let axes = |name: &String, metric| Axes::new(name, metric, &format!("{name}: {}", settings(name)));
    let row = |names: &[String], metric| names.iter().map(|name| axes(name, metric)).collect();
    let rows = names.chunks(3).flat_map(|three| [row(three, Loss), row(three, Accuracy)]).collect();
    run.write(&Figure::new("Figure 15: the VGG under other settings", rows), &points)?;

    compare::print(&compare::last_points(&points));
    Ok(())
}
