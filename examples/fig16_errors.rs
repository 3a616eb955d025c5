//! Figure 16: the validation images that the VGG gets most confidently wrong, in the groups in which experiments/fig16_errors.toml has
//! them. Reads what kaggle_vgg says of them, plots/kaggle_vgg_validation.csv; writes plots/fig16_errors.png and plots/fig16_errors.csv.

use reproduction::plot::draw_grid;
use reproduction::run::{self, ExitCode, Result, Run};

/// As wide as the report's.
const COLUMNS: u32 = 8;

fn main() -> ExitCode {
    run::main(Run::untrained("fig16_errors"), make)
}

fn make(run: &Run) -> Result<()> {
    run.no_redraw()?;
    let photographs = run.cats_dogs()?;
    let errors = run.errors(&photographs, "kaggle_vgg")?;
    for row in errors.rows.iter().take(5) {
        reproduction::say!("{}: a {} taken for a {} with {:.2} %", row.file, row.label, row.prediction, 100.0 * row.confidence);
    }
    let title = "Figure 16: what the VGG gets wrong";
    let picture = draw_grid(title, &errors.subtitle, &errors.sections, COLUMNS)?;
    run.write_picture(title, &picture, &errors.rows)
}
