//! Beyond the report: how few seconds it takes from digits in memory to 98 % of the test images by an MLP and to 99.3 % by a CNN.
//! Trains. Reads experiments/speed_records.toml, which has the rules; writes plots/speed_records.png, .csv and .md.

use reproduction::history::Metric::Accuracy;
use reproduction::plot::{Figure, Panel, Scale};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("speed_records"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let trained = run.train(&run.mnist()?)?;
            let of =
                |variant: &&str| [trained.curves(variant, Accuracy), trained.by_seed(variant), vec![trained.seconds(variant)]].concat();
            trained.variants().iter().flat_map(of).collect()
        }
    };
    let panel = |variant: &String, what: &str, title: &str| {
        vec![Panel::against("seed", &format!("{variant}_{what}_by_seed"), &format!("{variant}: {title}"), Scale::Linear).apart()]
    };
    let row = |variant: &String| vec![panel(variant, "accuracy", "accuracy"), panel(variant, "seconds", "seconds")];
    let title = "Beyond the report: seconds to the test accuracy, MNIST, one training at a time".to_owned();
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(row).collect() }, &points)?;
    run.write_tables(&[("Means over seeds", table::networks(&points, &run.experiments(), [1, 28, 28])?)])
}
