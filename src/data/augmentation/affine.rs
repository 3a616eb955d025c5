//! Stretch, shear, rotation, flip, crop and shift: for each image a matrix that takes the coordinates (x, y, 1) of an output pixel to
//! where it comes from. Both run from -1 to 1 between the outer edges of square images; numbers in \[0, 1) decide.

use tch::{Kind, Tensor};

/// As torchvision does, shapes that do not fit are drawn anew, so many times; then the whole image is taken.
const TRIES: i64 = 10;
/// Two numbers a try, and two for the place.
pub const CROP_NUMBERS: i64 = 2 * TRIES + 2;

/// Width and height multiplied, about the middle, by factors uniform in \[1 - strength, 1 + strength\]; `numbers` `[n, 2]`: `[n, 3, 3]`.
pub fn stretch(numbers: &Tensor, strength: f64) -> Tensor {
    let inverse = ((numbers * 2.0 - 1.0) * strength + 1.0).reciprocal();
    let (x, y) = (inverse.select(1, 0), inverse.select(1, 1));
    let (zero, one) = (x.zeros_like(), x.ones_like());
    matrices([[&x, &zero, &zero], [&zero, &y, &zero], [&zero, &zero, &one]])
}

/// x' = x + tan(angle) y about the middle, by an angle uniform in \[-degrees, degrees\]; `number` `[n]`: `[n, 3, 3]`.
pub fn shear(number: &Tensor, degrees: f64) -> Tensor {
    let back = ((number * 2.0 - 1.0) * -degrees.to_radians()).tan();
    let (zero, one) = (number.zeros_like(), number.ones_like());
    matrices([[&one, &back, &zero], [&zero, &one, &zero], [&zero, &zero, &one]])
}

/// Counter-clockwise about the middle, by an angle uniform in \[-degrees, degrees\]; `number` `[n]`: `[n, 3, 3]`.
pub fn rotation(number: &Tensor, degrees: f64) -> Tensor {
    let angle = (number * 2.0 - 1.0) * degrees.to_radians();
    let (cosine, sine) = (angle.cos(), angle.sin());
    let (zero, one) = (number.zeros_like(), number.ones_like());
    // y points down, so a turn against the clock takes (x, y) from (x cos - y sin, x sin + y cos).
    matrices([[&cosine, &-&sine, &zero], [&sine, &cosine, &zero], [&zero, &zero, &one]])
}

/// Left and right exchanged, with this probability; `number` `[n]`: `[n, 3, 3]`.
pub fn flip(number: &Tensor, probability: f64) -> Tensor {
    let sign = 1.0 - number.lt(probability).to_kind(number.kind()) * 2.0;
    let (zero, one) = (number.zeros_like(), number.ones_like());
    matrices([[&sign, &zero, &zero], [&zero, &one, &zero], [&zero, &zero, &one]])
}

/// A part of the image stretched to the whole: a share of its area uniform in `scale`, of a ratio of width to height whose logarithm is
/// uniform in that of `ratio`, at a place uniform among those that fit; `numbers` `[n, CROP_NUMBERS]`: `[n, 3, 3]`. Unlike torchvision's,
/// boxes need not begin and end at the edge of a pixel.
pub fn crop(numbers: &Tensor, scale: [f64; 2], ratio: [f64; 2]) -> Tensor {
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

/// To the side, up or down by shares of the side uniform in \[-strength, strength\]; `numbers` `[n, 2]`: `[n, 3, 3]`.
pub fn shift(numbers: &Tensor, strength: f64) -> Tensor {
    // The side runs from -1 to 1.
    let back = (numbers * 2.0 - 1.0) * (-2.0 * strength);
    let (x, y) = (back.select(1, 0), back.select(1, 1));
    let (zero, one) = (x.zeros_like(), x.ones_like());
    matrices([[&one, &zero, &x], [&zero, &one, &y], [&zero, &zero, &one]])
}

/// `[n, 3, 3]` from nine columns `[n]` each.
fn matrices(rows: [[&Tensor; 3]; 3]) -> Tensor {
    let rows: Vec<Tensor> = rows.iter().map(|row| Tensor::stack(row, 1)).collect();
    Tensor::stack(&rows, 1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, resample};
    use super::*;
    use tch::Device;

    #[test]
    fn each_side_is_multiplied_by_its_own_factor() {
        let images = random(&[1, 2, 8, 8], Kind::Double);
        let stretched = |x: f64, y: f64| resample(&images, &stretch(&Tensor::from_slice(&[x, y]).view([1, 2]), 0.5));
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
        let narrow = resample(&images, &stretch(&Tensor::from_slice(&[0.0, 0.5]).view([1, 2]), 0.5));
        assert!(narrow.narrow(3, 2, 4).allclose(&images.avg_pool2d([1, 2], [1, 2], [0, 0], false, true, None), 1e-9, 1e-9, false));
        assert_eq!(narrow.narrow(3, 0, 2).abs().max().double_value(&[]), 0.0);
        assert_eq!(narrow.narrow(3, 6, 2).abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn each_row_moves_by_as_much_as_it_lies_below_the_middle() {
        // The rows of 7 lie -3 to 3 pixels below the middle; at 45 degrees each moves by as many to the right.
        let images = random(&[1, 2, 7, 7], Kind::Double);
        for (number, direction) in [(1.0, 1), (0.0, -1), (0.5, 0)] {
            let sheared = resample(&images, &shear(&Tensor::from_slice(&[number]), 45.0));
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
        let drawn = shear(&Tensor::from_slice(&[0.75_f64]), 30.0);
        assert!((drawn.double_value(&[0, 0, 1]) + 15_f64.to_radians().tan()).abs() < 1e-12);
    }

    #[test]
    fn a_quarter_turn_moves_every_pixel_to_its_place() {
        let images = random(&[1, 2, 6, 6], Kind::Double);
        let quarter = |number: f64| resample(&images, &rotation(&Tensor::from_slice(&[number]), 90.0));
        assert!(quarter(1.0).allclose(&images.rot90(1, [2, 3]), 1e-9, 1e-9, false), "counter-clockwise");
        assert!(quarter(0.0).allclose(&images.rot90(-1, [2, 3]), 1e-9, 1e-9, false), "clockwise");
        assert!(quarter(0.5).allclose(&images, 1e-9, 1e-9, false));
    }

    #[test]
    fn what_comes_from_outside_is_black() {
        let white = Tensor::ones([1, 1, 40, 40], (Kind::Double, Device::Cpu));
        let turned = resample(&white, &rotation(&Tensor::from_slice(&[1.0_f64]), 10.0));
        assert_eq!(turned.double_value(&[0, 0, 0, 0]), 0.0);
        assert!((turned.double_value(&[0, 0, 20, 20]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn below_the_probability_an_image_is_mirrored() {
        let images = random(&[2, 3, 5, 6], Kind::Double);
        let changed = resample(&images, &flip(&Tensor::from_slice(&[0.49_f64, 0.5]), 0.5));
        assert!(changed.get(0).allclose(&images.get(0).flip([2]), 1e-9, 1e-9, false));
        assert!(changed.get(1).allclose(&images.get(1), 1e-9, 1e-9, false));
    }

    fn numbers(first: f64, second: f64, x: f64, y: f64) -> Tensor {
        let mut row = vec![0.0; CROP_NUMBERS as usize];
        (row[0], row[1]) = (first, second);
        (row[CROP_NUMBERS as usize - 2], row[CROP_NUMBERS as usize - 1]) = (x, y);
        Tensor::from_slice(&row).unsqueeze(0)
    }

    #[test]
    fn a_quarter_of_the_image_is_stretched_to_the_whole() {
        let images = random(&[1, 3, 8, 8], Kind::Double);
        for (x, y, left, top) in [(0.0, 0.0, 0, 0), (1.0, 0.0, 4, 0), (0.5, 1.0, 2, 4)] {
            let cropped = resample(&images, &crop(&numbers(0.0, 0.5, x, y), [0.25, 0.25], [0.5, 2.0]));
            let part = images.narrow(2, top, 4).narrow(3, left, 4);
            // At the edge of the box one reads what lies beyond it, the other repeats the edge: only the inside can be equal.
            let expected = part.upsample_bilinear2d([8, 8], false, None, None);
            let inside = |tensor: &Tensor| tensor.narrow(2, 1, 6).narrow(3, 1, 6);
            assert!(inside(&cropped).allclose(&inside(&expected), 1e-9, 1e-9, false), "at {x} {y}");
        }
    }

    #[test]
    fn areas_and_ratios_are_distributed_as_asked_and_every_box_fits() {
        let numbers = random(&[20_000, CROP_NUMBERS], Kind::Double);
        let matrices = crop(&numbers, [0.8, 1.0], [0.75, 4.0 / 3.0]);
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
        let drawn = crop(&numbers(1.0, 1.0, 0.5, 0.5), [0.25, 1.0], [0.5, 2.0]);
        assert!((drawn.double_value(&[0, 0, 0]) - (0.25_f64 * 0.5).sqrt()).abs() < 1e-9);
        let never = crop(&numbers(1.0, 1.0, 0.5, 0.5), [1.0, 1.0], [2.0, 2.0]);
        assert_eq!((never.double_value(&[0, 0, 0]), never.double_value(&[0, 1, 1])), (1.0, 1.0));
    }

    fn shifted(images: &Tensor, x: f64, y: f64, strength: f64) -> Tensor {
        resample(images, &shift(&Tensor::from_slice(&[x, y]).view([1, 2]), strength))
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
