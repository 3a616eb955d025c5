//! Shapes, parameters and multiply-adds of a list of layers, without any tensor.
//!
//! The network, its parameter table and its diagram are all made from this.

pub use crate::layers::Shape;

use crate::layers::{Description, Layer, Relu};
use anyhow::{Result, anyhow, ensure};

/// A network's layers with what each makes of its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    pub input: Shape,
    pub stages: Vec<Stage>,
}

/// One layer in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// As the report's Table 3 names them: Conv1, Pool1, FC1, Dropout1.
    pub name: String,
    /// As PyTorch users name them, the prefix of its parameters' names: conv1, pool1, fc1, dropout1.
    pub module: String,
    pub layer: Layer,
    pub input: Shape,
    pub description: Description,
}

/// 2 GB in single precision; the report's largest network has 57 million.
const MOST_PARAMETERS: i64 = 500_000_000;

impl Architecture {
    /// The architecture of `layers` for images `[channels, height, width]`.
    ///
    /// # Errors
    /// If a layer cannot follow the one before it, or the network has more than 500 million parameters.
    pub fn new(image: [i64; 3], layers: &[Layer]) -> Result<Architecture> {
        let [channels, height, width] = image;
        let input = Shape::Image { channels, height, width };
        let mut stages: Vec<Stage> = Vec::new();
        let last_fully_connected = layers.iter().rposition(|layer| matches!(layer, Layer::FullyConnected(_)));
        for (index, layer) in layers.iter().enumerate() {
            let before = stages.last().map_or(input, |stage| stage.description.output);
            let description = layer.config().describe(before);
            let mut description = description.map_err(|error| anyhow!("{layer:?}, layer {} of model.layers, {error}", index + 1))?;
            if last_fully_connected == Some(index) {
                description.relu = Relu::None;
            }
            let Description { label, module, .. } = description;
            let number = 1 + stages.iter().filter(|stage| stage.description.label == label).count();
            let (name, module) = (format!("{label}{number}"), format!("{module}{number}"));
            stages.push(Stage { name, module, layer: *layer, input: before, description });
            let parameters: i64 = stages.iter().map(Stage::parameters).sum();
            ensure!(
                parameters <= MOST_PARAMETERS,
                "the first {} layers of model.layers have {parameters} parameters, expected at most {MOST_PARAMETERS}",
                stages.len()
            );
        }
        Ok(Architecture { input, stages })
    }

    /// The shape of the network's output for one example.
    pub fn output(&self) -> Shape {
        self.stages.last().map_or(self.input, |stage| stage.description.output)
    }

    pub fn parameters(&self) -> i64 {
        self.stages.iter().map(Stage::parameters).sum()
    }

    /// For one example, forward.
    pub fn multiply_adds(&self) -> i64 {
        self.stages.iter().map(|stage| stage.description.multiply_adds).sum()
    }

    /// The share of the parameters that are in fully connected layers.
    pub fn fully_connected_share(&self) -> f64 {
        let fully_connected = self.stages.iter().filter(|stage| matches!(stage.layer, Layer::FullyConnected(_)));
        fully_connected.map(Stage::parameters).sum::<i64>() as f64 / self.parameters() as f64
    }
}

impl Stage {
    pub fn parameters(&self) -> i64 {
        self.description.weights + self.description.biases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Layer::{BatchNorm, Convolution, Dropout, FullyConnected, GlobalAveragePool, GroupNorm, MaxPool, ResidualBlock};

    #[test]
    fn shapes_parameters_and_multiply_adds_follow_from_the_layers() -> Result<()> {
        let layers = [Convolution(2), MaxPool, Dropout(0.5), Convolution(4), MaxPool, FullyConnected(10)];
        let architecture = Architecture::new([1, 28, 29], &layers)?;
        let row = |Stage { name, description, .. }: &'_ Stage| {
            (name.clone(), description.output.to_string(), description.weights, description.biases)
        };
        let rows: Vec<(String, String, i64, i64)> = architecture.stages.iter().map(row).collect();
        let expected = [
            ("Conv1", "2x28x29", 18, 2),
            ("Pool1", "2x14x14", 0, 0),
            ("Dropout1", "2x14x14", 0, 0),
            ("Conv2", "4x14x14", 72, 4),
            ("Pool2", "4x7x7", 0, 0),
            ("FC1", "10", 1960, 10),
        ];
        assert_eq!(rows, expected.map(|(name, shape, weights, biases)| (name.to_owned(), shape.to_owned(), weights, biases)));
        assert_eq!(architecture.parameters(), 2_066);
        assert_eq!(architecture.multiply_adds(), 18 * 28 * 29 + 72 * 14 * 14 + 1960);
        assert!((architecture.fully_connected_share() - 1970.0 / 2066.0).abs() < 1e-12);
        Ok(())
    }

    /// The one of He et al. for small images (section 4.2) in a smaller one; by hand.
    #[test]
    fn blocks_norms_and_averages_are_counted() -> Result<()> {
        let layers = [Convolution(4), BatchNorm, ResidualBlock(4), ResidualBlock(6), GroupNorm(2), GlobalAveragePool, FullyConnected(2)];
        let architecture = Architecture::new([3, 5, 8], &layers)?;
        let rows: Vec<(&str, String, i64)> =
            architecture.stages.iter().map(|s| (s.name.as_str(), s.description.output.to_string(), s.parameters())).collect();
        let same = 2 * (9 * 4 * 4 + 4 + 2 * 4);
        let other = (9 * 4 * 6 + 6 + 12) + (9 * 6 * 6 + 6 + 12) + (4 * 6 + 6 + 12);
        let expected = [
            ("Conv1", "4x5x8", 112),
            ("BatchNorm1", "4x5x8", 8),
            ("Block1", "4x5x8", same),
            ("Block2", "6x3x4", other),
            ("GroupNorm1", "6x3x4", 12),
            ("AvgPool1", "6", 0),
            ("FC1", "2", 14),
        ];
        assert_eq!(rows, expected.map(|(name, shape, count)| (name, shape.to_owned(), count)));
        assert_eq!(architecture.stages[3].description.multiply_adds, (9 * 4 * 6 + 9 * 6 * 6 + 4 * 6) * 12);
        Ok(())
    }

    #[test]
    fn layers_that_cannot_follow_are_refused_by_name() {
        let cases: [(&[Layer], &str); 6] = [
            (&[GlobalAveragePool, ResidualBlock(2)], "ResidualBlock(2), layer 2 of model.layers, gets a vector"),
            (&[Convolution(6), GroupNorm(4)], "GroupNorm(4), layer 2 of model.layers, gets 6 channels, expected a multiple of 4"),
            (&[FullyConnected(3), Convolution(2)], "Convolution(2), layer 2 of model.layers, gets a vector"),
            (&[FullyConnected(3), MaxPool], "MaxPool, layer 2 of model.layers, gets a vector"),
            (&[MaxPool, MaxPool, MaxPool], "MaxPool, layer 3 of model.layers, gets 1x1x1, expected at least 2x2"),
            (&[Convolution(16_384), FullyConnected(16_384)], "expected at most 500000000"),
        ];
        for (layers, expected) in cases {
            let error = Architecture::new([1, 4, 4], layers).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest::proptest! {
        /// Any list gives an architecture or a message, and no arithmetic overflows.
        #[test]
        fn no_list_of_layers_makes_it_panic(kinds in proptest::collection::vec((0..8, 1_i64..=16_384), 0..12), side in 1_i64..4_096) {
            let layer = |(kind, width): &(i32, i64)| match kind {
                0 => Convolution(*width),
                1 => MaxPool,
                2 => FullyConnected(*width),
                3 => BatchNorm,
                4 => GroupNorm(*width),
                5 => ResidualBlock(*width),
                6 => GlobalAveragePool,
                _ => Dropout(0.5),
            };
            let _ = Architecture::new([3, side, side], &kinds.iter().map(layer).collect::<Vec<_>>());
        }
    }
}
