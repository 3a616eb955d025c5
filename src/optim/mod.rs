//! Update rules: one struct, one step.

mod sgd;

pub use sgd::Sgd;
