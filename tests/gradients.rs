//! The hand-derived backward pass against autograd and against central differences, in double precision.

use reproduction::experiment::Initialization;
use reproduction::gradient_check::check;
use reproduction::layers::Mode;
use reproduction::loss::{Objective, cross_entropy};
use reproduction::model::{Mlp, Model};
use reproduction::seed::{Purpose, draw};
use tch::{Device, Kind, Tensor};

const INITIALIZATIONS: [Initialization; 3] = [Initialization::Glorot, Initialization::Normal, Initialization::Zero];

fn network(initialization: Initialization) -> Mlp {
    draw(3, Purpose::Initialization, 0, || Mlp::new(36, &[9, 8], 10, initialization, Kind::Double, Device::Cpu))
}

fn minibatch() -> (Tensor, Tensor) {
    draw(3, Purpose::Embedded, 0, || {
        (Tensor::rand([7, 1, 6, 6], (Kind::Double, Device::Cpu)), Tensor::randint(10, [7], (Kind::Int64, Device::Cpu)))
    })
}

#[test]
fn hand_derived_gradients_equal_central_differences() {
    let (images, labels) = minibatch();
    for initialization in INITIALIZATIONS {
        for agreement in check(&network(initialization), &images, &labels, 1e-5, i64::MAX) {
            println!("{initialization:?}: {agreement:?}");
            assert!(agreement.relative_error < 1e-7, "{initialization:?}: {agreement:?}");
        }
    }
}

#[test]
fn hand_derived_gradients_equal_autograd() {
    let (images, labels) = minibatch();
    for initialization in INITIALIZATIONS {
        let model = network(initialization);
        let (_, gradients) = model.gradients(&images, &labels, Mode::Eval, Objective::default());
        let parameters: Vec<Tensor> = model.parameters().iter().map(|parameter| parameter.tensor.set_requires_grad(true)).collect();
        let loss = cross_entropy(&model.logits(&images, Mode::Eval), &labels);
        let expected = Tensor::run_backward(&[loss], &parameters, false, false);
        for ((gradient, expected), parameter) in gradients.iter().zip(&expected).zip(model.parameters()) {
            let _ = parameter.tensor.set_requires_grad(false);
            assert_eq!(gradient.size(), parameter.tensor.size());
            let error = (gradient - expected).norm().double_value(&[]);
            let scale = expected.norm().double_value(&[]);
            assert!(error <= 1e-13 * scale, "{initialization:?}, {}: {error:e} of {scale:e}", parameter.name);
        }
    }
}
