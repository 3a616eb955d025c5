//! Figures 10 and 11: loss and accuracy of a CNN with 570,436 parameters and of one with 2,066 over 100 epochs.
//! Trains. Reads experiments/fig10_11_cnn_capacity.toml; writes plots/fig10_11_cnn_capacity.png, .csv and .md.

use reproduction::history::Metric::{self, Accuracy, Loss};
use reproduction::plot::{Axes, Figure};
use reproduction::points::Origin::{Reported, Reproduced};
use reproduction::points::Quantity::{self, AccuracyGap, LossGap};
use reproduction::points::{Panel, Point, variants, with_deviation};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("fig10_11_cnn_capacity"), make)
}

fn make(run: &Run) -> Result<()> {
    let report = run.report()?;
    let points = run.points(|| {
        let trained = run.train(&run.mnist()?)?;
        let mut points = Vec::new();
        for variant in trained.variants() {
            let published = report.figure(if variant == "small" { 11 } else { 10 })?;
            points.extend(trained.with_reported(variant, Loss, &published, "main_loss")?);
            points.extend(trained.with_reported(variant, Accuracy, &published, "main_accuracy")?);
            points.extend(trained.gaps(variant, Loss));
            points.extend(trained.gaps(variant, Accuracy));
            // Some seeds of the small CNN start learning late: a mean over seeds would show steps that no single run has.
            points.extend(trained.of_each_seed(variant, Loss));
            points.extend(trained.of_each_seed(variant, Accuracy));
        }
        Ok(points)
    })?;

    let figure = Figure::of_variants("Figures 10 and 11: capacity of the CNN", &points, |variant| {
        let title = table::network(&run.variants, variant);
        let loss = Axes::new(variant, Loss, &title).logarithmic().with_own_range();
        let accuracy = Axes::new(variant, Accuracy, &title).near_one().with_own_range();
        vec![loss, accuracy, Axes::new(variant, AccuracyGap, &title)]
    });
    run.write(&figure, &points)?;

    let mut comparisons = compare::last_points(&points);
    comparisons.extend(compare::with_number(&points, "small", report.number("Section 2.d, small CNN")?));
    run.write_tables(&[("After the last epoch", compare::table(&comparisons)), ("Overfitting", gaps(&points))])?;
    compare::print_summary(&comparisons);
    Ok(())
}

/// How far training is ahead of validation after the last epoch, a line per variant.
fn gaps(points: &[Point]) -> table::Table {
    let mut table =
        table::new(["", "accuracy, train - validation", "loss, validation - train", "published accuracy", "published loss", "seeds"]);
    for variant in variants(points, Accuracy) {
        let last = |quantity: Quantity, series: &str, origin| {
            let panel = Panel::new(&variant, quantity);
            points.iter().rfind(|point| point.panel == panel && point.series == series && point.origin == origin)
        };
        let ours = |quantity| last(quantity, "train ahead of validation", Reproduced);
        let words = |quantity| ours(quantity).map_or(String::new(), |point| with_deviation(point.y, point.deviation, 4));
        let published = |metric: Metric, from: &str, to: &str| {
            let of = |split| last(metric.into(), split, Reported).map(|point| point.y);
            of(from).zip(of(to)).map_or(String::new(), |(from, to)| format!("{:.4}", to - from))
        };
        let (accuracy, loss) = (published(Accuracy, "validation", "train"), published(Loss, "train", "validation"));
        let seeds = ours(AccuracyGap).and_then(|point| point.seeds).map_or(String::new(), |seeds| seeds.to_string());
        table.add_row([variant.clone(), words(AccuracyGap), words(LossGap), accuracy, loss, seeds]);
    }
    table::align_right(&mut table, 1..6);
    table
}
