//! A part of the image, of random size, shape and place, stretched to the whole.

use super::matrices;
use tch::{Kind, Tensor};

/// As torchvision does, shapes that do not fit are drawn anew, so many times; then the whole image is taken.
const TRIES: i64 = 10;
/// Two numbers a try, and two for the place.
pub const NUMBERS: i64 = 2 * TRIES + 2;

/// Where pixels come from when each image is cropped to a share of its area uniform in `scale`, of a ratio of width to height whose
/// logarithm is uniform in that of `ratio`, at a place uniform among those that fit; decided by `numbers` `[n, NUMBERS]`: `[n, 3, 3]`.
/// For square images. Unlike torchvision's, boxes need not begin and end at the edge of a pixel.
pub fn matrix(numbers: &Tensor, scale: [f64; 2], ratio: [f64; 2]) -> Tensor {
    let tries = numbers.narrow(1, 0, 2 * TRIES).view([-1, TRIES, 2]);
    let area = tries.select(2, 0) * (scale[1] - scale[0]) + scale[0];
    let shape = (tries.select(2, 1) * (ratio[1] / ratio[0]).ln() + ratio[0].ln()).exp();
    let (width, height) = ((&area * &shape).sqrt(), (area / shape).sqrt());
    // A little tolerance: a share of 1 and a ratio of 1 fit, whatever the rounding.
    let fits = width.maximum(&height).le(1.0 + 1e-5);
    let first = fits.to_kind(Kind::Int64).argmax(1, true);
    let is_there = fits.any_dim(1, true);
    let chosen = |size: &Tensor| {
        let size = size.gather(1, &first, false).clamp_max(1.0);
        size.where_self(&is_there, &size.ones_like()).squeeze_dim(1)
    };
    let (width, height) = (chosen(&width), chosen(&height));
    // The middle of a box of width w lies between -(1 - w) and 1 - w.
    let place = |index: i64, size: &Tensor| (numbers.select(1, 2 * TRIES + index) * 2.0 - 1.0) * (1.0 - size);
    let (x, y) = (place(0, &width), place(1, &height));
    let (zero, one) = (width.zeros_like(), width.ones_like());
    matrices([[&width, &zero, &x], [&zero, &height, &y], [&zero, &zero, &one]])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, resample};
    use super::*;
    use tch::Kind;

    fn numbers(first: f64, second: f64, x: f64, y: f64) -> Tensor {
        let mut row = vec![0.0; NUMBERS as usize];
        (row[0], row[1]) = (first, second);
        (row[NUMBERS as usize - 2], row[NUMBERS as usize - 1]) = (x, y);
        Tensor::from_slice(&row).unsqueeze(0)
    }

    #[test]
    fn a_quarter_of_the_image_is_stretched_to_the_whole() {
        let images = random(&[1, 3, 8, 8], Kind::Double);
        for (x, y, left, top) in [(0.0, 0.0, 0, 0), (1.0, 0.0, 4, 0), (0.5, 1.0, 2, 4)] {
            let cropped = resample(&images, &matrix(&numbers(0.0, 0.5, x, y), [0.25, 0.25], [0.5, 2.0]));
            let part = images.narrow(2, top, 4).narrow(3, left, 4);
            // At the edge of the box one reads what lies beyond it, the other repeats the edge: only the inside can be equal.
            let expected = part.upsample_bilinear2d([8, 8], false, None, None);
            let inside = |tensor: &Tensor| tensor.narrow(2, 1, 6).narrow(3, 1, 6);
            assert!(inside(&cropped).allclose(&inside(&expected), 1e-9, 1e-9, false), "at {x} {y}");
        }
    }

    #[test]
    fn areas_and_ratios_are_distributed_as_asked_and_every_box_fits() {
        let numbers = random(&[20_000, NUMBERS], Kind::Double);
        let matrices = matrix(&numbers, [0.8, 1.0], [0.75, 4.0 / 3.0]);
        let entry = |row: i64, column: i64| matrices.select(1, row).select(1, column);
        let (width, height) = (entry(0, 0), entry(1, 1));
        for (size, place) in [(&width, entry(0, 2)), (&height, entry(1, 2))] {
            assert!((size + place.abs()).max().double_value(&[]) <= 1.0 + 1e-9, "inside the image");
        }
        let (area, ratio) = (&width * &height, &width / &height);
        assert!(area.min().double_value(&[]) >= 0.8 - 1e-9 && area.max().double_value(&[]) <= 1.0 + 1e-9);
        assert!(ratio.min().double_value(&[]) >= 0.75 - 1e-9 && ratio.max().double_value(&[]) <= 4.0 / 3.0 + 1e-9);
        // Symmetric in width and height: the mean logarithm is 0, with a standard error of about 0.0006.
        assert!(ratio.log().mean(Kind::Double).double_value(&[]).abs() < 0.003);
    }

    #[test]
    fn a_shape_that_does_not_fit_is_drawn_anew_and_at_last_the_whole_is_taken() {
        // The first try has area 1 and ratio 2, which is wider than the image; the others area 0.25 and ratio 1/2.
        let drawn = matrix(&numbers(1.0, 1.0, 0.5, 0.5), [0.25, 1.0], [0.5, 2.0]);
        assert!((drawn.double_value(&[0, 0, 0]) - (0.25_f64 * 0.5).sqrt()).abs() < 1e-9);
        let never = matrix(&numbers(1.0, 1.0, 0.5, 0.5), [1.0, 1.0], [2.0, 2.0]);
        assert_eq!((never.double_value(&[0, 0, 0]), never.double_value(&[0, 1, 1])), (1.0, 1.0));
    }
}
