//! Figures 5 and 6 (7 is their common caption): finite differences against the hand-derived backward pass.
//! Trains nothing. Reads experiments/fig5_7_gradient_check.toml; writes plots/fig5_7_gradient_check.png and .csv.

use reproduction::plot::Scale::{Linear, Logarithmic};
use reproduction::plot::{Figure, Panel};
use reproduction::run::{self, ExitCode, Result, Run};

fn main() -> ExitCode {
    run::main(Run::start("fig5_7_gradient_check"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = run.points(|| {
        let mut points = run.check_gradients(&run.mnist()?)?;
        let report = run.report()?;
        points.extend(report.figure(5)?.over(&points, "main", "as_published_n")?);
        points.extend(report.figure(6)?.over(&points, "main", "as_published_epsilon")?);
        Ok(points)
    })?;
    let (epsilon, n) = ("epsilon", "N = 1 / epsilon");
    let published = "as published: softmax taken twice in the differenced loss";
    let correct = "as it should be: the loss that is differentiated";
    let rows = vec![
        vec![
            vec![Panel::against(n, "as_published_n", published, Linear)],
            vec![Panel::against(epsilon, "as_published_epsilon", published, Linear)],
        ],
        vec![
            vec![Panel::against(n, "correct_n", correct, Logarithmic)],
            vec![Panel::against(epsilon, "correct_epsilon", correct, Logarithmic)],
        ],
    ];
    let title = "Figures 5 and 6: largest gradient difference over ten weights of layer 2".to_owned();
    run.write(&Figure { title, rows }, &points)?;
    run.judge_gradients(&points);
    Ok(())
}
