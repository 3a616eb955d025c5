//! Figure 12: training images of cats and dogs, the same as training changes them, and one under each change alone.
//! Reads experiments/fig12_samples.toml; writes plots/fig12_samples.png and plots/fig12_samples.csv, which names the images.

use reproduction::plot::draw_grid;
use reproduction::run::{self, ExitCode, Result, Run};

/// As in the report.
const COLUMNS: u32 = 8;

fn main() -> ExitCode {
    run::main(Run::start("fig12_samples"), make)
}

fn make(run: &Run) -> Result<()> {
    run.no_redraw()?;
    let photographs = run.cats_dogs()?;
    let samples = run.samples(&photographs)?;
    let title = "Figure 12: cats and dogs";
    let picture = draw_grid(title, &samples.subtitle, &samples.sections, COLUMNS)?;
    run.write_picture(title, &picture, &samples.rows)?;
    reproduction::say!("{} training images are shown as they are and changed.", samples.rows.len());
    Ok(())
}
