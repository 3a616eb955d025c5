//! A variant of an experiment, with its seeds.

use super::{Experiment, Search};
use std::ops::Range;
use std::time::Duration;

/// One resolved experiment and the seeds to train it with: a curve of a figure, for example.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    pub name: String,
    pub experiment: Experiment,
    /// The random search over its settings, if it is trained by one.
    pub search: Option<Search>,
    pub seeds: Range<u64>,
    /// Time between two checkpoints.
    pub checkpoint_after: Duration,
    /// The most trials trained at the same time, where that is not left to the machine.
    pub at_a_time: Option<u64>,
}
