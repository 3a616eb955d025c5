//! A deep-learning report (IFT6135 winter 2019, assignment 1) rebuilt figure by figure on libtorch: an MLP on MNIST with hand-written
//! backpropagation, a CNN on MNIST, and a VGG-like network on cats and dogs.
//!
//! A network is a [`model::Model`]: a thin wrapper over libtorch tensors that gives logits, and loss and gradients of a minibatch.
//! [`train::fit`] trains one with an [`optim::Optimizer`] on [`data::splits::Splits`] and returns a [`history::History`]. After that there are
//! no tensors: figures, tables and comparisons are made from [`points`]. README.md has the results and how to make them.
//!
//! # From figure to module
//!
//! | report | example | main modules |
//! |---|---|---|
//! | Figure 1; Tables 1, 2; Figures 2 to 4 | `fig1_init`, `table2_sweep`, `fig2_4_best_mlp` | [`model::Mlp`] with its backward pass by hand, [`layers`], [`optim::Sgd`], [`train::fit`] |
//! | Figures 5 to 7 | `fig5_7_gradient_check` | [`gradient_check`], [`loss`] |
//! | Figure 8, Table 3; Figure 13 | `fig8_cnn_architecture`, `fig13_vgg_architecture` | [`architecture`], [`plot::draw_architecture`] |
//! | Figures 9 to 11 | `fig9_cnn`, `fig10_11_cnn_capacity`, `cnn_filters` | [`model::Cnn`], [`layers::Convolution`], [`layers::MaxPool`], [`train::fit`] |
//! | Figure 12 | `fig12_samples` | [`data::augmentation`], [`plot::draw_grid`] |
//! | Figure 14, the submission | `kaggle_vgg` | [`model::Cnn`], [`layers::Dropout`], [`optim::ReduceLrOnPlateau`], [`optim::EarlyStopping`], [`submission`] |
//! | Figure 15, the random search | `fig15_vgg_sweep`, `kaggle_search` | [`search`] |
//! | Figure 16 | `fig16_errors` | [`experiment::Group`] |
//! | beyond it | `mlp_tuned`, `cnn_tuned`, `cnn_small`, `ablation_vgg`, `kaggle_ahead`, `speed_records` | [`layers::BatchNorm`], [`layers::ResidualBlock`], [`experiment::Schedule`], [`train::Ema`], [`model::Distilled`], [`model::TestTimeAugmentation`] |
//! | all of it | `report_card` | [`report_card`], [`compare`], [`reported`] |
//!
//! Every example holds a [`run::Run`], which reads its flags and `experiments/<example>.toml` ([`experiment`]).
//!
//! # As a library
//!
#![doc = concat!("```no_run\n", include_str!("../docs/library.rs"), "```")]
//!
//! docs/extending.md says how to add a layer, a network of your own, an experiment, and how to take a trained network to PyTorch.
//!
//! # Modules
//!
//! In layer order: a module imports those above it, never one below.

// 1 plain data, no tensors
#[macro_use]
pub mod say;
pub mod files;
#[cfg(test)]
mod source_digest;
pub mod seed;
pub mod layers;
pub mod experiment;
pub mod architecture;
pub mod history;
pub mod points;
pub mod reported;
pub mod tensorboard;
// 2 parts
pub mod libtorch;
pub mod limits;
pub mod device;
pub mod data;
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
