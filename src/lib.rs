#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! In layer order: a module imports those above it, never one below.

// 1 plain data, no tensors
pub mod files;
pub mod seed;
pub mod experiment;
pub mod architecture;
pub mod history;
pub mod points;
pub mod results;
pub mod shard;
pub mod reported;
// 2 parts
pub mod device;
pub mod data;
pub mod layers;
pub mod loss;
pub mod plot;
pub mod table;
pub mod compare;
pub mod submission;
pub mod report_card;
// 3 networks and update rules
pub mod model;
pub mod optim;
// 4 procedures
pub mod train;
pub mod gradient_check;
pub mod search;
// 5 what an example holds
pub mod doctor;
pub mod run;
