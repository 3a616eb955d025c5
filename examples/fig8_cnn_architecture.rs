//! Figure 8 and Table 3: the CNN with 570,436 parameters as a diagram, and its parameters by layer beside the report's.
//! Reads experiments/fig8_cnn_architecture.toml; writes plots/fig8_cnn_architecture.png, .csv and .md.

use reproduction::plot::{draw_architecture, thousands};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("fig8_cnn_architecture"), make)
}

fn make(run: &Run) -> Result<()> {
    let architecture = run.architecture([1, 28, 28])?;
    let title = "Figure 8: the CNN for MNIST";
    run.write_picture(title, &draw_architecture(title, &architecture)?, &table::layers(&architecture))?;
    let comparisons = compare::parameters(&table::layers(&architecture), run.reported_numbers()?.number("Table 3")?);
    run.write_tables(&[
        ("Table 3: parameters of the CNN", table::parameters(&architecture)),
        ("The same beside the report", compare::table(&comparisons)),
    ])?;
    reproduction::say!("\nOne image takes {} multiply-adds, forward.", thousands(architecture.multiply_adds()));
    run.summarize(&comparisons)
}
