//! Photographs of cats and dogs at 64x64, from any of the three archives they are known by:
//!
//! | | training | test |
//! |---|---|---|
//! | the challenge's | `trainset/Cat/1.Cat.jpg`, `trainset/Dog/1.Dog.jpg` | `testset/test/1.jpg`, no labels |
//! | Kaggle's "Dogs vs. Cats" | `train/cat.0.jpg`, `train/dog.0.jpg` | a share of these |
//! | Microsoft's | `PetImages/Cat/0.jpg`, `PetImages/Dog/0.jpg` | a share of these |
//!
//! each as a folder or a zip, with or without outer folders. As with MNIST, what somebody names is taken as it is or refused; only where
//! nobody named anything is Microsoft's archive, the public one, downloaded, and only where that cannot be are drawn pictures used, with
//! a notice.

mod read;
mod search;

pub use read::read;
pub use search::{load, survey};

use super::{Examples, Source};
use tch::Tensor;

/// The classes, in the order of their labels.
pub const CLASSES: [&str; 2] = ["Cat", "Dog"];

/// How many images the challenge has for training and for the test; others are split in this proportion.
const CHALLENGE: (i64, i64) = (19_998, 4_999);

/// Images for training and, apart, those to be predicted.
#[derive(Debug)]
pub struct CatsDogs {
    /// Images uint8 `[n, 3, 64, 64]`, labels int64 `[n]`: 0 for a cat, 1 for a dog.
    pub train: Examples,
    /// The file of each training image.
    pub names: Vec<String>,
    /// uint8, `[n, 3, 64, 64]`.
    pub test: Tensor,
    /// What a submission calls the test images: the challenge's numbers, else 1, 2, ...
    pub ids: Vec<i64>,
    /// int64, `[n]`; none for the challenge's.
    pub test_labels: Option<Tensor>,
    /// What could not be decoded and was left out, with the reason.
    pub left_out: Vec<(String, String)>,
    pub source: Source,
}

/// What to do about an image that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    Refuse,
    LeaveOut,
}
