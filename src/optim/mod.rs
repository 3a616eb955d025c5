//! Update rules: one struct, one step.

mod early_stopping;
mod reduce_lr_on_plateau;
mod schedule;
mod sgd;

pub use early_stopping::EarlyStopping;
pub use reduce_lr_on_plateau::ReduceLrOnPlateau;
pub use sgd::Sgd;
