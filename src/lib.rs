//! The report's figures and tables, rebuilt on libtorch.

pub mod data;
pub mod device;
pub mod doctor;
pub mod seed;
