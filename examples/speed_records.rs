//! Beyond the report: how few seconds it takes from digits in memory to 98 % of the test images by an MLP and to 99.3 % by a CNN.
//! Trains. Reads experiments/speed_records.toml, which has the rules; writes plots/speed_records.png, .csv and .md.

use reproduction::history::Metric::Accuracy;
use reproduction::plot::{Figure, Panel, Scale};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("speed_records"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let trained = run.train(&run.mnist()?)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            points.extend(trained.curves(variant, Accuracy));
            points.extend(trained.by_seed(variant));
            points.push(trained.seconds(variant));
        }
        Ok(points)
    })?;

    let title = "Beyond the report: seconds to the test accuracy, MNIST, one training at a time";
    let figure = Figure::of_variants(title, &points, |variant| {
        let panel = |what| Panel::against("seed", &format!("{variant}_{what}_by_seed"), &format!("{variant}: {what}"), Scale::Linear);
        vec![vec![panel("accuracy").apart()], vec![panel("seconds").apart()]]
    });
    run.write(&figure, &points)?;
    run.write_tables(&[("Means over seeds", table::networks(&points, run.variants(), [1, 28, 28])?)])
}
