//! Tables 1 and 2 and Figures 2 to 7 as a user makes them, short and on few digits.

mod common;

use common::{Scratch, error_of, example, few_digits};
use std::process::Output;

fn run(scratch: &Scratch, name: &str, flags: &[&str]) -> Output {
    let output = scratch.in_here(example(name).arg("--data").arg(few_digits()).args(flags)).output().expect("runs");
    assert!(output.status.success(), "{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn the_sweep_makes_its_tables_and_the_best_network_takes_its_history() {
    let scratch = Scratch::new();
    let short = ["--limit", "300", "--epochs", "2", "--seeds", "2"];
    run(&scratch, "table2_sweep", &short);
    for extension in ["png", "csv", "md"] {
        assert!(scratch.path(&format!("plots/table2_sweep.{extension}")).exists(), "{extension}");
    }
    let tables = std::fs::read_to_string(scratch.path("plots/table2_sweep.md")).expect("tables");
    for count in ["669706", "269322", "535818", "55050", "26506"] {
        assert!(tables.contains(count), "Table 1 has the number of parameters {count}: {tables}");
    }
    let best = run(&scratch, "fig2_4_best_mlp", &short);
    let said = String::from_utf8_lossy(&best.stderr);
    assert!(said.contains("2 of 2 trials were finished before and are kept, from") && said.contains("table2_sweep"), "{said}");
    let points = |name: &str| std::fs::read_to_string(scratch.path(&format!("plots/{name}.csv"))).expect("points");
    let best_lines = points("table2_sweep").lines().filter(|line| line.starts_with("best_")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(points("fig2_4_best_mlp").lines().skip(1).collect::<Vec<_>>(), best_lines);
    // The tables, too, can be made again from the CSV alone.
    std::fs::remove_file(scratch.path("plots/table2_sweep.md")).expect("removed");
    let redraw = scratch.in_here(example("table2_sweep").args(["--redraw", "--epochs", "2"])).output().expect("runs");
    assert!(redraw.status.success(), "{redraw:?}");
    assert!(scratch.path("plots/table2_sweep.md").exists());
}

#[test]
fn the_gradient_check_finds_the_backward_pass_right() {
    let scratch = Scratch::new();
    let output = run(&scratch, "fig5_7_gradient_check", &["--seeds", "1"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("The hand-derived gradient is right"), "{said}");
    let csv = std::fs::read_to_string(scratch.path("plots/fig5_7_gradient_check.csv")).expect("points");
    let rows = |start: &str| csv.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((rows("as_published_n,seed 1,"), rows("correct_epsilon,seed 1,")), (10, 30), "{csv}");
    assert!(!csv.contains(",reported,"), "drawn digits are not the report's");
    run(&scratch, "fig5_7_gradient_check", &["--seeds", "1", "--set", "gradient_check.powers=[0, 1]"]);
    let changed = std::fs::read_to_string(scratch.path("plots/fig5_7_gradient_check.csv")).expect("points");
    assert!(changed.contains(", gradient_check.powers=[0, 1]\""), "what was changed is no data of the report: {changed}");
    let refused = scratch.in_here(example("fig5_7_gradient_check").args(["--epochs", "3"])).output().expect("runs");
    assert!(error_of(&refused).contains("trains nothing"));
}

#[test]
fn the_doctor_says_what_is_there_and_what_mends_the_rest() {
    let output = example("doctor").output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for item in ["libtorch", "2.11.0", "threads", "CUDA", "disk", "compiler", "MNIST", "next: cargo run"] {
        assert!(said.contains(item), "{item}: {said}");
    }
    let is_missing = |line: &&str| line.trim_start().starts_with("missing") || line.trim_start().starts_with("absent");
    let missing = said.lines().filter(is_missing).count();
    let remedies = said.lines().filter(|line| line.contains("-> ")).count();
    assert_eq!(missing, remedies, "{said}");
}
