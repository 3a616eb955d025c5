//! Figure 8 and Table 3: the CNN with 570,436 parameters as a diagram, and its parameters by layer beside the report's.
//! Reads experiments/fig8_cnn_architecture.toml; writes plots/fig8_cnn_architecture.png, .csv and .md.

use reproduction::model::architecture;
use reproduction::plot::{draw_architecture, thousands};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, say, table};

fn main() -> ExitCode {
    run::main(Run::start("fig8_cnn_architecture"), make)
}

fn make(run: &Run) -> Result<()> {
    let architecture = architecture(&run.variants[0].experiment.model, [1, 28, 28])?;
    let layers = table::layers(&architecture);

    let title = "Figure 8: the CNN for MNIST";
    run.write_picture(title, &draw_architecture(title, &architecture)?, &layers)?;

    let comparisons = compare::parameters(&layers, run.report()?.number("Table 3")?);
    run.write_tables(&[
        ("Table 3: parameters of the CNN", table::parameters(&architecture)),
        ("The same beside the report", compare::table(&comparisons)),
    ])?;
    say!("\nOne image takes {} multiply-adds, forward.", thousands(architecture.multiply_adds()));
    compare::print_summary(&comparisons);
    Ok(())
}
