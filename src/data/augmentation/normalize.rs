//! Channels brought to a common scale.

use tch::{Device, Kind, Tensor};

/// A number for each channel, `[3, 1, 1]`, on `device`.
pub fn channels(values: [f64; 3], device: Device) -> Tensor {
    Tensor::from_slice(&values).to_kind(Kind::Float).view([3, 1, 1]).to_device(device)
}

/// (x - mean) / deviation, channel by channel, for images `[n, 3, h, w]`; mean and deviation from [`channels`].
pub fn normalize(mut images: Tensor, mean: &Tensor, deviation: &Tensor) -> Tensor {
    images.g_sub_(mean).g_div_(deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own_mean_and_deviation() {
        let images = Tensor::from_slice(&[1_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).view([2, 3, 1, 1]);
        let channels = |values| channels(values, Device::Cpu);
        let normal = normalize(images, &channels([1.0, 1.0, 2.0]), &channels([1.0, 2.0, 4.0]));
        assert_eq!(Vec::<f32>::try_from(normal.flatten(0, -1)).expect("six"), [0.0, 0.5, 0.25, 3.0, 2.0, 1.0]);
    }
}
