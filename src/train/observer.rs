//! Who watches a training run.

use super::state::State;
use crate::model::Parameter;
use anyhow::Result;

/// Who watches a training run, and may want something of it.
pub trait Observer {
    /// Asked after each minibatch, after each epoch, and while the network is measured.
    fn wish(&mut self) -> Wish {
        Wish::GoOn
    }

    /// One more minibatch was learned from.
    fn minibatch(&mut self) {}

    /// An epoch ended and everything was measured.
    fn epoch(&mut self, _state: &State) {}

    /// Keeps where training stands, from which it could go on, with the network's values (see [`crate::model::Model::values`]).
    ///
    /// # Errors
    /// If it cannot; training ends.
    fn keep(&mut self, _state: &State, _values: &[Parameter]) -> Result<()> {
        Ok(())
    }
}

/// What an observer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    GoOn,
    /// Keep where training stands, and go on.
    Keep,
    /// Keep where training stands, and end.
    Stop,
}

/// Nobody watches.
impl Observer for () {}

/// The error with which training ends where its observer wants it to.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}
