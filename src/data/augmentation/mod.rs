//! Random changes of training images, for a whole minibatch at once and on its device.
//!
//! Every change is a function of the images and of numbers in \[0, 1) that decide it: what is random is drawn beforehand, by
//! [`Augmentation::numbers`], and each file here can be tested against its definition.
//!
//! Rotation, flip and crop only move pixels: each is a matrix that says where an output pixel comes from, and the product of the three
//! takes one resampling. What concerns an image as a whole is worked out for all images of an epoch at once
//! ([`Augmentation::changes`]); what is left for each minibatch ([`Augmentation::apply`]) is a few passes over its pixels, in place
//! where they can be.

mod color_jitter;
mod flip;
mod grey;
mod normalize;
mod resized_crop;
mod rotation;

pub use color_jitter::{adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation};
pub use grey::grey;
pub use normalize::{channels, normalize};

use crate::experiment::Augmentation;
use crate::seed::{Purpose, draw};
use tch::{Device, Kind, Tensor};

/// Numbers in \[0, 1) that decide what becomes of one image.
const NUMBERS: i64 = 1 + 1 + resized_crop::NUMBERS + 4 + 1;
/// Entries of a matrix that are not the same for all: its last row is (0, 0, 1).
const MATRIX: i64 = 6;

impl Augmentation {
    /// What decides about `images` images: `[images, NUMBERS]`, on the device, drawn once an epoch, which is the `position`.
    pub fn numbers(images: i64, seed: u64, position: u64, device: Device) -> Tensor {
        let options = (Kind::Float, Device::Cpu);
        draw(seed, Purpose::Augmentation, position, || Tensor::rand([images, NUMBERS], options)).to_device(device)
    }

    /// What `numbers` `[n, NUMBERS]` make of these settings, `[n, CHANGES]`: for each image the two upper rows of its matrix, the factors
    /// of brightness, contrast and saturation, the shift of hue, and 1 where it keeps its colours, 0 where it becomes grey.
    pub fn changes(&self, numbers: &Tensor) -> Tensor {
        let column = |place: i64| numbers.select(1, place);
        let rotation = rotation::matrix(&column(0), self.rotation);
        let flip = flip::matrix(&column(1), self.flip);
        let crop = resized_crop::matrix(&numbers.narrow(1, 2, resized_crop::NUMBERS), self.crop_scale, self.crop_ratio);
        // The image is rotated, then flipped, then cropped; so an output pixel goes through the inverses the other way round.
        let moved = rotation.matmul(&flip).matmul(&crop).narrow(1, 0, 2).flatten(1, 2);
        let first = 2 + resized_crop::NUMBERS;
        let shift = |place: i64, strength: f64| (column(first + place) * 2.0 - 1.0) * strength;
        let [brightness, contrast, saturation] = [(0, self.brightness), (1, self.contrast), (2, self.saturation)];
        let factor = |(place, strength)| shift(place, strength) + 1.0;
        let keeps_colours = column(first + 4).ge(self.grey).to_kind(numbers.kind());
        let colours = [factor(brightness), factor(contrast), factor(saturation), shift(3, self.hue), keeps_colours];
        Tensor::cat(&[moved, Tensor::stack(&colours, 1)], 1)
    }

    /// The images `[n, 3, side, side]`, floats in \[0, 1\], as their `changes` `[n, CHANGES]` have it; in \[0, 1\] again.
    pub fn apply(&self, images: &Tensor, changes: &Tensor) -> Tensor {
        let column = |place: i64| changes.select(1, MATRIX + place).view([-1, 1, 1, 1]);
        let moved = resample(images, &changes.narrow(1, 0, MATRIX).view([-1, 2, 3]));
        let colored = adjust_brightness(moved, &column(0));
        let colored = adjust_contrast(colored, &column(1));
        let colored = adjust_saturation(colored, &column(2));
        let colored = if self.hue > 0.0 { adjust_hue(&colored, &column(3)) } else { colored };
        grey(&colored, &column(4))
    }
}

/// The images `[n, c, h, w]` at the places that `matrices` `[n, 2 or 3, 3]` give, between pixels by bilinear interpolation, and black
/// outside.
///
/// A matrix takes the coordinates (x, y, 1) of an output pixel to those in the image; both run from -1 to 1 between the outer edges of
/// the outermost pixels.
pub fn resample(images: &Tensor, matrices: &Tensor) -> Tensor {
    let (n, _, height, width) = images.size4().expect("images are [n, c, h, w]");
    let options = (images.kind(), images.device());
    let middles = |length: i64| (Tensor::arange(length, options) * 2.0 + 1.0) / length as f64 - 1.0;
    let whole = [height, width];
    let (x, y) = (middles(width).view([1, -1]).expand(whole, false), middles(height).view([-1, 1]).expand(whole, false));
    let pixels = Tensor::stack(&[x, y, Tensor::ones(whole, options)], 0).view([3, -1]);
    // One product of long rows; libtorch's own affine_grid has a small product for each image, and takes longer than the sampling.
    let places = matrices.narrow(1, 0, 2).matmul(&pixels).view([n, 2, height, width]).permute([0, 2, 3, 1]);
    // 0, 0: bilinear, zeros outside.
    images.grid_sampler(&places, 0, 0, false)
}

/// `[n, 3, 3]` from nine columns `[n]` each.
fn matrices(rows: [[&Tensor; 3]; 3]) -> Tensor {
    let rows: Vec<Tensor> = rows.iter().map(|row| Tensor::stack(row, 1)).collect();
    Tensor::stack(&rows, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Augmentation {
        Augmentation {
            rotation: 10.0,
            flip: 0.5,
            crop_scale: [0.8, 1.0],
            crop_ratio: [0.75, 4.0 / 3.0],
            brightness: 0.2,
            contrast: 0.2,
            saturation: 0.2,
            hue: 0.1,
            grey: 0.2,
            validation: false,
        }
    }

    #[test]
    fn what_is_switched_off_changes_nothing() {
        let off = Augmentation::off();
        let images = Tensor::rand([4, 3, 64, 64], (Kind::Float, Device::Cpu));
        let changed = off.apply(&images, &off.changes(&Augmentation::numbers(4, 1, 1, Device::Cpu)));
        assert!(changed.allclose(&images, 1e-4, 1e-4, false));
    }

    #[test]
    fn images_stay_in_range_and_each_is_changed_by_its_own_numbers() {
        let images = Tensor::rand([1, 3, 64, 64], (Kind::Float, Device::Cpu)).repeat([8, 1, 1, 1]);
        let numbers = Augmentation::numbers(8, 1, 1, Device::Cpu);
        let changes = settings().changes(&numbers);
        let changed = settings().apply(&images, &changes);
        assert!(changed.min().double_value(&[]) >= 0.0 && changed.max().double_value(&[]) <= 1.0);
        for other in 1..8 {
            assert!(!changed.get(other).allclose(&changed.get(0), 1e-3, 1e-3, false));
        }
        let alone = settings().apply(&images.narrow(0, 5, 1), &changes.narrow(0, 5, 1));
        assert!(alone.get(0).allclose(&changed.get(5), 1e-5, 1e-6, false), "whatever its neighbours");
        assert_ne!(numbers, Augmentation::numbers(8, 1, 2, Device::Cpu), "another epoch");
        assert_eq!(numbers, Augmentation::numbers(8, 1, 1, Device::Cpu));
    }
}
