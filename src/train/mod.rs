//! Procedures: the one training loop, evaluation, checkpoints, the parameters of a trained network, and trials of an experiment side by
//! side.

mod average;
mod checkpoints;
mod cost;
mod evaluate;
mod finite;
mod fit;
mod networks;
mod observer;
pub mod parameters;
mod state;
mod trials;

pub use average::Average;
pub use checkpoints::{Checkpoints, Resumed};
pub use cost::expected_time;
pub use evaluate::{Misclassified, evaluate, logits, misclassified, predictions};
pub use fit::{Member, can_be_stacked, fit, fit_together};
pub use observer::{Interrupted, Observer, Wish};
pub use state::{Best, Owner, State};
pub use trials::side_by_side;
