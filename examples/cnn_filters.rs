//! What the CNN of Figure 9 does: its first filters, and the validation digits that it got most confidently wrong.
//! Trains, or takes what fig9_cnn has trained. Reads experiments/cnn_filters.toml; writes plots/cnn_filters.png and plots/cnn_filters.csv.

use reproduction::plot::draw_grid;
use reproduction::run::{self, ExitCode, Result, Run};

fn main() -> ExitCode {
    run::main(Run::start("cnn_filters"), make)
}

fn make(run: &Run) -> Result<()> {
    run.no_redraw()?;
    let digits = run.mnist()?;
    let trained = run.train(&digits)?;
    let inside = run.look_inside(&trained, &digits)?;
    for row in inside.rows.iter().take(5) {
        reproduction::say!(
            "validation digit {}: a {} taken for a {} with {:.2} %",
            row.validation_example,
            row.label,
            row.prediction,
            100.0 * row.confidence
        );
    }
    let title = "Inside the CNN of Figure 9";
    let picture = draw_grid(title, &inside.subtitle, &inside.sections, 9)?;
    run.write_picture(title, &picture, &inside.rows)
}
