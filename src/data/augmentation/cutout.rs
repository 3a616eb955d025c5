//! Cutout (DeVries and Taylor 2017).

use tch::Tensor;

/// Two numbers: where the middle is, from the left and from the top.
pub const NUMBERS: i64 = 2;

/// The images `[n, channels, height, width]`, changed in place: 0 in a square of `side`, a share of theirs, with its middle at `middles`
/// `[n, NUMBERS]`, shares of theirs too. As in the paper the middle may be anywhere in the image, so part of the square may lie outside.
pub fn cutout(mut images: Tensor, middles: &Tensor, side: f64) -> Tensor {
    let (_, _, height, width) = images.size4().expect("images are [n, channels, height, width]");
    // Whether the middle of a pixel in each place along a side is within the square.
    let within = |length: i64, number: i64| {
        let places = (Tensor::arange(length, (middles.kind(), middles.device())) + 0.5) / length as f64;
        (places - middles.narrow(1, number, 1)).abs().lt(side / 2.0)
    };
    let square = within(height, 1).unsqueeze(2).logical_and(&within(width, 0).unsqueeze(1));
    images.masked_fill_(&square.unsqueeze(1), 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;
    use tch::Kind;

    #[test]
    fn a_square_of_each_image_is_cut_out_as_far_as_it_lies_inside() {
        let images = random(&[3, 2, 8, 8], Kind::Double) + 1.0;
        // Of 8 pixels, half a side is 4: in the middle, over the right edge, over the upper left corner.
        let middles = Tensor::from_slice(&[0.5, 0.5, 1.0, 0.375, 0.0, 0.0]).view([3, 2]);
        let expected = images.copy();
        for (image, left, top, width, height) in [(0, 2, 2, 4, 4), (1, 6, 1, 2, 4), (2, 0, 0, 2, 2)] {
            let _ = expected.get(image).narrow(2, left, width).narrow(1, top, height).fill_(0.0);
        }
        assert_eq!(cutout(images.copy(), &middles, 0.5), expected);
        assert_eq!(cutout(images.copy(), &middles, 0.0), images);
    }

    #[test]
    fn its_middle_is_anywhere() {
        let images = cutout(Tensor::ones([20_000, 1, 16, 16], (Kind::Float, tch::Device::Cpu)), &random(&[20_000, 2], Kind::Float), 0.5);
        // Along a side, a square with its middle at m covers min(1, m + 1/4) - max(0, m - 1/4); the mean over m is 7/16.
        let share = 1.0 - images.mean(Kind::Double).double_value(&[]);
        assert!((share - (7.0_f64 / 16.0).powi(2)).abs() < 0.003, "{share}");
    }
}
