//! Training, validation and test examples as a network takes them.

use super::Examples;
use crate::experiment::{Split, Validation};
use crate::seed::{Purpose, draw};
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

/// Examples on a device. images: float in \[0, 1\], `[n, channels, height, width]`; labels: int64 `[n]`.
#[derive(Debug)]
pub struct Inputs {
    pub images: Tensor,
    pub labels: Tensor,
}

/// What is learned from, what chooses, and what only reports.
#[derive(Debug)]
pub struct Splits {
    pub train: Inputs,
    pub validation: Inputs,
    pub test: Inputs,
}

impl Inputs {
    fn new(examples: &Examples, device: Device) -> Inputs {
        let images = examples.images.to_device(device).to_kind(Kind::Float) / 255.0;
        Inputs { images, labels: examples.labels.to_device(device) }
    }

    /// The number of examples.
    pub fn len(&self) -> i64 {
        self.labels.size()[0]
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width of an image.
    pub fn image(&self) -> [i64; 3] {
        let (_, channels, height, width) = self.images.size4().expect("images are [n, channels, height, width]");
        [channels, height, width]
    }

    /// The examples at `index` (int64), copied in that order.
    pub fn select(&self, index: &Tensor) -> Inputs {
        Inputs { images: self.images.index_select(0, index), labels: self.labels.index_select(0, index) }
    }

    /// Consecutive minibatches of `size`; the last may be smaller. None of them is a copy.
    pub fn minibatches(&self, size: i64) -> impl Iterator<Item = Inputs> + '_ {
        (0..self.len()).step_by(size as usize).map(move |start| {
            let length = size.min(self.len() - start);
            Inputs { images: self.images.narrow(0, start, length), labels: self.labels.narrow(0, start, length) }
        })
    }

    /// Another handle on the same examples, for another thread.
    pub fn share(&self) -> Inputs {
        Inputs { images: self.images.shallow_clone(), labels: self.labels.shallow_clone() }
    }
}

impl Splits {
    /// Splits `train` as `split` says; a random split depends on `seed` only.
    ///
    /// # Errors
    /// If nothing is left to train on.
    pub fn new(train: &Examples, test: &Examples, split: &Split, seed: u64, device: Device) -> Result<Splits> {
        let (all, held_out) = (train.len(), split.validation_examples);
        ensure!(
            held_out < all,
            "split.validation_examples is {held_out}, expected fewer than the {all} examples of the training file, so that some are left to train on"
        );
        let order = match split.validation {
            Validation::Last => Tensor::arange(all, (Kind::Int64, Device::Cpu)),
            Validation::Random => draw(seed, Purpose::Split, 0, || Tensor::randperm(all, (Kind::Int64, Device::Cpu))),
        };
        let taken = split.limit.unwrap_or(all).min(all - held_out);
        let part = |start, length| train.select(&order.narrow(0, start, length));
        Ok(Splits {
            train: Inputs::new(&part(0, taken), device),
            validation: Inputs::new(&part(all - held_out, held_out), device),
            test: Inputs::new(test, device),
        })
    }

    /// Another handle on the same examples, for another thread.
    pub fn share(&self) -> Splits {
        Splits { train: self.train.share(), validation: self.validation.share(), test: self.test.share() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(n: i64) -> Examples {
        let labels = Tensor::arange(n, (Kind::Int64, Device::Cpu));
        Examples { images: labels.to_kind(Kind::Uint8).view([n, 1, 1, 1]), labels }
    }

    fn labels(inputs: &Inputs) -> Vec<i64> {
        Vec::try_from(&inputs.labels).expect("labels")
    }

    #[test]
    fn the_last_are_for_validation_and_every_minibatch_counts() -> Result<()> {
        let split = Split { validation: Validation::Last, validation_examples: 3, limit: Some(5) };
        let splits = Splits::new(&numbered(10), &numbered(2), &split, 0, Device::Cpu)?;
        assert_eq!(labels(&splits.train), [0, 1, 2, 3, 4], "the first five of the seven that are for training");
        assert_eq!(labels(&splits.validation), [7, 8, 9]);
        let sizes: Vec<i64> = splits.train.minibatches(2).map(|minibatch| minibatch.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(splits.train.images.double_value(&[4, 0, 0, 0]) as f32, 4.0 / 255.0);
        Ok(())
    }

    #[test]
    fn a_random_split_is_a_partition_that_the_seed_decides() -> Result<()> {
        let split = Split { validation: Validation::Random, validation_examples: 40, limit: None };
        let drawn = |seed| Splits::new(&numbered(100), &numbered(1), &split, seed, Device::Cpu);
        let (first, again, other) = (drawn(1)?, drawn(1)?, drawn(2)?);
        assert_eq!(labels(&first.validation), labels(&again.validation));
        assert_ne!(labels(&first.validation), labels(&other.validation));
        let mut all = [labels(&first.train), labels(&first.validation)].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<i64>>());
        Ok(())
    }

    #[test]
    fn a_split_that_leaves_nothing_is_refused() {
        let split = Split { validation: Validation::Last, validation_examples: 10, limit: None };
        let error = Splits::new(&numbered(10), &numbered(1), &split, 0, Device::Cpu).expect_err("nothing to train on");
        assert!(error.to_string().contains("validation_examples is 10"), "{error}");
    }
}
