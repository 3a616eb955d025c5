//! Training, validation and test examples as a network takes them.

use super::Examples;
use super::augmentation::Augmenter;
use crate::experiment::{Augmentation, Experiment, LARGEST_COUNT, Normalization, Validation};
use crate::seed::{Purpose, draw};
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

/// Examples on a device. Images are stored as uint8, and converted per minibatch.
#[derive(Debug)]
pub struct Inputs {
    /// uint8, `[n, channels, height, width]`.
    bytes: Tensor,
    /// int64, `[n]`.
    pub labels: Tensor,
    /// Mean and deviation of each channel, `[channels, 1, 1]`.
    normalization: Option<(Tensor, Tensor)>,
    augmentation: Option<Augmenter>,
    /// The changes of each image (see [`Augmentation::changes`]), where it is augmented.
    changes: Option<Tensor>,
}

/// Examples as a network takes them.
#[derive(Debug)]
pub struct Minibatch {
    /// float, `[n, channels, height, width]`: in \[0, 1\], or normalized where the experiment says so.
    pub images: Tensor,
    /// int64, `[n]`.
    pub labels: Tensor,
}

/// Training, validation and test set: the first trains, the second selects, the third only reports.
#[derive(Debug)]
pub struct Splits {
    pub train: Inputs,
    pub validation: Inputs,
    /// None if the test set has no labels.
    pub test: Option<Inputs>,
}

impl Inputs {
    /// Moves `examples` to `device`. `normalization` is applied to each minibatch, `augmentation` to those of [`Inputs::augmented`].
    pub fn new(
        examples: &Examples,
        normalization: Option<&Normalization>,
        augmentation: Option<&Augmentation>,
        device: Device,
    ) -> Result<Inputs> {
        let [depth, height, width] = [1, 2, 3].map(|dimension| examples.images.size().get(dimension).copied().unwrap_or(0));
        ensure!(depth == 3 || normalization.is_none(), "[normalization] is for images of 3 channels, but these have {depth}; leave it out");
        let colors = augmentation.iter().flat_map(|augmentation| augmentation.colors());
        let changed: Vec<&str> = colors.filter(|(_, value)| *value != 0.0).map(|(key, _)| key).collect();
        ensure!(
            depth == 3 || changed.is_empty(),
            "[augmentation] changes {}, for images of 3 channels, but these have {depth}; leave out what changes colors",
            changed.join(", ")
        );
        let channels = |values: &[f64; 3]| Tensor::from_slice(values).to_kind(Kind::Float).view([3, 1, 1]).to_device(device);
        Ok(Inputs {
            bytes: examples.images.to_device(device),
            labels: examples.labels.to_device(device),
            normalization: normalization.map(|Normalization { mean, deviation }| (channels(mean), channels(deviation))),
            augmentation: augmentation.map(|settings| Augmenter::new(settings, [height, width], (Kind::Float, device))),
            changes: None,
        })
    }

    /// The number of examples.
    pub fn len(&self) -> i64 {
        self.labels.size()[0]
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn device(&self) -> Device {
        self.labels.device()
    }

    /// Channels, height and width of an image.
    pub fn image(&self) -> [i64; 3] {
        let (_, channels, height, width) = self.bytes.size4().expect("images are [n, channels, height, width]");
        [channels, height, width]
    }

    /// The image in place `index` as it was read, uint8 `[channels, height, width]`.
    pub fn bytes(&self, index: i64) -> Tensor {
        self.bytes.get(index)
    }

    /// The examples at `index` (int64), in that order.
    pub fn select(&self, index: &Tensor) -> Minibatch {
        self.minibatch(|tensor| tensor.index_select(0, index))
    }

    /// `length` examples from place `start` on.
    pub fn range(&self, start: i64, length: i64) -> Minibatch {
        self.minibatch(|tensor| tensor.narrow(0, start, length))
    }

    /// Consecutive minibatches of `size`; the last may be smaller.
    pub fn minibatches(&self, size: i64) -> impl Iterator<Item = Minibatch> + '_ {
        (0..self.len()).step_by(size as usize).map(move |start| self.range(start, size.min(self.len() - start)))
    }

    /// The examples that `pick` takes of each tensor, as floats, augmented and normalized.
    fn minibatch(&self, pick: impl Fn(&Tensor) -> Tensor) -> Minibatch {
        let changes = self.changes.as_ref().map(&pick);
        let augmentation = self.augmentation.as_ref().zip(changes.as_ref());
        let mut images = pick(&self.bytes).to_kind(Kind::Float).g_div_scalar_(255.0);
        if let Some((augmenter, changes)) = augmentation {
            images = augmenter.apply(&images, changes);
        }
        if let Some((mean, deviation)) = &self.normalization {
            images = images.g_sub_(mean).g_div_(deviation);
        }
        if let Some((augmenter, changes)) = augmentation {
            images = augmenter.cutout(images, changes);
        }
        Minibatch { images, labels: pick(&self.labels) }
    }

    /// The same examples with random augmentation drawn from `seed` and `position`; unchanged if no augmentation is configured.
    pub fn augmented(&self, seed: u64, position: u64) -> Inputs {
        let settings = self.augmentation.as_ref().map(|augmenter| &augmenter.settings);
        let changes = settings.map(|settings| settings.changes(&settings.numbers(self.len(), seed, position, self.device())));
        Inputs { changes, ..self.share() }
    }

    /// Another handle on the same examples, for another thread.
    pub fn share(&self) -> Inputs {
        let both = |(mean, deviation): &(Tensor, Tensor)| (mean.shallow_clone(), deviation.shallow_clone());
        Inputs {
            bytes: self.bytes.shallow_clone(),
            labels: self.labels.shallow_clone(),
            normalization: self.normalization.as_ref().map(both),
            augmentation: self.augmentation.as_ref().map(Augmenter::share),
            changes: self.changes.as_ref().map(Tensor::shallow_clone),
        }
    }
}

impl Splits {
    /// Splits `train` as `experiment` says; a random split depends on `seed` only (see [`Splits::places`]).
    ///
    /// # Errors
    /// If nothing is left to train on or to validate with, or normalization or augmentation do not apply to these images.
    pub fn new(train: &Examples, test: Option<&Examples>, experiment: &Experiment, seed: u64, device: Device) -> Result<Splits> {
        let (taken, held_out) = Splits::places(train.len(), experiment, seed)?;
        let is_one_class = |labels: &Tensor| labels.min() == labels.max();
        ensure!(
            is_one_class(&train.labels) || experiment.split()?.limit.is_some() || !is_one_class(&train.labels.index_select(0, &taken)),
            "[split] leaves {} of {} examples to train on, and they are all of one class; take more examples, or another --seed",
            taken.size()[0],
            train.len()
        );
        let Experiment { normalization, augmentation, .. } = experiment;
        let (normalization, augmentation) = (normalization.as_ref(), augmentation.as_ref());
        let for_validation = augmentation.filter(|augmentation| augmentation.validation);
        Ok(Splits {
            train: Inputs::new(&train.select(&taken), normalization, augmentation, device)?,
            validation: Inputs::new(&train.select(&held_out), normalization, for_validation, device)?,
            test: test.map(|test| Inputs::new(test, normalization, None, device)).transpose()?,
        })
    }

    /// Indices of the training and validation examples among `all`, int64.
    ///
    /// # Errors
    /// As [`Splits::new`].
    pub fn places(all: i64, experiment: &Experiment, seed: u64) -> Result<(Tensor, Tensor)> {
        let split = experiment.split()?;
        let held_out = split.held_out(all);
        let fewest = (2..=1 + LARGEST_COUNT).find(|all| (1..*all).contains(&split.held_out(*all)));
        let fewest = fewest.map_or(String::new(), |fewest| format!("; this takes at least {fewest} examples"));
        ensure!(
            (1..all).contains(&held_out),
            "[split] holds {held_out} of {all} examples out for validation, expected at least 1, and fewer than all, so that some are left to train on{fewest}"
        );
        let order = match split.validation {
            Validation::Last => Tensor::arange(all, (Kind::Int64, Device::Cpu)),
            Validation::Random => draw(seed, Purpose::Split, 0, || Tensor::randperm(all, (Kind::Int64, Device::Cpu))),
        };
        Ok((order.narrow(0, 0, split.taken(all)), order.narrow(0, all - held_out, held_out)))
    }

    /// Another handle on the same examples, for another thread.
    pub fn share(&self) -> Splits {
        Splits { train: self.train.share(), validation: self.validation.share(), test: self.test.as_ref().map(Inputs::share) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Elastic;

    fn numbered(n: i64) -> Examples {
        let labels = Tensor::arange(n, (Kind::Int64, Device::Cpu));
        Examples { images: labels.to_kind(Kind::Uint8).view([n, 1, 1, 1]), labels }
    }

    fn experiment(split: &str) -> Experiment {
        let rest = "model = { hidden = [1], initialization = \"glorot\" }";
        toml::from_str(&format!("split = {{ {split} }}\n{rest}")).expect("an experiment")
    }

    fn labels(inputs: &Inputs) -> Vec<i64> {
        Vec::try_from(&inputs.labels).expect("labels")
    }

    #[test]
    fn the_last_are_for_validation_and_every_minibatch_counts() -> Result<()> {
        let experiment = experiment("validation = \"last\", validation_examples = 3, limit = 5");
        let splits = Splits::new(&numbered(10), Some(&numbered(2)), &experiment, 0, Device::Cpu)?;
        assert_eq!(labels(&splits.train), [0, 1, 2, 3, 4], "the first five of the seven that are for training");
        assert_eq!(labels(&splits.validation), [7, 8, 9]);
        let sizes: Vec<i64> = splits.train.minibatches(2).map(|minibatch| minibatch.labels.size()[0]).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(splits.train.range(4, 1).images.double_value(&[0, 0, 0, 0]) as f32, 4.0 / 255.0);
        Ok(())
    }

    #[test]
    fn a_random_split_is_a_partition_that_the_seed_decides() -> Result<()> {
        let experiment = experiment("validation = \"random\", validation_share = 0.409");
        let drawn = |seed| Splits::new(&numbered(100), None, &experiment, seed, Device::Cpu);
        let (first, again, other) = (drawn(1)?, drawn(1)?, drawn(2)?);
        assert_eq!(labels(&first.validation), labels(&again.validation));
        assert_eq!(first.validation.len(), 40, "a fraction of an example is no example");
        assert_ne!(labels(&first.validation), labels(&other.validation));
        let mut all = [labels(&first.train), labels(&first.validation)].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<i64>>());
        Ok(())
    }

    #[test]
    fn a_split_that_leaves_nothing_is_refused() {
        for split in ["validation_examples = 10", "validation_share = 0.05"] {
            let experiment = experiment(&format!("validation = \"last\", {split}"));
            let error = Splits::new(&numbered(10), None, &experiment, 0, Device::Cpu).expect_err("nothing to train on").to_string();
            assert!(error.contains("of 10 examples out for validation"), "{error}");
            let fewest = if split.contains("share") { "at least 20 examples" } else { "at least 11 examples" };
            assert!(error.contains(fewest), "{error}");
        }
    }

    #[test]
    fn a_split_that_leaves_one_class_is_refused() -> Result<()> {
        let images = Tensor::zeros([10, 1, 1, 1], (Kind::Uint8, Device::Cpu));
        let last = Tensor::from_slice(&[vec![0_i64; 8], vec![1; 2]].concat());
        let examples = |labels: &Tensor| Examples { images: images.shallow_clone(), labels: labels.shallow_clone() };
        let split = |labels: &Tensor, split: &str| Splits::new(&examples(labels), None, &experiment(split), 0, Device::Cpu);
        let error = split(&last, "validation = \"last\", validation_examples = 2").expect_err("no image of class 1").to_string();
        assert!(error.contains("8 of 10 examples to train on, and they are all of one class"), "{error}");
        split(&last, "validation = \"last\", validation_examples = 1")?;
        split(&last, "validation = \"last\", validation_examples = 2, limit = 1").expect("who asks for one has one");
        split(&last.zeros_like(), "validation = \"last\", validation_examples = 2").expect("there is but one");
        Ok(())
    }

    #[test]
    fn images_that_come_for_validation_are_used_for_it() -> Result<()> {
        for split in ["validation = \"random\", validation_share = 0.5", "validation = \"last\", validation_examples = 5, limit = 4"] {
            let given = experiment(split);
            assert_eq!(given.with_own_validation(None), given);
            let splits = Splits::new(&numbered(10), None, &given.with_own_validation(Some(3)), 7, Device::Cpu)?;
            assert_eq!(labels(&splits.validation), [7, 8, 9]);
            assert_eq!(splits.train.len(), if split.contains("limit") { 4 } else { 7 });
        }
        Ok(())
    }

    #[test]
    fn training_images_change_from_epoch_to_epoch_and_others_do_not() -> Result<()> {
        let augmentation = Augmentation { rotation: 10.0, flip: 0.5, crop_scale: [0.8, 1.0], brightness: 0.2, ..Augmentation::off() };
        let mut experiment = experiment("validation = \"last\", validation_examples = 3");
        experiment.augmentation = Some(augmentation);
        experiment.normalization = Some(Normalization { mean: [0.5, 0.4, 0.3], deviation: [0.2, 0.3, 0.4] });
        let images = draw(3, Purpose::Embedded, 0, || Tensor::randint(256, [10, 3, 16, 16], (Kind::Uint8, Device::Cpu)));
        let examples = Examples { images, labels: Tensor::arange(10, (Kind::Int64, Device::Cpu)) };
        let splits = Splits::new(&examples, None, &experiment, 1, Device::Cpu)?;
        let image = |inputs: Inputs, place: i64| inputs.range(place, 1).images;
        let train = |epoch| image(splits.train.augmented(1, epoch), 2);
        assert_eq!(train(1), train(1));
        assert!(train(1) != train(2) && train(1) != image(splits.train.share(), 2));
        let index = Tensor::from_slice(&[5_i64, 2]);
        assert_eq!(splits.train.augmented(1, 1).select(&index).images.get(1), train(1).get(0), "in whichever minibatch it is");
        assert_eq!(image(splits.validation.augmented(1, 1), 0), image(splits.validation.share(), 0));
        let plain = splits.train.range(2, 1).images.double_value(&[0, 1, 3, 4]);
        let byte = splits.train.bytes(2).double_value(&[1, 3, 4]);
        assert!((plain - (byte / 255.0 - 0.4) / 0.3).abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn gray_training_images_change_from_epoch_to_epoch_too() -> Result<()> {
        let elastic = Some(Elastic { grid: 5, strength: 0.03 });
        let mut experiment = experiment("validation = \"last\", validation_examples = 3");
        experiment.augmentation = Some(Augmentation { stretch: 0.1, shear: 15.0, shift: 0.1, elastic, ..Augmentation::off() });
        let images = draw(3, Purpose::Embedded, 0, || Tensor::randint(256, [10, 1, 28, 28], (Kind::Uint8, Device::Cpu)));
        let examples = Examples { images, labels: Tensor::arange(10, (Kind::Int64, Device::Cpu)) };
        let splits = Splits::new(&examples, None, &experiment, 1, Device::Cpu)?;
        let train = |seed, epoch| splits.train.augmented(seed, epoch).range(2, 1).images;
        assert_eq!(train(1, 1), train(1, 1));
        assert!(train(1, 1) != train(1, 2) && train(1, 1) != train(2, 1) && train(1, 1) != splits.train.range(2, 1).images);
        assert_eq!(train(1, 1).size(), [1, 1, 28, 28]);
        // The sum of a long product may depend on how many rows it has, in the last digits.
        let chosen = splits.train.augmented(1, 1).select(&Tensor::from_slice(&[5_i64, 2])).images.get(1);
        assert!(chosen.allclose(&train(1, 1).get(0), 1e-4, 1e-4, false), "in whichever minibatch it is");
        assert_eq!(splits.validation.augmented(1, 1).range(0, 1).images, splits.validation.range(0, 1).images);
        Ok(())
    }

    #[test]
    fn cutout_fills_a_normalized_image_with_its_mean() -> Result<()> {
        let mut experiment = experiment("validation = \"last\", validation_examples = 3");
        experiment.augmentation = Some(Augmentation { shift: 0.1, cutout: 0.5, ..Augmentation::off() });
        experiment.normalization = Some(Normalization { mean: [0.5, 0.4, 0.3], deviation: [0.2; 3] });
        // White all over, so that nothing else is 0.
        let images = Tensor::full([10, 3, 16, 16], 255, (Kind::Uint8, Device::Cpu));
        let examples = Examples { images, labels: Tensor::arange(10, (Kind::Int64, Device::Cpu)) };
        let splits = Splits::new(&examples, None, &experiment, 1, Device::Cpu)?;
        let cut_out = |epoch| splits.train.augmented(1, epoch).range(0, 7).images.eq(0.0).to_kind(Kind::Float);
        let share = cut_out(1).mean_dim([1, 2, 3].as_slice(), false, Kind::Float);
        assert!(share.min().double_value(&[]) >= 1.0 / 16.0 && share.max().double_value(&[]) <= 0.25, "{share}");
        assert!(cut_out(1) != cut_out(2) && cut_out(1).get(0) != cut_out(1).get(1), "each image and each epoch has its own");
        Ok(())
    }

    #[test]
    fn colors_of_gray_images_are_not_changed() {
        let off = Augmentation::off();
        let cases = [
            (Augmentation { brightness: 0.2, hue: 0.1, ..off.clone() }, "[augmentation] changes brightness, hue, for images of 3 channels"),
            (Augmentation { contrast: 0.2, ..off.clone() }, "changes contrast,"),
            (Augmentation { saturation: 0.2, ..off.clone() }, "changes saturation,"),
            (Augmentation { grayscale: 0.2, ..off.clone() }, "changes grayscale, for images of 3 channels, but these have 1"),
        ];
        for (augmentation, expected) in cases {
            let error = Inputs::new(&numbered(4), None, Some(&augmentation), Device::Cpu).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Inputs::new(&numbered(4), None, Some(&Augmentation { flip: 0.5, rotation: 5.0, ..off }), Device::Cpu).is_ok());
    }

    #[test]
    fn each_channel_has_its_own_mean_and_deviation() -> Result<()> {
        let images = Tensor::from_slice(&[255_u8, 102, 0, 0, 0, 255]).view([2, 3, 1, 1]);
        let examples = Examples { images, labels: Tensor::from_slice(&[0_i64, 1]) };
        let normalization = Normalization { mean: [1.0, 1.0, 0.5], deviation: [1.0, 2.0, 4.0] };
        let normal = Inputs::new(&examples, Some(&normalization), None, Device::Cpu)?.range(0, 2).images;
        assert_eq!(Vec::<f32>::try_from(normal.flatten(0, -1))?, [0.0, -0.3, -0.125, -1.0, -0.5, 0.125]);
        Ok(())
    }

    #[test]
    fn gray_images_are_not_normalized_by_three_channels() {
        let mut experiment = experiment("validation = \"last\", validation_examples = 3");
        experiment.normalization = Some(Normalization { mean: [0.5; 3], deviation: [0.2; 3] });
        let error = Splits::new(&numbered(10), None, &experiment, 0, Device::Cpu).expect_err("one channel").to_string();
        assert!(error.contains("for images of 3 channels, but these have 1"), "{error}");
    }
}
