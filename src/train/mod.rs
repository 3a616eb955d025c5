//! Procedures: the one training loop, evaluation, and trials of an experiment side by side.

mod evaluate;
mod fit;
mod trials;

pub use evaluate::evaluate;
pub use fit::{Progress, fit};
pub use trials::side_by_side;
