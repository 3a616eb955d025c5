//! Rotation about the middle.

use super::matrices;
use tch::Tensor;

/// Where pixels come from when each image is turned counter-clockwise by an angle uniform in \[-degrees, degrees\], decided by `number`
/// `[n]`: `[n, 3, 3]`. For square images.
pub fn matrix(number: &Tensor, degrees: f64) -> Tensor {
    let angle = (number * 2.0 - 1.0) * degrees.to_radians();
    let (cosine, sine) = (angle.cos(), angle.sin());
    let (zero, one) = (number.zeros_like(), number.ones_like());
    // y points down, so a turn against the clock takes (x, y) from (x cos - y sin, x sin + y cos).
    matrices([[&cosine, &-&sine, &zero], [&sine, &cosine, &zero], [&zero, &zero, &one]])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, resample};
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_quarter_turn_moves_every_pixel_to_its_place() {
        let images = random(&[1, 2, 6, 6], Kind::Double);
        let quarter = |number: f64| resample(&images, &matrix(&Tensor::from_slice(&[number]), 90.0));
        assert!(quarter(1.0).allclose(&images.rot90(1, [2, 3]), 1e-9, 1e-9, false), "counter-clockwise");
        assert!(quarter(0.0).allclose(&images.rot90(-1, [2, 3]), 1e-9, 1e-9, false), "clockwise");
        assert!(quarter(0.5).allclose(&images, 1e-9, 1e-9, false));
    }

    #[test]
    fn what_comes_from_outside_is_black() {
        let white = Tensor::ones([1, 1, 40, 40], (Kind::Double, Device::Cpu));
        let turned = resample(&white, &matrix(&Tensor::from_slice(&[1.0_f64]), 10.0));
        assert_eq!(turned.double_value(&[0, 0, 0, 0]), 0.0);
        assert!((turned.double_value(&[0, 0, 20, 20]) - 1.0).abs() < 1e-9);
    }
}
