//! Beyond the report: test accuracy with at most 2,066 parameters, by other layers and by distillation into the report's layers.
//! Trains. Reads experiments/cnn_small.toml, weights/cnn_tuned-large and the CSVs of table2_sweep, mlp_tuned and cnn_tuned; writes
//! plots/cnn_small.png, .csv and .md.

use anyhow::Context;
use reproduction::data::mnist::CLASSES;
use reproduction::experiment::{ExperimentFile, Model};
use reproduction::history::Metric::Accuracy;
use reproduction::plot::{Axes, Figure};
use reproduction::points::Quantity::AccuracyByParameters;
use reproduction::points::{Origin, Panel, Point, read_csv, variants};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{model, table};
use tch::Device;

const IMAGE: [i64; 3] = [1, 28, 28];
/// Examples with networks for digits, whose results stand in the picture, too.
const OTHERS: [&str; 3] = ["table2_sweep", "mlp_tuned", "cnn_tuned"];
/// Parameters and test accuracy: github.com/JoshWarn/Parameter-Efficient-MNIST, github.com/ruslangrimov/mnist-minimal-model and
/// github.com/The-School-of-AI/era-s6-ram (best epoch on the test images), read 2026-11-28.
const PUBLISHED: [(f64, f64); 3] = [(697.0, 0.99), (4_862.0, 0.9907), (8_932.0, 0.995)];

fn main() -> ExitCode {
    run::main(Run::start("cnn_small"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let mut points = run.train(&run.mnist()?)?.all_curves();
        points.extend(by_parameters(run, &points)?);
        Ok(points)
    })?;

    let title = "Beyond the report: test accuracy by number of parameters";
    let axes = Axes::new("networks", AccuracyByParameters, "networks for MNIST").near_one();
    run.write(&Figure::new(title, vec![vec![axes]]), &points)?;
    run.write_tables(&[("After the last epoch", table::networks(&points, &run.variants, IMAGE)?)])
}

/// A point for each network: the report's, those that others have published, and ours, of which `curves` are the new ones.
fn by_parameters(run: &Run, curves: &[Point]) -> Result<Vec<Point>> {
    let panel = Panel::new("networks", AccuracyByParameters);
    let theirs = |series: &str, x: f64, y: f64| {
        let (panel, series) = (panel.clone(), series.to_owned());
        Point { panel, series, origin: Origin::Reported, x, y, ..Point::default() }
    };
    let report = run.report()?;
    let printed = report.number.iter().filter_map(|number| Some(theirs("the report", number.parameters? as f64, number.test?)));
    let mut points: Vec<Point> = printed.chain(PUBLISHED.map(|(x, y)| theirs("published by others", x, y))).collect();

    let mut add = |series: &str, curves: &[Point], model_of: &dyn Fn(&str) -> Result<Model>| -> Result<()> {
        for variant in variants(curves, Accuracy) {
            let network = model::build(&model_of(&variant)?, IMAGE, CLASSES.len() as i64, 1, Device::Cpu)?;
            let is_test = |point: &&Point| point.panel == Panel::new(&variant, Accuracy) && point.series == "test";
            let last = curves.iter().rfind(is_test).with_context(|| format!("there is no test accuracy of {variant}"))?;
            points.push(Point { panel: panel.clone(), series: series.to_owned(), x: network.parameter_count() as f64, ..last.clone() });
        }
        Ok(())
    };
    add("ours", curves, &|name| {
        let variant = run.variants.iter().find(|variant| variant.name == name);
        Ok(variant.with_context(|| format!("{name} is no variant of this run"))?.experiment.model.clone())
    })?;
    for name in OTHERS {
        let csv = run.out().join(name).with_extension("csv");
        if !csv.exists() {
            reproduction::tell!("{} is not there: the picture lacks the networks of {name}", csv.display());
            continue;
        }
        let file = ExperimentFile::read(&run.experiment_path().with_file_name(format!("{name}.toml")))?;
        let mut curves = read_csv(&csv)?;
        // Not what --set has made: its network is not the file's.
        let of_file: Vec<String> = variants(&curves, Accuracy).into_iter().filter(|name| file.variant(name).is_ok()).collect();
        curves.retain(|point| of_file.contains(&point.panel.variant) && !point.data.contains('='));
        add("ours, other examples", &curves, &|variant| Ok(file.variant(variant)?.model))?;
    }
    Ok(points)
}
