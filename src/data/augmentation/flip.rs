//! Left becomes right.

use super::matrices;
use tch::Tensor;

/// Where pixels come from when each image is mirrored with this probability, decided by `number` `[n]`: `[n, 3, 3]`.
pub fn matrix(number: &Tensor, probability: f64) -> Tensor {
    let sign = 1.0 - number.lt(probability).to_kind(number.kind()) * 2.0;
    let (zero, one) = (number.zeros_like(), number.ones_like());
    matrices([[&sign, &zero, &zero], [&zero, &one, &zero], [&zero, &zero, &one]])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, resample};
    use super::*;
    use tch::Kind;

    #[test]
    fn below_the_probability_an_image_is_mirrored() {
        let images = random(&[2, 3, 5, 6], Kind::Double);
        let changed = resample(&images, &matrix(&Tensor::from_slice(&[0.49_f64, 0.5]), 0.5));
        assert!(changed.get(0).allclose(&images.get(0).flip([2]), 1e-9, 1e-9, false));
        assert!(changed.get(1).allclose(&images.get(1), 1e-9, 1e-9, false));
    }
}
