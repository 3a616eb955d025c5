//! Luma.

use tch::Tensor;

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

#[cfg(test)]
mod tests {
    use super::*;

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
