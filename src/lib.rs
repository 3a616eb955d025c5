//! The report's figures and tables, rebuilt on libtorch.

pub mod compare;
pub mod data;
pub mod device;
pub mod doctor;
pub mod experiment;
pub mod files;
pub mod gradient_check;
pub mod history;
pub mod layers;
pub mod loss;
pub mod model;
pub mod optim;
pub mod plot;
pub mod points;
pub mod reported;
pub mod run;
pub mod seed;
pub mod train;
