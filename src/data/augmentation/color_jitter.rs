//! Brightness, contrast, saturation and hue, as torchvision defines them; images `[n, 3, h, w]` in \[0, 1\].

use super::grey::luma;
use tch::{Kind, Tensor};

/// x * factor; factor `[n, 1, 1, 1]`.
pub fn adjust_brightness(images: &Tensor, factor: &Tensor) -> Tensor {
    (images * factor).clamp(0.0, 1.0)
}

/// A blend of each image with the mean of its luma: factor x + (1 - factor) mean; factor `[n, 1, 1, 1]`.
pub fn adjust_contrast(images: &Tensor, factor: &Tensor) -> Tensor {
    blend(images, &luma(images).mean_dim([1_i64, 2, 3].as_slice(), true, None::<Kind>), factor)
}

/// A blend of each pixel with its luma: factor x + (1 - factor) luma; factor `[n, 1, 1, 1]`.
pub fn adjust_saturation(images: &Tensor, factor: &Tensor) -> Tensor {
    blend(images, &luma(images), factor)
}

fn blend(images: &Tensor, other: &Tensor, factor: &Tensor) -> Tensor {
    (other + (images - other) * factor).clamp(0.0, 1.0)
}

/// The hue turned by `shift` of a whole circle, `[n, 1, 1]`, at the same saturation and value.
///
/// With V the largest and C = V - the smallest of a pixel's channels, and its hue H in sixths of the circle from red by green to blue,
/// channel k (5 for red, 3 for green, 1 for blue) is V - C max(0, min(d, 4 - d, 1)) with d = (k + H) mod 6 (the formula for HSV to RGB
/// without cases).
pub fn adjust_hue(images: &Tensor, shift: &Tensor) -> Tensor {
    let channel = |index| images.select(1, index);
    let (red, green, blue) = (channel(0), channel(1), channel(2));
    let value = images.amax([1_i64].as_slice(), false);
    let chroma = &value - images.amin([1_i64].as_slice(), false);
    // Grey pixels have no hue; any will do.
    let divisor = chroma.clamp_min(1e-8);
    let from_red = (&green - &blue) / &divisor;
    let from_green = (&blue - &red) / &divisor + 2.0;
    let from_blue = (&red - &green) / &divisor + 4.0;
    let hue = from_red.where_self(&red.eq_tensor(&value), &from_green.where_self(&green.eq_tensor(&value), &from_blue));
    let hue = hue + shift * 6.0;
    let turned = |k: f64| {
        let distance = (&hue + k).remainder(6.0);
        let share = distance.minimum(&(4.0 - &distance)).clamp(0.0, 1.0);
        &value - &chroma * share
    };
    Tensor::stack(&[turned(5.0), turned(3.0), turned(1.0)], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn pixel(colour: [f64; 3]) -> Tensor {
        Tensor::from_slice(&colour).view([1, 3, 1, 1])
    }

    fn factor(value: f64) -> Tensor {
        Tensor::from_slice(&[value]).view([1, 1, 1, 1])
    }

    fn colour(image: &Tensor) -> Vec<f64> {
        Vec::try_from(image.flatten(0, -1)).expect("values")
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}, expected {expected:?}");
    }

    #[test]
    fn brightness_multiplies_and_saturation_blends_with_the_luma() {
        assert_close(&colour(&adjust_brightness(&pixel([0.2, 0.6, 0.9]), &factor(1.5))), &[0.3, 0.9, 1.0]);
        let luma = 0.2989 * 0.2 + 0.587 * 0.6 + 0.114 * 0.9;
        let blend = |value: f64| 0.5 * value + 0.5 * luma;
        assert_close(&colour(&adjust_saturation(&pixel([0.2, 0.6, 0.9]), &factor(0.5))), &[blend(0.2), blend(0.6), blend(0.9)]);
    }

    #[test]
    fn contrast_blends_with_the_mean_luma_of_the_image() {
        let image = Tensor::from_slice(&[0.0, 0.4, 0.0, 0.4, 0.0, 0.4]).view([1, 3, 1, 2]);
        let mean = 0.2 * (0.2989 + 0.587 + 0.114);
        let blend = |value: f64| (0.5 * value + 0.5 * mean).clamp(0.0, 1.0);
        assert_close(
            &colour(&adjust_contrast(&image, &factor(0.5))),
            &[blend(0.0), blend(0.4), blend(0.0), blend(0.4), blend(0.0), blend(0.4)],
        );
    }

    #[test]
    fn a_third_of_the_circle_turns_red_to_green_to_blue() {
        let turn = |colour_in: [f64; 3], shift: f64| colour(&adjust_hue(&pixel(colour_in), &Tensor::from_slice(&[shift]).view([1, 1, 1])));
        assert_close(&turn([1.0, 0.0, 0.0], 1.0 / 3.0), &[0.0, 1.0, 0.0]);
        assert_close(&turn([1.0, 0.0, 0.0], -1.0 / 3.0), &[0.0, 0.0, 1.0]);
        assert_close(&turn([0.9, 0.5, 0.1], 1.0 / 6.0), &[0.5, 0.9, 0.1]);
        assert_close(&turn([0.4, 0.4, 0.4], 0.3), &[0.4, 0.4, 0.4]);
    }

    #[test]
    fn no_turn_and_a_whole_one_change_nothing() {
        let images = Tensor::rand([2, 3, 9, 9], (Kind::Double, Device::Cpu));
        for shift in [0.0, 1.0, -1.0] {
            let turned = adjust_hue(&images, &Tensor::from_slice(&[shift, shift]).view([2, 1, 1]));
            assert!(turned.allclose(&images, 1e-9, 1e-9, false), "shift {shift}");
        }
    }
}
