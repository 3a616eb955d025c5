//! Test-time augmentation.

use super::{Model, Parameter};
use crate::experiment::Views;
use crate::layers::Mode;
use crate::loss::Objective;
use tch::Tensor;

/// Averages the logits over several views of each image in evaluation mode; training sees the image alone.
pub struct TestTimeAugmentation {
    network: Box<dyn Model>,
    views: Views,
}

impl TestTimeAugmentation {
    pub fn new(network: Box<dyn Model>, views: Views) -> TestTimeAugmentation {
        TestTimeAugmentation { network, views }
    }
}

/// The images `[n, channels, height, width]` under each of `views`, the first of them as they are.
pub fn views(images: &Tensor, views: Views) -> Vec<Tensor> {
    let mut all = vec![images.shallow_clone()];
    match views {
        Views::Single => {}
        Views::Mirrored => all.push(images.flip([3])),
        Views::Shifted => {
            let (_, _, height, width) = images.size4().expect("images are [n, channels, height, width]");
            let wide = images.constant_pad_nd([1, 1, 1, 1]);
            let moved = |top, left| wide.narrow(2, top, height).narrow(3, left, width);
            all.extend([moved(0, 1), moved(2, 1), moved(1, 0), moved(1, 2)]);
        }
    }
    all
}

impl Model for TestTimeAugmentation {
    fn parameters(&self) -> Vec<Parameter> {
        self.network.parameters()
    }

    fn buffers(&self) -> Vec<Parameter> {
        self.network.buffers()
    }

    fn state_dict(&self) -> Vec<Parameter> {
        self.network.state_dict()
    }

    fn logits(&self, images: &Tensor, mode: Mode) -> Tensor {
        if mode != Mode::Eval {
            return self.network.logits(images, mode);
        }
        let logits: Vec<Tensor> = views(images, self.views).iter().map(|view| self.network.logits(view, mode)).collect();
        Tensor::stack(&logits, 0).mean_dim(0, false, None)
    }

    fn gradients(&self, images: &Tensor, labels: &Tensor, mode: Mode, objective: Objective) -> (Tensor, Vec<Tensor>) {
        self.network.gradients(images, labels, mode, objective)
    }

    fn explain(&self, images: &Tensor, classes: &Tensor) -> Tensor {
        self.network.explain(images, classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Initialization;
    use crate::model::Mlp;
    use crate::seed::{Purpose, draw};
    use tch::{Device, Kind};

    const OPTIONS: (Kind, Device) = (Kind::Double, Device::Cpu);

    #[test]
    fn an_answer_is_the_mean_over_the_views() {
        let network = || draw(1, Purpose::Initialization, 0, || Mlp::new(12, &[5], 3, Initialization::Normal, Kind::Double, Device::Cpu));
        let images = draw(2, Purpose::Embedded, 0, || Tensor::randn([2, 1, 3, 4], OPTIONS));
        let (alone, training) = (network(), Mode::Train { seed: 1, minibatch: 0 });
        for (kind, count) in [(Views::Mirrored, 2), (Views::Shifted, 5)] {
            let viewed = TestTimeAugmentation::new(Box::new(network()), kind);
            let all = views(&images, kind);
            assert_eq!(all.len(), count);
            let sum: Tensor = all.iter().map(|view| alone.logits(view, Mode::Eval)).sum();
            assert!(viewed.logits(&images, Mode::Eval).allclose(&(sum / count as f64), 1e-12, 1e-14, false), "{kind:?}");
            assert_eq!(viewed.logits(&images, training), alone.logits(&images, training));
        }
    }

    #[test]
    fn a_view_is_the_image_mirrored_or_moved_by_a_pixel() {
        let image = Tensor::from_slice(&[1., 2., 3., 4., 5., 6., 7., 8., 9.]).view([1, 1, 3, 3]);
        let values = |view: &Tensor| Vec::<f64>::try_from(view.flatten(0, -1)).expect("nine");
        let mirrored: Vec<Vec<f64>> = views(&image, Views::Mirrored).iter().map(values).collect();
        assert_eq!(mirrored, [[1., 2., 3., 4., 5., 6., 7., 8., 9.], [3., 2., 1., 6., 5., 4., 9., 8., 7.]]);
        let shifted: Vec<Vec<f64>> = views(&image, Views::Shifted).iter().map(values).collect();
        let [down, up] = [[0., 0., 0., 1., 2., 3., 4., 5., 6.], [4., 5., 6., 7., 8., 9., 0., 0., 0.]];
        let [right, left] = [[0., 1., 2., 0., 4., 5., 0., 7., 8.], [2., 3., 0., 5., 6., 0., 8., 9., 0.]];
        assert_eq!(shifted[1..], [down, up, right, left]);
    }
}
