//! Figure 1: loss and accuracy of the MLP under Glorot, normal and zero initialization.
//! Trains. Reads experiments/fig1_init.toml; writes plots/fig1_init.png and plots/fig1_init.csv.

use reproduction::compare;
use reproduction::history::Metric::{Accuracy, Loss, TwiceSoftmaxedLoss};
use reproduction::plot::{Figure, Panel};
use reproduction::points::variants;
use reproduction::run::{self, ExitCode, Result, Run};

fn main() -> ExitCode {
    run::main(Run::start("fig1_init"), make)
}

fn make(run: &Run) -> Result<()> {
    let points = match run.redraw()? {
        Some(points) => points,
        None => {
            let digits = run.mnist()?;
            let trained = run.train(&digits)?;
            let published = run.reported(1)?;
            // The published losses are cross-entropies of softmax outputs: the softmax was taken twice.
            let laid_over = |(variant, name): (&str, &str)| {
                Ok([
                    trained.curves(variant, Loss),
                    trained.with_reported(variant, TwiceSoftmaxedLoss, &published, &format!("{name}_loss"))?,
                    trained.with_reported(variant, Accuracy, &published, &format!("{name}_accuracy"))?,
                ])
            };
            let names = trained.variants().into_iter().map(|variant| (variant, variant.trim_end_matches("_as_published")));
            names.map(laid_over).collect::<Result<Vec<_>>>()?.into_iter().flatten().flatten().collect()
        }
    };
    let row = |variant: &String| {
        let losses = vec![
            Panel::new(variant, Loss, "cross-entropy"),
            Panel::new(variant, TwiceSoftmaxedLoss, "cross-entropy of softmax outputs, as published"),
        ];
        vec![losses, vec![Panel::new(variant, Accuracy, "accuracy")]]
    };
    let title = "Figure 1: a 512-512 MLP on MNIST under three initializations".to_owned();
    run.write(&Figure { title, rows: variants(&points, Accuracy).iter().map(row).collect() }, &points)?;
    run.compare(&compare::last_points(&points))
}
