//! Losses, as means per example.

use tch::{Kind, Tensor};

/// -(1/n) sum_i ln softmax(a)\[i, y_i\]: the mean cross-entropy of logits a `[n, classes]` for labels y `[n]`.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.log_softmax(-1, None::<Kind>).nll_loss(labels)
}

/// -ln softmax(a)\[i, y_i\] for each example i: the terms of [`cross_entropy`], `[n]`; for logits `[k, n, classes]`, `[k, n]`.
pub fn cross_entropies(logits: &Tensor, labels: &Tensor) -> Tensor {
    -logits.log_softmax(-1, None::<Kind>).gather(-1, &labels.unsqueeze(-1), false).squeeze_dim(-1)
}

/// The loss of the report's Figures 1, 5 and 6: cross-entropy applied to softmax *outputs*, that is softmax taken twice.
///
/// It lies between ln(e + 9) - 1 = 1.4612 (all the probability on the right class of ten) and 2.4612, whatever the logits.
pub fn twice_softmaxed_cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    cross_entropy(&logits.softmax(-1, None::<Kind>), labels)
}

/// scale * (softmax(a) - onehot(y)) / n: the gradient of `scale` times the mean cross-entropy with respect to the logits `[n, classes]`; for
/// logits `[k, n, classes]` and labels `[k, n]`, of each of k such means.
pub fn logit_gradient(logits: &Tensor, labels: &Tensor, scale: f64) -> Tensor {
    let mut delta = logits.softmax(-1, None::<Kind>);
    let places = labels.unsqueeze(-1);
    let minus_one = Tensor::full(places.size(), -1.0, (delta.kind(), delta.device()));
    let _ = delta.scatter_add_(-1, &places, &minus_one);
    delta.g_mul_scalar_(scale / labels.size()[labels.dim() - 1] as f64)
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
        let (logits, labels) = example();
        let logits = logits.set_requires_grad(true);
        (cross_entropy(&logits, &labels) * -0.25).backward();
        assert!(logit_gradient(&logits.detach(), &labels, -0.25).allclose(&logits.grad(), 1e-12, 1e-15, false));
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
