//! A variant of an experiment, with all that is to be trained of it.

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
    /// How long training may go on until where it stands is kept.
    pub checkpoint_after: Duration,
    /// How many trials are trained at the same time at most, where that is not left to the machine.
    pub at_a_time: Option<u64>,
}
