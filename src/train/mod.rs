//! Procedures: the one training loop, evaluation, checkpoints, the parameters of a trained network, and trials of an experiment side by
//! side.

mod checkpoints;
mod cost;
mod ema;
mod evaluate;
mod fit;
mod monitor;
mod observer;
pub mod parameters;
mod state;
mod trials;

pub use checkpoints::{Checkpoints, Resumed};
pub use cost::expected_time;
pub use ema::Ema;
pub use evaluate::{evaluate, logits, predictions};
pub use fit::fit;
pub use observer::{Interrupted, Observer, Wish};
pub use state::{Best, Owner, State};
pub use trials::side_by_side;
