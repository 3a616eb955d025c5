//! Losses, as means per example.

use tch::{Kind, Reduction, Tensor};

/// The training loss: the mean cross-entropy over the minibatch, with label smoothing over K classes,
/// -(1/n) sum_i sum_k q\[i, k\] ln softmax(a)\[i, k\] with q = (1 - label_smoothing) onehot(y) + label_smoothing / K (Szegedy et al. 2015,
/// section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objective {
    /// 0 for none.
    pub label_smoothing: f64,
}

impl Objective {
    /// The loss of logits `[n, classes]` for labels, int64 `[n]`, or for probabilities `[n, classes]`.
    pub fn loss(self, logits: &Tensor, labels: &Tensor) -> Tensor {
        // -100 is libtorch's default `ignore_index`; no label has it.
        exact(logits).cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, self.label_smoothing)
    }

    /// (softmax(a) - q) / n: the gradient of the loss with respect to the logits `[n, classes]`, in their precision.
    pub fn logit_gradient(self, logits: &Tensor, labels: &Tensor) -> Tensor {
        let mut delta = exact(logits).softmax(-1, None::<Kind>);
        let places = labels.unsqueeze(-1);
        let onehot = Tensor::full(places.size(), self.label_smoothing - 1.0, (delta.kind(), delta.device()));
        let _ = delta.scatter_add_(-1, &places, &onehot);
        if self.label_smoothing > 0.0 {
            let _ = delta.g_sub_scalar_(self.label_smoothing / logits.size()[1] as f64);
        }
        delta.g_div_scalar_(labels.size()[0] as f64).to_kind(logits.kind())
    }
}

/// `logits` in single precision at least: the softmax in bfloat16's eight bits of mantissa would lose what distinguishes good ones.
fn exact(logits: &Tensor) -> Tensor {
    if logits.kind() == Kind::BFloat16 { logits.to_kind(Kind::Float) } else { logits.shallow_clone() }
}

/// -(1/n) sum_i ln softmax(a)\[i, y_i\]: the mean cross-entropy of logits a `[n, classes]` for labels y `[n]`.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.log_softmax(-1, None::<Kind>).nll_loss(labels)
}

/// -ln softmax(a)\[i, y_i\] for each example i: the terms of [`cross_entropy`], `[n]`.
pub fn cross_entropies(logits: &Tensor, labels: &Tensor) -> Tensor {
    -logits.log_softmax(-1, None::<Kind>).gather(-1, &labels.unsqueeze(-1), false).squeeze_dim(-1)
}

/// The loss of the report's Figures 1, 5 and 6: cross-entropy applied to softmax *outputs*, that is softmax taken twice.
///
/// It lies between ln(e + 9) - 1 = 1.4612 (all the probability on the right class of ten) and 2.4612, whatever the logits.
pub fn twice_softmaxed_cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    cross_entropy(&logits.softmax(-1, None::<Kind>), labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};
    use tch::Device;

    fn example() -> (Tensor, Tensor) {
        draw(1, Purpose::Embedded, 0, || {
            (Tensor::randn([7, 10], (Kind::Double, Device::Cpu)) * 3.0, Tensor::randint(10, [7], (Kind::Int64, Device::Cpu)))
        })
    }

    #[test]
    fn logit_gradient_is_the_one_autograd_finds() {
        for label_smoothing in [0.0, 0.1] {
            let (logits, labels) = example();
            let (logits, objective) = (logits.set_requires_grad(true), Objective { label_smoothing });
            objective.loss(&logits, &labels).backward();
            assert!(objective.logit_gradient(&logits.detach(), &labels).allclose(&logits.grad(), 1e-12, 1e-15, false));
        }
    }

    #[test]
    fn a_smoothed_label_has_a_share_of_every_class() {
        let (logits, labels) = example();
        let onehot = labels.onehot(10).to_kind(Kind::Double);
        let targets = onehot * 0.9 + 0.1 / 10.0;
        let expected = -(targets * logits.log_softmax(-1, None::<Kind>)).sum(None::<Kind>) / 7.0;
        let loss = |label_smoothing| Objective { label_smoothing }.loss(&logits, &labels);
        assert!((loss(0.1) - expected).abs().double_value(&[]) < 1e-12);
        assert_eq!(loss(0.0), cross_entropy(&logits, &labels));
    }

    #[test]
    fn cross_entropy_is_its_definition() {
        let (logits, labels) = example();
        let rows = Vec::<Vec<f64>>::try_from(&logits).expect("rows");
        let labels_read = Vec::<i64>::try_from(&labels).expect("labels");
        let definition = |rows: &[Vec<f64>]| {
            let loss = |(row, label): (&Vec<f64>, &i64)| row.iter().map(|a| a.exp()).sum::<f64>().ln() - row[*label as usize];
            rows.iter().zip(&labels_read).map(loss).sum::<f64>() / rows.len() as f64
        };
        let softmax = |row: &Vec<f64>| {
            let total: f64 = row.iter().map(|a| a.exp()).sum();
            row.iter().map(|a| a.exp() / total).collect()
        };
        assert!((cross_entropy(&logits, &labels).double_value(&[]) - definition(&rows)).abs() < 1e-12);
        let mean = cross_entropies(&logits, &labels).mean(None::<Kind>);
        assert!((mean.double_value(&[]) - definition(&rows)).abs() < 1e-12);
        let twice = definition(&rows.iter().map(softmax).collect::<Vec<_>>());
        assert!((twice_softmaxed_cross_entropy(&logits, &labels).double_value(&[]) - twice).abs() < 1e-12);
    }

    #[test]
    fn softmaxed_twice_it_has_the_bounds_stated() {
        let labels = Tensor::from_slice(&[0_i64]);
        let right = Tensor::from_slice(&[1e4, 0., 0., 0., 0., 0., 0., 0., 0., 0.]).unsqueeze(0);
        let (best, worst) = (twice_softmaxed_cross_entropy(&right, &labels), twice_softmaxed_cross_entropy(&right, &(&labels + 1)));
        let lowest = (1_f64.exp() + 9.0).ln() - 1.0;
        assert!((best.double_value(&[]) - lowest).abs() < 1e-12 && (worst.double_value(&[]) - lowest - 1.0).abs() < 1e-12);
    }
}
