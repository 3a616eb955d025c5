//! Rows shifted against each other.

use super::matrices;
use tch::Tensor;

/// Where pixels come from when each image is sheared, x' = x + tan(angle) y about the middle, by an angle uniform in \[-degrees,
/// degrees\], decided by `number` `[n]`: `[n, 3, 3]`. For square images.
pub fn matrix(number: &Tensor, degrees: f64) -> Tensor {
    let back = ((number * 2.0 - 1.0) * -degrees.to_radians()).tan();
    let (zero, one) = (number.zeros_like(), number.ones_like());
    matrices([[&one, &back, &zero], [&zero, &one, &zero], [&zero, &zero, &one]])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, resample};
    use super::*;
    use tch::Kind;

    #[test]
    fn each_row_moves_by_as_much_as_it_lies_below_the_middle() {
        // The rows of 7 lie -3 to 3 pixels below the middle; at 45 degrees each moves by as many to the right.
        let images = random(&[1, 2, 7, 7], Kind::Double);
        for (number, direction) in [(1.0, 1), (0.0, -1), (0.5, 0)] {
            let sheared = resample(&images, &matrix(&Tensor::from_slice(&[number]), 45.0));
            for row in 0..7 {
                let right = direction * (row - 3);
                let (whole, length) = (images.select(2, row), 7 - right.abs());
                let kept = whole.narrow(2, 0.max(-right), length);
                let expected = kept.constant_pad_nd([0.max(right), 0.max(-right)]);
                assert!(sheared.select(2, row).allclose(&expected, 1e-9, 1e-9, false), "number {number}, row {row}");
            }
        }
    }

    #[test]
    fn the_angle_is_in_degrees() {
        let drawn = matrix(&Tensor::from_slice(&[0.75_f64]), 30.0);
        assert!((drawn.double_value(&[0, 0, 1]) + 15_f64.to_radians().tan()).abs() < 1e-12);
    }
}
