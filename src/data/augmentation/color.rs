//! Brightness, contrast, saturation, hue and grayscale, as torchvision defines them; images `[n, 3, h, w]` in \[0, 1\].

use tch::{Kind, Tensor};

/// Shares of red, green and blue in the luma (ITU-R BT.601).
pub const LUMA: [f64; 3] = [0.2989, 0.587, 0.114];

/// Red, green and blue of the images `[n, 3, h, w]` replaced by their luma, where `keeps_colors` `[n, 1, 1, 1]` is 0 and not 1; `weights`
/// as for `luma`.
pub fn grayscale(images: &Tensor, keeps_colors: &Tensor, weights: &Tensor) -> Tensor {
    luma(images, weights).lerp_tensor(images, keeps_colors)
}

/// 0.2989 R + 0.587 G + 0.114 B of images `[n, 3, h, w]`: `[n, 1, h, w]`. `weights` `[3]` are `LUMA`.
pub fn luma(images: &Tensor, weights: &Tensor) -> Tensor {
    let (n, _, height, width) = images.size4().expect("images are [n, 3, h, w]");
    // As a product it is one pass over the pixels.
    weights.view([1, 1, 3]).expand([n, 1, 3], false).bmm(&images.view([n, 3, -1])).view([n, 1, height, width])
}

/// x * factor; factor `[n, 1, 1, 1]`.
pub fn adjust_brightness(mut images: Tensor, factor: &Tensor) -> Tensor {
    images.g_mul_(factor).clamp_(0.0, 1.0)
}

/// A blend of each image with the mean of its luma: factor x + (1 - factor) mean; factor `[n, 1, 1, 1]`, luma's `weights` `[3]`.
pub fn adjust_contrast(mut images: Tensor, factor: &Tensor, weights: &Tensor) -> Tensor {
    // The luma is linear: its mean is that of the channels' means.
    let mean = luma(&images.mean_dim([2_i64, 3].as_slice(), true, None::<Kind>), weights);
    images.g_mul_(factor).g_add_(&(mean * (1.0 - factor))).clamp_(0.0, 1.0)
}

/// A blend of each pixel with its luma: factor x + (1 - factor) luma; factor `[n, 1, 1, 1]`, luma's `weights` `[3]`.
pub fn adjust_saturation(images: Tensor, factor: &Tensor, weights: &Tensor) -> Tensor {
    luma(&images, weights).lerp_tensor(&images, factor).clamp_(0.0, 1.0)
}

/// The channels' own hues, of a whole circle: red, green, blue.
pub const HUES: [f64; 3] = [0.0, 1.0 / 3.0, 2.0 / 3.0];

/// The hue turned by `shift` of a whole circle, `[n, 1, 1, 1]`, at the same saturation and value. `hues` `[3]` are `HUES`.
///
/// With V the largest and m the smallest of a pixel's channels, C = V - m, its hue in sixths of the circle from red by green to blue is
/// H = ±(V - 2 m + G + B - R) / C, positive where G is at least B: the usual three cases, by which channel is the largest, in one line.
/// Channel k, whose own hue is 0, 2 or 4 (red, green, blue), becomes V - C max(0, min(1, d - 1)) where d, from 0 to 3, is the distance
/// around the circle from the turned hue to that of k: a pixel has all of the channels whose hue is at most a sixth away, and nothing of
/// those that are more than two sixths away.
pub fn adjust_hue(images: &Tensor, shift: &Tensor, hues: &Tensor) -> Tensor {
    let channel = |index| images.narrow(1, index, 1);
    let (red, green, blue) = (channel(0), channel(1), channel(2));
    let value = red.maximum(&green).maximum(&blue);
    let least = red.minimum(&green).minimum(&blue);
    let chroma = &value - &least;
    let ahead = (&green + &blue).g_sub_(&red).g_add_(&chroma).g_sub_(&least);
    // Gray pixels have no hue; any will do.
    let mut hue = (ahead / chroma.clamp_min(1e-8)).copysign(&(green - blue));
    // In whole circles from each channel's own hue.
    let mut turn = hue.g_mul_scalar_(1.0 / 6.0).g_add_(shift) - hues.view([1, 3, 1, 1]);
    let whole = turn.round();
    let share = turn.g_sub_(&whole).abs_().clamp_(1.0 / 6.0, 2.0 / 6.0);
    // V - C (6 share - 1); rounding may lead out of the range by a last digit.
    (value + &chroma).addcmul(&(chroma * -6.0), &share).clamp_(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;

    fn pixel(color: [f64; 3]) -> Tensor {
        Tensor::from_slice(&color).view([1, 3, 1, 1])
    }

    fn factor(value: f64) -> Tensor {
        Tensor::from_slice(&[value]).view([1, 1, 1, 1])
    }

    fn color(image: &Tensor) -> Vec<f64> {
        Vec::try_from(image.flatten(0, -1)).expect("values")
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}, expected {expected:?}");
    }

    #[test]
    fn brightness_multiplies_and_saturation_blends_with_the_luma() {
        assert_close(&color(&adjust_brightness(pixel([0.2, 0.6, 0.9]), &factor(1.5))), &[0.3, 0.9, 1.0]);
        let luma = 0.2989 * 0.2 + 0.587 * 0.6 + 0.114 * 0.9;
        let blend = |value: f64| 0.5 * value + 0.5 * luma;
        assert_close(
            &color(&adjust_saturation(pixel([0.2, 0.6, 0.9]), &factor(0.5), &Tensor::from_slice(&LUMA))),
            &[blend(0.2), blend(0.6), blend(0.9)],
        );
    }

    #[test]
    fn contrast_blends_with_the_mean_luma_of_the_image() {
        let image = Tensor::from_slice(&[0.0, 0.4, 0.0, 0.4, 0.0, 0.4]).view([1, 3, 1, 2]);
        let mean = 0.2 * (0.2989 + 0.587 + 0.114);
        let blend = |value: f64| (0.5 * value + 0.5 * mean).clamp(0.0, 1.0);
        assert_close(
            &color(&adjust_contrast(image, &factor(0.5), &Tensor::from_slice(&LUMA))),
            &[blend(0.0), blend(0.4), blend(0.0), blend(0.4), blend(0.0), blend(0.4)],
        );
    }

    #[test]
    fn a_third_of_the_circle_turns_red_to_green_to_blue() {
        let turn = |color_in: [f64; 3], shift: f64| color(&adjust_hue(&pixel(color_in), &factor(shift), &Tensor::from_slice(&HUES)));
        assert_close(&turn([1.0, 0.0, 0.0], 1.0 / 3.0), &[0.0, 1.0, 0.0]);
        assert_close(&turn([1.0, 0.0, 0.0], -1.0 / 3.0), &[0.0, 0.0, 1.0]);
        assert_close(&turn([0.9, 0.5, 0.1], 1.0 / 6.0), &[0.5, 0.9, 0.1]);
        assert_close(&turn([0.4, 0.4, 0.4], 0.3), &[0.4, 0.4, 0.4]);
    }

    #[test]
    fn no_turn_and_a_whole_one_change_nothing() {
        let images = random(&[2, 3, 9, 9], Kind::Double);
        for shift in [0.0, 1.0, -1.0] {
            let turned = adjust_hue(&images, &factor(shift), &Tensor::from_slice(&HUES));
            assert!(turned.allclose(&images, 1e-9, 1e-9, false), "shift {shift}");
        }
    }

    #[test]
    fn all_three_channels_become_the_luma() {
        let images = Tensor::from_slice(&[1.0, 0.5, 0.25]).view([1, 3, 1, 1]).repeat([2, 1, 1, 1]);
        let expected = 0.2989 + 0.5 * 0.587 + 0.25 * 0.114;
        let changed = grayscale(&images, &Tensor::from_slice(&[0.0, 1.0]).view([2, 1, 1, 1]), &Tensor::from_slice(&LUMA));
        assert_eq!(changed.size(), [2, 3, 1, 1]);
        assert!((changed.get(0) - expected).abs().max().double_value(&[]) < 1e-12);
        assert_eq!(changed.get(1), images.get(1), "the other keeps its colors");
    }
}
