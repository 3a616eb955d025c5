//! Output to the terminal, line by line: [`say!`](crate::say!) a result, on the standard output, and [`tell!`](crate::tell!) how it goes, on
//! the standard error. With `println!` a reader that goes away, a killed `tee` or a lost connection, ends the program by a panic, and with
//! it the training.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Writes to the standard output as `println!` does, without a second end of the line where the text has one. If it cannot,
/// [`ensure_written`](crate::say::ensure_written) knows.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::say::to_output(format_args!($($text)*)) };
}

/// Writes to the standard error as `eprintln!` does, without a second end of the line where the text has one, or not at all.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => { $crate::say::to_error(format_args!($($text)*)) };
}

/// The first thing that went wrong with the standard output.
static LOST: OnceLock<io::Error> = OnceLock::new();

#[doc(hidden)]
pub fn to_output(text: Arguments) {
    if let Err(error) = write_line(io::stdout().lock(), text) {
        let _ = LOST.set(error);
    }
}

#[doc(hidden)]
pub fn to_error(text: Arguments) {
    // Nobody is left who could be told.
    let _ = write_line(io::stderr().lock(), text);
}

fn write_line(mut stream: impl Write, text: Arguments) -> io::Result<()> {
    // In one piece, so that lines of several threads or processes do not mix.
    let mut text = text.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// # Errors
/// If something that was to be said on the standard output was not written, on a full disk for example. A reader that has gone (`| head`)
/// has what it wanted.
pub fn ensure_written() -> anyhow::Result<()> {
    match LOST.get() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(anyhow::anyhow!("cannot write to the standard output: {error}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_once() -> io::Result<()> {
        let mut written = Vec::new();
        for text in ["a", "b\n", ""] {
            write_line(&mut written, format_args!("{text}"))?;
        }
        assert_eq!(written, b"a\nb\n\n");
        Ok(())
    }
}
