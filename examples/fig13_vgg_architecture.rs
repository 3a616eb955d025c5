//! Figure 13: the VGG with 57,208,706 parameters as a diagram, and its parameters by layer.
//! Reads experiments/fig13_vgg_architecture.toml; writes plots/fig13_vgg_architecture.png, .csv and .md.

use reproduction::model::architecture;
use reproduction::plot::{draw_architecture, thousands};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, say, table};

fn main() -> ExitCode {
    run::main(Run::start("fig13_vgg_architecture"), make)
}

fn make(run: &Run) -> Result<()> {
    let architecture = architecture(&run.variants[0].experiment.model, [3, 64, 64])?;
    let layers = table::layers(&architecture);

    let title = "Figure 13: the VGG for cats and dogs";
    run.write_picture(title, &draw_architecture(title, &architecture)?, &layers)?;

    let comparisons = compare::parameters(&layers, run.report()?.number("Section 3, VGG")?);
    run.write_tables(&[
        ("Figure 13: parameters of the VGG", table::parameters(&architecture)),
        ("The same beside the report", compare::table(&comparisons)),
    ])?;
    say!("\nOne image takes {} multiply-adds, forward.", thousands(architecture.multiply_adds()));
    compare::print_summary(&comparisons);
    Ok(())
}
