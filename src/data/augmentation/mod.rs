//! Random changes of training images, for a whole minibatch at once and on its device.
//!
//! Every change is a function of the images and of numbers in \[0, 1) that decide it: what is random is drawn beforehand, by
//! [`Augmentation::numbers`], and each file here can be tested against its definition.
//!
//! Rotation, flip and crop only move pixels: each is a matrix that says where an output pixel comes from, and the product of the three
//! takes one resampling.

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

impl Augmentation {
    /// What decides about `images` images: `[images, NUMBERS]`, on the device, drawn once an epoch, which is the `position`.
    pub fn numbers(images: i64, seed: u64, position: u64, device: Device) -> Tensor {
        let options = (Kind::Float, Device::Cpu);
        draw(seed, Purpose::Augmentation, position, || Tensor::rand([images, NUMBERS], options)).to_device(device)
    }

    /// The images `[n, 3, side, side]`, floats in \[0, 1\], changed as `numbers` `[n, NUMBERS]` decide; in \[0, 1\] again.
    pub fn apply(&self, images: &Tensor, numbers: &Tensor) -> Tensor {
        let column = |place: i64| numbers.select(1, place);
        let crop = numbers.narrow(1, 2, resized_crop::NUMBERS);
        let rotation = rotation::matrix(&column(0), self.rotation);
        let flip = flip::matrix(&column(1), self.flip);
        let crop = resized_crop::matrix(&crop, self.crop_scale, self.crop_ratio);
        // The image is rotated, then flipped, then cropped; so an output pixel goes through the inverses the other way round.
        let moved = resample(images, &rotation.matmul(&flip).matmul(&crop));
        let first = 2 + resized_crop::NUMBERS;
        let factor = |place: i64, strength: f64| ((column(first + place) * 2.0 - 1.0) * strength + 1.0).view([-1, 1, 1, 1]);
        let colored = adjust_brightness(&moved, &factor(0, self.brightness));
        let colored = adjust_contrast(&colored, &factor(1, self.contrast));
        let colored = adjust_saturation(&colored, &factor(2, self.saturation));
        let shift = ((column(first + 3) * 2.0 - 1.0) * self.hue).view([-1, 1, 1]);
        let colored = if self.hue > 0.0 { adjust_hue(&colored, &shift) } else { colored };
        let is_grey = column(first + 4).lt(self.grey).view([-1, 1, 1, 1]);
        grey(&colored).where_self(&is_grey, &colored)
    }
}

/// The images `[n, c, h, w]` at the places that `matrices` `[n, 3, 3]` give, between pixels by bilinear interpolation, and black outside.
///
/// A matrix takes the coordinates (x, y, 1) of an output pixel to those in the image; both run from -1 to 1 between the outer edges of
/// the outermost pixels.
pub fn resample(images: &Tensor, matrices: &Tensor) -> Tensor {
    let grid = Tensor::affine_grid_generator(&matrices.narrow(1, 0, 2), images.size(), false);
    // 0, 0: bilinear, zeros outside.
    images.grid_sampler(&grid, 0, 0, false)
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
        let changed = off.apply(&images, &Augmentation::numbers(4, 1, 1, Device::Cpu));
        assert!(changed.allclose(&images, 1e-4, 1e-4, false));
    }

    #[test]
    fn images_stay_in_range_and_each_is_changed_by_its_own_numbers() {
        let images = Tensor::rand([1, 3, 64, 64], (Kind::Float, Device::Cpu)).repeat([8, 1, 1, 1]);
        let numbers = Augmentation::numbers(8, 1, 1, Device::Cpu);
        let changed = settings().apply(&images, &numbers);
        assert!(changed.min().double_value(&[]) >= 0.0 && changed.max().double_value(&[]) <= 1.0);
        for other in 1..8 {
            assert!(!changed.get(other).allclose(&changed.get(0), 1e-3, 1e-3, false));
        }
        let alone = settings().apply(&images.narrow(0, 5, 1), &numbers.narrow(0, 5, 1));
        assert!(alone.get(0).allclose(&changed.get(5), 1e-5, 1e-6, false), "whatever its neighbours");
        assert_ne!(numbers, Augmentation::numbers(8, 1, 2, Device::Cpu), "another epoch");
        assert_eq!(numbers, Augmentation::numbers(8, 1, 1, Device::Cpu));
    }
}
