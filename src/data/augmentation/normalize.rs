//! Channels brought to a common scale.

use tch::Tensor;

/// (x - mean) / deviation, channel by channel, for images `[n, 3, h, w]`.
pub fn normalize(images: &Tensor, mean: [f64; 3], deviation: [f64; 3]) -> Tensor {
    let channels = |values: [f64; 3]| Tensor::from_slice(&values).to_kind(images.kind()).to_device(images.device()).view([1, 3, 1, 1]);
    (images - channels(mean)) / channels(deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own_mean_and_deviation() {
        let images = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).view([2, 3, 1, 1]);
        let normal = normalize(&images, [1.0, 1.0, 2.0], [1.0, 2.0, 4.0]);
        assert_eq!(Vec::<f64>::try_from(normal.flatten(0, -1)).expect("six"), [0.0, 0.5, 0.25, 3.0, 2.0, 1.0]);
    }
}
