//! Beyond the report: training time to 98 % test accuracy with an MLP and to 99.3 % with a CNN.
//! Trains. Reads experiments/speed_records.toml, which has the rules; writes plots/speed_records.png, .csv and .md.

use reproduction::history::Metric::Accuracy;
use reproduction::history::Split;
use reproduction::plot::{Axes, Figure};
use reproduction::points::Quantity::{AccuracyBySeconds, AccuracyBySeed, SecondsBySeed};
use reproduction::points::{Origin, Panel, Point};
use reproduction::run::{self, ExitCode, Outcome, Result, Run, Trained};
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
            points.extend(by_seed(&trained, variant));
            points.push(trained.seconds(variant));
        }
        Ok(points)
    })?;

    let title = "Beyond the report: seconds to a test accuracy, one training at a time";
    let figure = Figure::of_variants(title, &points, |variant| {
        vec![Axes::new(variant, AccuracyBySeconds, &table::network(&run.variants, variant)).with_own_range()]
    });
    run.write(&figure.with(by_seconds(&points)), &points)?;
    run.write_tables(&[("Means over seeds", table::networks(&points, &run.variants, [1, 28, 28])?)])
}

/// The last accuracy on the test images, and the seconds of training and measuring, of each network of `variant`: against the seed.
fn by_seed(trained: &Trained, variant: &str) -> Vec<Point> {
    let points = |outcome: &Outcome| {
        let accuracy = outcome.history.get(outcome.history.epochs(), Split::Test, Accuracy)?;
        let point = |(quantity, y)| Point {
            panel: Panel::new(variant, quantity),
            series: Split::Test.name().to_owned(),
            x: outcome.seed as f64,
            y,
            seeds: Some(1),
            data: trained.data.clone(),
            device: trained.device.clone(),
            ..Point::default()
        };
        Some([(AccuracyBySeed, accuracy), (SecondsBySeed, outcome.seconds)].map(point))
    };
    trained.outcomes.iter().filter(|outcome| outcome.variant == variant).filter_map(points).flatten().collect()
}

/// Each network's accuracy against its seconds, over what was to be reached.
fn by_seconds(points: &[Point]) -> Vec<Point> {
    let seconds_of = |accuracy: &Point| {
        let panel = Panel { quantity: SecondsBySeed, ..accuracy.panel.clone() };
        points.iter().find(|point| point.panel == panel && point.x == accuracy.x).map(|point| point.y)
    };
    let accuracies = points.iter().filter(|point| point.panel.quantity == AccuracyBySeed);
    let run = |accuracy: &Point| {
        let panel = Panel { quantity: AccuracyBySeconds, ..accuracy.panel.clone() };
        Some(Point { panel, x: seconds_of(accuracy)?, ..accuracy.clone() })
    };
    let mut found: Vec<Point> = accuracies.filter_map(run).collect();
    found.sort_by(|one, other| one.x.total_cmp(&other.x));
    let aim = |point: &Point| {
        let y = if point.panel.variant == "mlp" { 0.98 } else { 0.993 };
        Point { series: "to be reached".to_owned(), origin: Origin::Guide, y, ..point.clone() }
    };
    found.iter().map(aim).chain(found.clone()).collect()
}
