//! The report's random search on cats and dogs, from coarse to fine: every trial, what mattered, and the ten best.
//! Trains. Reads experiments/kaggle_search.toml; writes plots/kaggle_search.png, plots/kaggle_search.csv and plots/kaggle_search.md.

use reproduction::plot::draw_search;
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::table;

fn main() -> ExitCode {
    run::main(Run::start("kaggle_search"), make)
}

fn make(run: &Run) -> Result<()> {
    run.no_redraw()?;
    let photographs = run.cats_dogs()?;
    let searched = run.search(&photographs)?;
    let title = format!("Random search, from coarse to fine: {} settings of the VGG on cats and dogs", searched.trials.len());
    let picture = draw_search(&title, &searched.subtitle, &searched.axes, &searched.trials)?;
    run.write_picture(&title, &picture, &searched.rows())?;
    run.write_tables(&[("The ten best", searched.best_ten())])?;

    // The report gives no more of its search than the setting it chose, that of Figure 14.
    if let Some(reported) = run.report()?.number("Section 3, VGG")?.best_validation {
        let settings = table::settings(run.variants(), "vgg");
        reproduction::say!("\nThe report chose {settings}: {:.0} % of its validation images, after up to 100 epochs.", 100.0 * reported);
    }
    Ok(())
}
