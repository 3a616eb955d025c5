//! Photographs of cats and dogs at 64x64, from any of the archives they are known by, as a folder or a zip, with or without outer folders:
//! the challenge's, Kaggle's two, Microsoft's, and those that somebody else has split. `docs/data.md` has their layouts.
//!
//! Zips inside are read as if they were unpacked there. Where there are no test images, a share of the others is held out. As with MNIST,
//! what somebody names is taken as it is or refused; only where nobody named anything is Microsoft's archive, the public one, downloaded,
//! and only where that cannot be are drawn pictures used, with a notice.

mod layout;
mod read;
mod search;

use read::read;
pub use search::load;
pub(crate) use search::survey;

use super::DataSet;
use std::fmt;
use tch::Tensor;

/// The classes, in the order of their labels.
pub const CLASSES: [&str; 2] = ["Cat", "Dog"];

/// Numbers of images of the challenge, for training and for the test; others are split in this proportion.
const CHALLENGE: (i64, i64) = (19_998, 4_999);

/// Images for training and, apart, those to be predicted.
#[derive(Debug)]
pub struct CatsDogs {
    /// Images uint8 `[3, 64, 64]`, labels 0 for a cat, 1 for a dog; no test examples where a competition keeps their labels.
    pub data: DataSet,
    /// The file of each training image.
    pub names: Vec<String>,
    /// With labels or without, uint8, `[n, 3, 64, 64]`.
    pub test_images: Tensor,
    /// The file of each test image.
    pub test_names: Vec<String>,
    /// The competition whose test images these are, if any.
    pub asked: Option<Asked>,
    /// Files that could not be read and were left out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Unused files, a line for each reason.
    pub notes: Vec<String>,
}

/// The test images that a competition asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub competition: Competition,
    /// The number of each test image, ascending.
    pub ids: Vec<i64>,
    /// The numbers of those that could not be read, and are not among the test images.
    pub unreadable: Vec<i64>,
}

/// A competition on Kaggle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Competition {
    /// The challenge of the report: a class's name for each image.
    Course,
    /// "Dogs vs. Cats" of 2013: 1 for a dog, 0 for a cat.
    DogsVsCats,
    /// "Dogs vs. Cats Redux: Kernels Edition" of 2016: the probability of a dog.
    Redux,
}

impl fmt::Display for Competition {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Competition::Course => "the challenge (testset)",
            Competition::DogsVsCats => "Kaggle's Dogs vs. Cats (test1)",
            Competition::Redux => "Kaggle's Dogs vs. Cats Redux (test)",
        })
    }
}

/// The treatment of an image that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    Refuse,
    LeaveOut,
}
