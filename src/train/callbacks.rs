//! Training callbacks: progress, checkpoints, interruption.

use super::state::State;
use crate::model::Parameter;
use anyhow::Result;

/// Called by [`super::fit`] during training; every method does nothing by default.
pub trait Callbacks {
    /// Asked after each minibatch and after each epoch; during an evaluation, too, where [`Request::Checkpoint`] has to wait.
    fn request(&mut self) -> Request {
        Request::Continue
    }

    fn after_minibatch(&mut self) {}

    /// After an epoch and its evaluation.
    fn after_epoch(&mut self, _state: &State) {}

    /// Writes a checkpoint of `state` and the network's `values` (see [`crate::model::Model::values`]).
    ///
    /// # Errors
    /// If it cannot; training ends.
    fn checkpoint(&mut self, _state: &State, _values: &[Parameter]) -> Result<()> {
        Ok(())
    }
}

/// What [`super::fit`] does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Continue,
    /// Write a checkpoint and go on.
    Checkpoint,
    /// Write a checkpoint and end training with [`Interrupted`].
    Stop,
}

/// No callbacks.
impl Callbacks for () {}

/// The error with which training ends after [`Request::Stop`].
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}
