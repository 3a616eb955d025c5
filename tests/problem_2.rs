//! Figures 8 to 11 and Table 3 as a user makes them, short and on few digits.

mod common;

use common::{Scratch, error_of, example, few_digits};
use std::process::Output;

fn run(scratch: &Scratch, name: &str, flags: &[&str]) -> Output {
    let output = scratch.in_here(example(name).arg("--data").arg(few_digits()).args(flags)).output().expect("runs");
    assert!(output.status.success(), "{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(&format!("plots/{name}"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn table_3_is_the_reports_to_the_last_parameter() {
    let scratch = Scratch::new();
    let output = scratch.in_here(&mut example("fig8_cnn_architecture")).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("8 equal, 0 reproduced, 0 differ"), "{said}");
    assert!(scratch.path("plots/fig8_cnn_architecture.png").exists());
    let table = read(&scratch, "fig8_cnn_architecture.md");
    for row in ["(3 × 3 × 36) × 72", "72 × 3 × 3 × 750", "570436", "86.6 %"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    let layers = read(&scratch, "fig8_cnn_architecture.csv");
    assert!(layers.contains("Conv4,72x3x3,72x3x3,46656,72,46728,419904"), "{layers}");
}

#[test]
fn the_cnn_is_trained_beside_the_mlp_and_can_be_looked_into() {
    let scratch = Scratch::new();
    let short = ["--epochs", "2", "--seeds", "2"];
    run(&scratch, "fig9_cnn", &short);
    let points = read(&scratch, "fig9_cnn.csv");
    let rows = |start: &str| points.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((rows("cnn_accuracy,train,reproduced"), rows("mlp_accuracy,test,reproduced")), (2, 2), "{points}");
    assert!(!points.contains(",reported,"), "drawn digits are not the report's");
    let inside = run(&scratch, "cnn_filters", &short);
    let said = String::from_utf8_lossy(&inside.stderr);
    assert!(said.contains("2 of 2 trials were finished before and are kept, from") && said.contains("fig9_cnn"), "{said}");
    assert!(scratch.path("plots/cnn_filters.png").exists());
    let wrong = read(&scratch, "cnn_filters.csv");
    assert!(wrong.starts_with("validation_example,label,prediction,confidence\n"), "{wrong}");
    let differ = |line: &str| line.split(',').nth(1) != line.split(',').nth(2);
    assert!(wrong.lines().count() > 1 && wrong.lines().skip(1).all(differ), "only wrong ones: {wrong}");
    let confidences = wrong.lines().skip(1).map(|line| line.split(',').nth(3).and_then(|text| text.parse::<f64>().ok()).expect("a number"));
    assert!(confidences.is_sorted_by(|a, b| a >= b), "the most confident come first");
    let matrix = read(&scratch, "cnn_filters.md");
    let numbers = |line: &str| line.split('|').filter_map(|cell| cell.trim().parse::<f64>().ok()).collect::<Vec<f64>>();
    let rows: Vec<Vec<f64>> = matrix.lines().map(numbers).filter(|row| row.len() > 2).collect();
    // A label, its digits under each prediction, and its accuracy; an embedded digit may have no image in so few.
    let errors: f64 = rows.iter().map(|row| row[1..row.len() - 1].iter().sum::<f64>() * (1.0 - row[row.len() - 1])).sum();
    assert!((errors - (wrong.lines().count() - 1) as f64).abs() < 0.1, "{errors} errors in {matrix}");
    let refused = scratch.in_here(example("cnn_filters").arg("--redraw")).output().expect("runs");
    assert!(error_of(&refused).contains("--redraw is no flag of cnn_filters: it draws what its CSV does not hold"));
}

#[test]
fn flags_without_effect_are_refused() {
    let scratch = Scratch::new();
    let cases = [
        ("fig8_cnn_architecture", "--redraw", "--redraw is no flag of fig8_cnn_architecture: it draws what its CSV does not hold"),
        ("fig13_vgg_architecture", "--redraw", "--redraw is no flag of fig13_vgg_architecture: it draws what its CSV does not hold"),
        ("fig8_cnn_architecture", "--shard=0/2", "--shard is no flag of fig8_cnn_architecture: it trains nothing"),
        ("fig5_7_gradient_check", "--merge", "--merge is no flag of fig5_7_gradient_check: it trains nothing"),
    ];
    for (name, flag, expected) in cases {
        let refused = scratch.in_here(example(name).arg(flag)).output().expect("runs");
        assert!(error_of(&refused).contains(expected) && refused.status.code() == Some(2), "{}", error_of(&refused));
    }
}

#[test]
fn both_networks_are_compared_by_how_far_training_is_ahead() {
    let scratch = Scratch::new();
    run(&scratch, "fig10_11_cnn_capacity", &["--epochs", "2", "--seeds", "2"]);
    let points = read(&scratch, "fig10_11_cnn_capacity.csv");
    let value = |panel: &str, series: &str| -> f64 {
        let row = points.lines().find(|line| line.starts_with(&format!("{panel},{series},reproduced,2.0,")));
        row.and_then(|row| row.split(',').nth(4)).and_then(|y| y.parse().ok()).unwrap_or_else(|| panic!("{panel} {series}: {points}"))
    };
    for variant in ["large", "small"] {
        for (metric, sign) in [("accuracy", 1.0), ("loss", -1.0)] {
            let panel = format!("{variant}_{metric}");
            let expected = sign * (value(&panel, "train") - value(&panel, "validation"));
            let gap = value(&format!("{panel}_gap"), "train ahead of validation");
            assert!((gap - expected).abs() < 1e-12, "{panel}: {gap} and {expected}");
        }
    }
    let of_seeds = |seed| points.lines().filter(|line| line.starts_with(&format!("small_accuracy_seed_{seed},test,reproduced,"))).count();
    assert_eq!([1, 2, 3].map(of_seeds), [2, 2, 0], "each seed by itself, too");
    let tables = read(&scratch, "fig10_11_cnn_capacity.md");
    assert!(tables.contains("### Overfitting") && tables.contains("| large") && tables.contains("| small"), "{tables}");
    let redraw = scratch.in_here(example("fig10_11_cnn_capacity").arg("--redraw")).output().expect("runs");
    assert!(redraw.status.success(), "{redraw:?}");
    assert_eq!(read(&scratch, "fig10_11_cnn_capacity.md"), tables, "the tables, too, come from the CSV");
}
