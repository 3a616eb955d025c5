//! Data sets as tensors, each read, checked and named by where it came from.

pub mod archive;
pub mod augmentation;
pub mod cats_dogs;
pub(crate) mod digits;
mod download;
pub mod embedded;
pub mod idx;
mod jpeg;
mod location;
pub mod mnist;
pub mod photographs;
pub mod splits;

pub use location::Location;

use tch::Tensor;

/// Images with their labels.
#[derive(Debug)]
pub struct Examples {
    /// uint8, `[n, channels, height, width]`, 0 to 255.
    pub images: Tensor,
    /// int64, `[n]`, the class of each image from 0.
    pub labels: Tensor,
}

impl Examples {
    /// The number of images.
    pub fn len(&self) -> i64 {
        self.labels.size().first().copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The examples at `index` (int64), copied in that order.
    pub fn select(&self, index: &Tensor) -> Examples {
        Examples { images: self.images.index_select(0, index), labels: self.labels.index_select(0, index) }
    }

    /// Another handle on the same examples, for another thread.
    pub fn share(&self) -> Examples {
        Examples { images: self.images.shallow_clone(), labels: self.labels.shallow_clone() }
    }
}

/// A data set, as it is trained on.
#[derive(Debug)]
pub struct DataSet {
    pub train: Examples,
    /// The number of training images, the last ones, that are the data set's own for validation, if it has such.
    pub validation: Option<i64>,
    /// None where their labels are not known.
    pub test: Option<Examples>,
    /// The names of the classes, in the order of their labels.
    pub classes: &'static [&'static str],
    pub source: Source,
}

/// The origin of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name in figures and tables, for example "MNIST" or "embedded digits, not MNIST".
    pub name: String,
    /// SHA-256 in hexadecimal digits, of the checksums of the uncompressed files in their order.
    pub checksum: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn examples_are_counted_by_their_labels() {
        let examples = |n: i64| Examples {
            images: Tensor::zeros([n, 1, 2, 2], (Kind::Uint8, Device::Cpu)),
            labels: Tensor::zeros([n], (Kind::Int64, Device::Cpu)),
        };
        assert_eq!(examples(3).len(), 3);
        assert!(!examples(3).is_empty());
        assert!(examples(0).is_empty());
    }
}
