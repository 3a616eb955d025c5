//! Luma.

use tch::Tensor;

/// Red, green and blue replaced by 0.2989 R + 0.587 G + 0.114 B (ITU-R BT.601), `[n, 3, h, w]`.
pub fn grey(images: &Tensor) -> Tensor {
    luma(images).expand_as(images)
}

/// `[n, 1, h, w]`.
pub fn luma(images: &Tensor) -> Tensor {
    let channel = |index| images.narrow(1, index, 1);
    channel(0) * 0.2989 + channel(1) * 0.587 + channel(2) * 0.114
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_channels_become_the_luma() {
        let images = Tensor::from_slice(&[1.0, 0.5, 0.25]).view([1, 3, 1, 1]);
        let expected = 0.2989 + 0.5 * 0.587 + 0.25 * 0.114;
        assert!((grey(&images) - expected).abs().max().double_value(&[]) < 1e-12);
        assert_eq!(grey(&images).size(), [1, 3, 1, 1]);
    }
}
