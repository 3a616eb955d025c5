//! How an example ends: what it says last, and its exit code.

use super::early::Early;
use super::{Run, Variant, predict};
use crate::say;
use anyhow::Result;
use std::process::ExitCode;

/// The exit code of a program that ends with `error`: 128 + signal if a signal stopped the training, 0 if a share of the trials is trained or
/// help was asked for, 2 if the flags are wrong, 1 for every other error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let of_flags = || Some(error.downcast_ref::<clap::Error>()?.exit_code() as u8);
    error.downcast_ref::<Early>().map(|early| early.code).or_else(of_flags).unwrap_or(1)
}

/// The end of an example's `main`: prints its error as one chain, what because of what, and gives its exit code.
pub fn finish(done: Result<()>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    match (error.downcast_ref::<clap::Error>(), error.downcast_ref::<Early>()) {
        // Where nobody reads it any more, the exit code still says it.
        (Some(error), _) => drop(error.print()),
        (None, Some(early)) => tell!("{early}"),
        (None, None) => tell!("Error: {error:#}"),
    }
    ExitCode::from(exit_code(&error))
}

/// The whole of an example's `main`: does what `example` says with a run that was started or, with `--predict`, classifies images, with
/// `--print-experiment` prints the experiment; prints its error, and gives its exit code.
pub fn main(run: Result<Run>, example: impl FnOnce(&Run) -> Result<()>) -> ExitCode {
    finish(run.and_then(|run| {
        if run.flags.print_experiment {
            for Variant { name, experiment, seeds, .. } in &run.variants {
                say!("# {name}, seeds {} to {}\n{}", seeds.start, seeds.end - 1, experiment.to_toml());
            }
            return say::ensure_written();
        }
        if let Some(path) = &run.flags.predict {
            predict::write_predictions(&run, path)?;
            return say::ensure_written();
        }
        example(&run)?;
        say::ensure_written()?;
        if run.flags.out.is_none() && !run.flags.quick && !run.is_reproduction() {
            let (folder, name) = (run.out(), run.name);
            tell!(
                "everything is in {}, apart from the committed results: this was not experiments/{name}.toml as it stands, on the report's data \
                 (--out DIR writes elsewhere)",
                folder.display()
            );
        }
        Ok(())
    }))
}
