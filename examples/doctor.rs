//! Is this machine ready? Says what is there of libtorch, the processor and CUDA, and what to do about anything that is missing.
//! Trains nothing, writes nothing.

use clap::Parser;
use reproduction::doctor::{self, Doctor};
use reproduction::run::{self, ExitCode, Result, explain_panics, project_root};
use reproduction::{limits, say};

/// Is this machine ready?
#[derive(Parser)]
struct Flags {
    /// Fail where there is no GPU to use
    #[arg(long)]
    cuda: bool,
}

fn main() -> ExitCode {
    run::finish(check(&Flags::parse()))
}

fn check(flags: &Flags) -> Result<()> {
    explain_panics();
    limits::check()?;
    let mut report = Doctor::default();
    // CUDA first: libtorch finds its CUDA half only before it is asked about anything that involves it.
    let cuda = doctor::cuda();
    report.section("libtorch", true, &doctor::libtorch());
    report.section("processor", true, &doctor::cpu());
    report.section("CUDA", flags.cuda, &cuda);
    let root = project_root()?;
    report.section("machine", true, &doctor::machine(&root));
    report.section("data", false, &doctor::data(&root));
    report.next("cargo run --example fig1_init (add --data embedded where no data set can be downloaded)");
    say!("{}", report.text());
    say::ensure_written()?;
    report.verdict()
}
