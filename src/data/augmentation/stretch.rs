//! Wider or narrower, taller or lower.

use super::matrices;
use tch::Tensor;

/// Two numbers: for the width and for the height.
pub const NUMBERS: i64 = 2;

/// Where pixels come from when width and height of each image are multiplied, about the middle, by factors uniform in \[1 - strength,
/// 1 + strength\], decided by `numbers` `[n, NUMBERS]`: `[n, 3, 3]`.
pub fn matrix(numbers: &Tensor, strength: f64) -> Tensor {
    let inverse = ((numbers * 2.0 - 1.0) * strength + 1.0).reciprocal();
    let (x, y) = (inverse.select(1, 0), inverse.select(1, 1));
    let (zero, one) = (x.zeros_like(), x.ones_like());
    matrices([[&x, &zero, &zero], [&zero, &y, &zero], [&zero, &zero, &one]])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, resample};
    use super::*;
    use tch::Kind;

    #[test]
    fn each_side_is_multiplied_by_its_own_factor() {
        let images = random(&[1, 2, 8, 8], Kind::Double);
        let stretched = |x: f64, y: f64| resample(&images, &matrix(&Tensor::from_slice(&[x, y]).view([1, 2]), 0.5));
        // Half as much again: what was 8 pixels is 12, of which the middle 8 are seen.
        let wide = images.upsample_bilinear2d([8, 12], false, None, None).narrow(3, 2, 8);
        let tall = images.upsample_bilinear2d([12, 8], false, None, None).narrow(2, 2, 8);
        assert!(stretched(1.0, 0.5).allclose(&wide, 1e-9, 1e-9, false));
        assert!(stretched(0.5, 1.0).allclose(&tall, 1e-9, 1e-9, false));
        assert!(stretched(0.5, 0.5).allclose(&images, 1e-9, 1e-9, false));
    }

    #[test]
    fn half_as_wide_is_the_mean_of_pairs_with_black_beside_it() {
        let images = random(&[1, 1, 8, 8], Kind::Double);
        let narrow = resample(&images, &matrix(&Tensor::from_slice(&[0.0, 0.5]).view([1, 2]), 0.5));
        assert!(narrow.narrow(3, 2, 4).allclose(&images.avg_pool2d([1, 2], [1, 2], [0, 0], false, true, None), 1e-9, 1e-9, false));
        assert_eq!(narrow.narrow(3, 0, 2).abs().max().double_value(&[]), 0.0);
        assert_eq!(narrow.narrow(3, 6, 2).abs().max().double_value(&[]), 0.0);
    }
}
