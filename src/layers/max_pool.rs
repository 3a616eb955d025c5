//! The pooling layer.

use super::{Description, LayerConfig, Mode, Module, Place, Relu, Shape};
use anyhow::{Result, ensure};
use tch::Tensor;

/// The largest value of each 2x2 square, from `[n, channels, height, width]` to `[n, channels, height / 2, width / 2]`; an odd last row
/// or column is left out.
///
/// ReLU never decreases, so max(ReLU(a)) = ReLU(max(a)): taken after the pool it touches a quarter of the values.
#[derive(Debug)]
pub struct MaxPool;

impl LayerConfig for MaxPool {
    fn describe(&self, input: Shape) -> Result<Description> {
        let [channels, height, width] = input.image()?;
        ensure!(height >= 2 && width >= 2, "gets {input}, expected at least 2x2 values a channel");
        let output = Shape::Image { channels, height: height / 2, width: width / 2 };
        Ok(Description { relu: Relu::Delayed, ..Description::new("Pool", "pool", ("max pool", 0xd96666), output) })
    }

    fn build(&self, _place: &Place) -> Box<dyn Module> {
        Box::new(MaxPool)
    }
}

impl Module for MaxPool {
    fn forward(&self, input: &Tensor, _mode: Mode) -> Tensor {
        input.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, draw};
    use tch::{Device, Kind};

    fn max_pool(input: &Tensor) -> Tensor {
        MaxPool.forward(input, Mode::Eval)
    }

    #[test]
    fn it_takes_the_largest_of_each_square_and_commutes_with_relu() {
        let input = Tensor::from_slice(&[1., -2., 3., 9., -4., 0., -6., 9., -1., -1., -3., 9., -1., -1., -2., 9., 9., 9., 9., 9.]);
        let input = input.reshape([1, 1, 5, 4]);
        assert_eq!(Vec::<f64>::try_from(max_pool(&input).flatten(0, -1)).expect("four"), [1., 9., -1., 9.]);
        let random = draw(1, Purpose::Embedded, 0, || Tensor::randn([3, 4, 7, 7], (Kind::Double, Device::Cpu)));
        let (gradient_after, gradient_before) = (gradient(&random, |a| max_pool(a).relu()), gradient(&random, |a| max_pool(&a.relu())));
        assert_eq!(max_pool(&random).relu(), max_pool(&random.relu()));
        assert_eq!(gradient_after, gradient_before);
    }

    fn gradient(input: &Tensor, function: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let input = input.copy().set_requires_grad(true);
        let output = function(&input);
        (&output * &output).sum(Kind::Double).backward();
        input.grad()
    }
}
