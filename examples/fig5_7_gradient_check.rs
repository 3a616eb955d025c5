//! Figures 5 and 6 (7 is their common caption): finite differences against the hand-derived backward pass.
//! Trains nothing. Reads experiments/fig5_7_gradient_check.toml; writes plots/fig5_7_gradient_check.png and .csv.

use reproduction::data::DataSet;
use reproduction::data::splits::Splits;
use reproduction::experiment::Variant;
use reproduction::gradient_check::{LARGEST_GRADIENT, differences};
use reproduction::plot::{Axes, Figure};
use reproduction::points::Origin::{Guide, Reproduced};
use reproduction::points::Quantity::{DifferenceByEpsilon, DifferenceByN};
use reproduction::points::{Panel, Point};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, device, say};

fn main() -> ExitCode {
    run::main(Run::start("fig5_7_gradient_check"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let (digits, report) = (run.mnist()?, run.report()?);
        let mut points = run.variants.iter().map(|variant| curves(run, variant, &digits)).collect::<Result<Vec<_>>>()?.concat();
        points.extend(report.figure(5)?.over(&points, "main", &Panel::new("as_published", DifferenceByN))?);
        points.extend(report.figure(6)?.over(&points, "main", &Panel::new("as_published", DifferenceByEpsilon))?);
        Ok(points)
    })?;

    let against = [DifferenceByN, DifferenceByEpsilon];
    let as_published = "as published: softmax taken twice in the differenced loss";
    let correct = "as it should be: the loss that is differentiated";
    let rows = vec![
        against.map(|quantity| Axes::new("as_published", quantity, as_published)).to_vec(),
        against.map(|quantity| Axes::new("correct", quantity, correct).both_logarithmic()).to_vec(),
    ];
    let title = "Figures 5 and 6: largest difference between gradient and finite difference, of ten weights of layer 2";
    run.write(&Figure::new(title, rows), &points)?;

    let correct = Panel::new("correct", DifferenceByEpsilon);
    let find = |series| points.iter().find(|point| point.panel == correct && point.series == series);
    if let (Some(least), Some(gradient)) = (find(LEAST_ERROR), find(LARGEST_GRADIENT)) {
        let digits = -(least.y / gradient.y).log10();
        let verdict = if digits >= 6.0 { "is right" } else { "is NOT confirmed" };
        let (epsilon, difference, largest) = (least.x, least.y, gradient.y);
        say!(
            "\nThe hand-derived gradient {verdict}: at epsilon = {epsilon:.1e} it differs from the central difference by {difference:.1e} \
             at most, where its largest element is {largest:.1e}: {digits:.1} digits agree."
        );
    }
    compare::print(&compare::plateau(&points));
    Ok(())
}

const LEAST_ERROR: &str = "least error";

/// Curves against N and epsilon, one per seed: seeds have different weights, so a mean would be no network's gradient. Where the
/// differenced loss is the one that is differentiated, the first seed's has guides beside it, and its least error is marked.
fn curves(run: &Run, variant: &Variant, digits: &DataSet) -> Result<Vec<Point>> {
    let Variant { name, experiment, seeds, .. } = variant;
    let train = Splits::new(&digits.train, None, experiment, seeds.start, run.device)?.train;
    let mut found = Vec::new();
    for seed in seeds.clone() {
        let differences = differences(experiment, &train, digits.classes.len() as i64, seed)?;
        found.extend(differences.largest.iter().map(|(n, difference)| (format!("seed {seed}"), Reproduced, *n, *difference)));
        if seed == seeds.start && differences.is_own_loss {
            found.extend(differences.guides().into_iter().map(|(series, n, y)| (series.to_owned(), Guide, n, y)));
            found.extend(differences.least().map(|(n, least)| (LEAST_ERROR.to_owned(), Reproduced, n, least)));
        }
    }
    let (data, device) = (&run.name_of(digits), &device::describe(run.device));
    let point = |(series, origin, n, y): (String, _, f64, _)| {
        [(n, DifferenceByN), (1.0 / n, DifferenceByEpsilon)].map(|(x, quantity)| {
            let (panel, series, data, device) = (Panel::new(name, quantity), series.clone(), data.clone(), device.clone());
            Point { panel, series, origin, x, y, seeds: Some(1), data, device, ..Point::default() }
        })
    };
    Ok(found.into_iter().flat_map(point).collect())
}
