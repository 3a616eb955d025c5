//! Procedures: the one training loop, evaluation, the parameters of a trained network, and trials of an experiment side by side.

pub mod checkpoint;
mod evaluate;
mod fit;
mod trials;

pub use evaluate::{evaluate, logits};
pub use fit::{Progress, fit};
pub use trials::side_by_side;
