//! The training loop, evaluation, checkpoints, the parameters of a trained network, and several trainings side by side.

mod callbacks;
mod checkpoints;
mod ema;
mod evaluate;
mod fit;
mod monitor;
pub mod parameters;
mod side_by_side;
mod state;

pub use callbacks::{Callbacks, Interrupted, Request};
pub use checkpoints::{Checkpoints, Resumed};
pub use ema::Ema;
pub(crate) use evaluate::logits_while;
pub use evaluate::{Misclassified, evaluate, logits, misclassified, predictions};
pub use fit::fit;
pub use side_by_side::side_by_side;
pub use state::{Best, RunIdentity, State};
