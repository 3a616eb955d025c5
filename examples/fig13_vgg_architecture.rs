//! Figure 13: the VGG with 57,208,706 parameters as a diagram, and its parameters by layer.
//! Reads experiments/fig13_vgg_architecture.toml; writes plots/fig13_vgg_architecture.png, .csv and .md.

use reproduction::plot::{draw_architecture, thousands};
use reproduction::run::{self, ExitCode, Result, Run};
use reproduction::{compare, table};

fn main() -> ExitCode {
    run::main(Run::start("fig13_vgg_architecture"), make)
}

fn make(run: &Run) -> Result<()> {
    let architecture = run.architecture([3, 64, 64])?;
    let title = "Figure 13: the VGG for cats and dogs";
    run.write_picture(title, &draw_architecture(title, &architecture)?, &table::layers(&architecture))?;
    let comparisons = compare::parameters(&table::layers(&architecture), run.reported_numbers()?.number("Section 3, VGG")?);
    run.write_tables(&[
        ("Figure 13: parameters of the VGG", table::parameters(&architecture)),
        ("The same beside the report", compare::table(&comparisons)),
    ])?;
    reproduction::say!("\nOne image takes {} multiply-adds, forward.", thousands(architecture.multiply_adds()));
    run.summarize(&comparisons)
}
