//! Procedures: the one training loop, evaluation, the parameters of a trained network, and trials of an experiment side by side.

pub mod checkpoint;
mod cost;
mod evaluate;
mod fit;
mod state;
mod trials;

pub use cost::expected_time;
pub use evaluate::{evaluate, logits, predictions};
pub use fit::{Progress, fit};
pub use state::{Best, State};
pub use trials::side_by_side;
