//! The end of an example: its last message and its exit code.

use anyhow::Result;
use std::fmt::{Display, Formatter};
use std::process::ExitCode;

/// The end of an example before its figure is drawn: a signal stopped it, or it had only a share of the work to do.
#[derive(Debug)]
pub(super) struct EarlyExit {
    pub message: String,
    pub code: u8,
}

impl EarlyExit {
    pub fn signal(signal: i32, message: String) -> EarlyExit {
        EarlyExit { message, code: 128 + signal as u8 }
    }
}

impl Display for EarlyExit {
    fn fmt(&self, formatter: &mut Formatter) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for EarlyExit {}

/// The end of a program's `main`: prints its error as one chain, what because of what, and gives its exit code. That is 128 + signal if a
/// signal stopped the training, 0 if a share of the trials is trained or help was asked for, 2 if the flags are wrong, 1 for every other error.
pub fn finish(done: Result<()>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    let code = if let Some(early) = error.downcast_ref::<EarlyExit>() {
        tell!("{early}");
        early.code
    } else if let Some(error) = error.downcast_ref::<clap::Error>() {
        // Where nobody reads it any more, the exit code still says it.
        let _ = error.print();
        error.exit_code() as u8
    } else {
        tell!("Error: {error:#}");
        1
    };
    ExitCode::from(code)
}
