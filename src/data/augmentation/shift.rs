//! To the side, up or down.

use super::matrices;
use tch::Tensor;

/// Two numbers: for the way to the right and for that downwards.
pub const NUMBERS: i64 = 2;

/// Where pixels come from when each image is moved by shares of its side uniform in \[-strength, strength\], horizontally and vertically,
/// decided by `numbers` `[n, NUMBERS]`: `[n, 3, 3]`.
pub fn matrix(numbers: &Tensor, strength: f64) -> Tensor {
    // The side runs from -1 to 1.
    let back = (numbers * 2.0 - 1.0) * (-2.0 * strength);
    let (x, y) = (back.select(1, 0), back.select(1, 1));
    let (zero, one) = (x.zeros_like(), x.ones_like());
    matrices([[&one, &zero, &x], [&zero, &one, &y], [&zero, &zero, &one]])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, resample};
    use super::*;
    use tch::Kind;

    fn shifted(images: &Tensor, x: f64, y: f64, strength: f64) -> Tensor {
        resample(images, &matrix(&Tensor::from_slice(&[x, y]).view([1, 2]), strength))
    }

    #[test]
    fn whole_pixels_move_to_their_places_and_black_comes_in() {
        let images = random(&[1, 2, 8, 8], Kind::Double);
        // A quarter of 8 pixels.
        let right_and_up = images.narrow(3, 0, 6).narrow(2, 2, 6).constant_pad_nd([2, 0, 0, 2]);
        assert!(shifted(&images, 1.0, 0.0, 0.25).allclose(&right_and_up, 1e-9, 1e-9, false));
        assert!(shifted(&images, 0.5, 0.5, 0.25).allclose(&images, 1e-9, 1e-9, false));
    }

    #[test]
    fn a_quarter_of_a_pixel_takes_a_quarter_of_the_neighbor() {
        let images = random(&[1, 1, 8, 8], Kind::Double);
        let left = images.narrow(3, 0, 7).constant_pad_nd([1, 0]);
        assert!(shifted(&images, 1.0, 0.5, 0.25 / 8.0).allclose(&(&images * 0.75 + left * 0.25), 1e-9, 1e-9, false));
    }
}
