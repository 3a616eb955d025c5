//! What the report expects to help, or says did not: normalization, a deeper VGG, a ResNet, each trained in the report's way and in a later one.
//! Trains. Reads experiments/ablation_vgg.toml; writes plots/ablation_vgg.png, .csv and .md.

use reproduction::history::Metric::Accuracy;
use reproduction::plot::{Axes, Figure};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("ablation_vgg"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| Ok(run.train(&run.cats_dogs()?.data)?.all_curves()))?;

    // A row for the report's way of training, and one for the later way.
    let names = variants(&points, Accuracy);
    let (modern, plain): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.ends_with("_modern"));
    let row = |names: &Vec<&String>| names.iter().map(|name| Axes::new(name, Accuracy, &name.replace('_', " "))).collect();
    let rows = [plain, modern].iter().filter(|names| !names.is_empty()).map(row).collect();
    run.write(&Figure::new("Beyond the report: normalization, depth and shortcuts", rows), &points)?;
    run.write_tables(&[("After the last epoch", table::networks(&points, &run.variants, [3, 64, 64])?)])
}
