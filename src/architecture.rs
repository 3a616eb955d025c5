//! What a list of layers amounts to, before there is any tensor: shapes, parameters and multiply-adds.
//!
//! The network, its parameter table and its diagram are all made from this.

use crate::experiment::Layer;
use anyhow::{Result, bail, ensure};

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
    pub layer: Layer,
    pub input: Shape,
    pub output: Shape,
    pub weights: i64,
    pub biases: i64,
    /// Multiplications with a following addition for one example, forward.
    pub multiply_adds: i64,
}

/// The values that an example has between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Image { channels: i64, height: i64, width: i64 },
    Vector(i64),
}

impl Shape {
    /// How many values these are.
    pub fn len(self) -> i64 {
        match self {
            Shape::Image { channels, height, width } => channels * height * width,
            Shape::Vector(length) => length,
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// How many channels an image has; of a vector each value is one.
    pub fn channels(self) -> i64 {
        match self {
            Shape::Image { channels, .. } => channels,
            Shape::Vector(length) => length,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Shape::Image { channels, height, width } => write!(formatter, "{channels}x{height}x{width}"),
            Shape::Vector(length) => write!(formatter, "{length}"),
        }
    }
}

/// Height and width of a convolution's filters.
pub const KERNEL: i64 = 3;

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
        for layer in layers {
            let before = stages.last().map_or(input, |stage| stage.output);
            let number = 1 + stages.iter().filter(|stage| std::mem::discriminant(&stage.layer) == std::mem::discriminant(layer)).count();
            let stage = stage(before, *layer, number)?;
            stages.push(stage);
            let parameters: i64 = stages.iter().map(Stage::parameters).sum();
            ensure!(
                parameters <= MOST_PARAMETERS,
                "the first {} layers of model.layers have {parameters} parameters, expected at most {MOST_PARAMETERS}",
                stages.len()
            );
        }
        Ok(Architecture { input, stages })
    }

    /// What the network makes of an example.
    pub fn output(&self) -> Shape {
        self.stages.last().map_or(self.input, |stage| stage.output)
    }

    pub fn parameters(&self) -> i64 {
        self.stages.iter().map(Stage::parameters).sum()
    }

    /// For one example, forward.
    pub fn multiply_adds(&self) -> i64 {
        self.stages.iter().map(|stage| stage.multiply_adds).sum()
    }

    /// The share of the parameters that are in fully connected layers.
    pub fn fully_connected_share(&self) -> f64 {
        let fully_connected = self.stages.iter().filter(|stage| matches!(stage.layer, Layer::FullyConnected(_)));
        fully_connected.map(Stage::parameters).sum::<i64>() as f64 / self.parameters() as f64
    }
}

impl Stage {
    pub fn parameters(&self) -> i64 {
        self.weights + self.biases
    }
}

/// The `number`-th layer of its kind, on an input of shape `input`.
fn stage(input: Shape, layer: Layer, number: usize) -> Result<Stage> {
    // For each convolution, or the like: inputs and outputs of a filter, and how often it is applied.
    let filters = |fan_in: i64, outputs: i64, times: i64| (fan_in * outputs, outputs, fan_in * outputs * times);
    let nothing = (0, 0, 0);
    let (kind, output, (weights, biases, multiply_adds)) = match (layer, input) {
        (Layer::Convolution(count), Shape::Image { channels, height, width }) => {
            ("Conv", Shape::Image { channels: count, height, width }, filters(channels * KERNEL * KERNEL, count, height * width))
        }
        (Layer::MaxPool, Shape::Image { channels, height, width }) => {
            ensure!(height >= 2 && width >= 2, "max_pool {number} of model.layers finds {input}, expected at least 2x2 values a channel");
            ("Pool", Shape::Image { channels, height: height / 2, width: width / 2 }, nothing)
        }
        (Layer::ResidualBlock(count), Shape::Image { channels, height, width }) => {
            let changes = channels != count;
            let (height, width) = if changes { ((height + 1) / 2, (width + 1) / 2) } else { (height, width) };
            let convolutions = [channels * KERNEL * KERNEL, count * KERNEL * KERNEL].into_iter().chain(changes.then_some(channels));
            let of_all = convolutions.fold(nothing, |(weights, biases, multiply_adds), fan_in| {
                let (more, outputs, times) = filters(fan_in, count, height * width);
                // The normalization has a weight and a bias for each filter.
                (weights + more + outputs, biases + 2 * outputs, multiply_adds + times)
            });
            ("Block", Shape::Image { channels: count, height, width }, of_all)
        }
        (Layer::GlobalAveragePool, Shape::Image { channels, .. }) => ("AvgPool", Shape::Vector(channels), nothing),
        (Layer::FullyConnected(outputs), _) => ("FC", Shape::Vector(outputs), filters(input.len(), outputs, 1)),
        (Layer::Dropout(_), _) => ("Dropout", input, nothing),
        (Layer::BatchNorm, _) => ("BatchNorm", input, (input.channels(), input.channels(), 0)),
        (Layer::GroupNorm(groups), _) => {
            let channels = input.channels();
            ensure!(
                channels % groups == 0,
                "group_norm {number} of model.layers finds {channels} channels, expected a multiple of {groups}"
            );
            ("GroupNorm", input, (channels, channels, 0))
        }
        (Layer::Convolution(_) | Layer::MaxPool | Layer::ResidualBlock(_) | Layer::GlobalAveragePool, Shape::Vector(_)) => {
            bail!("{layer:?} of model.layers finds a vector, expected it before the first fully connected layer and the first average")
        }
    };
    Ok(Stage { name: format!("{kind}{number}"), layer, input, output, weights, biases, multiply_adds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Layer::{BatchNorm, Convolution, Dropout, FullyConnected, GlobalAveragePool, GroupNorm, MaxPool, ResidualBlock};

    #[test]
    fn shapes_parameters_and_multiply_adds_follow_from_the_layers() -> Result<()> {
        let layers = [Convolution(2), MaxPool, Dropout(0.5), Convolution(4), MaxPool, FullyConnected(10)];
        let architecture = Architecture::new([1, 28, 29], &layers)?;
        let rows: Vec<(&str, String, i64, i64)> =
            architecture.stages.iter().map(|s| (s.name.as_str(), s.output.to_string(), s.weights, s.biases)).collect();
        let expected = [
            ("Conv1", "2x28x29", 18, 2),
            ("Pool1", "2x14x14", 0, 0),
            ("Dropout1", "2x14x14", 0, 0),
            ("Conv2", "4x14x14", 72, 4),
            ("Pool2", "4x7x7", 0, 0),
            ("FC1", "10", 1960, 10),
        ];
        assert_eq!(rows, expected.map(|(name, shape, weights, biases)| (name, shape.to_owned(), weights, biases)));
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
            architecture.stages.iter().map(|s| (s.name.as_str(), s.output.to_string(), s.parameters())).collect();
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
        assert_eq!(architecture.stages[3].multiply_adds, (9 * 4 * 6 + 9 * 6 * 6 + 4 * 6) * 12);
        Ok(())
    }

    #[test]
    fn layers_that_cannot_follow_are_refused_by_name() {
        let cases: [(&[Layer], &str); 6] = [
            (&[GlobalAveragePool, ResidualBlock(2)], "ResidualBlock(2) of model.layers finds a vector"),
            (&[Convolution(6), GroupNorm(4)], "group_norm 1 of model.layers finds 6 channels, expected a multiple of 4"),
            (&[FullyConnected(3), Convolution(2)], "Convolution(2) of model.layers finds a vector"),
            (&[FullyConnected(3), MaxPool], "MaxPool of model.layers finds a vector"),
            (&[MaxPool, MaxPool, MaxPool], "max_pool 3 of model.layers finds 1x1x1, expected at least 2x2"),
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
