//! Saliency: the pixels that speak for a class.

use tch::{Kind, Tensor};

/// Influence of each pixel on the logit of the class (int64 `[n]`) of its image: |d logit / d pixel|, the largest of the channels,
/// `[n, height, width]` (Simonyan et al. 2014, section 3). `forward` gives the logits of images `[n, channels, height, width]`.
pub(super) fn saliency(images: &Tensor, classes: &Tensor, forward: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let images = images.detach().set_requires_grad(true);
    let logit = forward(&images).gather(1, &classes.unsqueeze(1), false).sum(Kind::Float);
    if !logit.requires_grad() {
        return images.zeros_like().narrow(1, 0, 1).squeeze_dim(1);
    }
    Tensor::run_backward(&[logit], &[&images], false, false).remove(0).abs().amax([1_i64].as_slice(), false)
}
