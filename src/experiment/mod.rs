//! The TOML files of `experiments/` as checked types.
//!
//! Unknown keys and values out of range are errors that name the file, the key, what was found and what is expected, before anything is
//! loaded or trained.

mod file;
mod groups;
mod search;

pub use file::{ExperimentFile, MOST_SEEDS};
pub use groups::Group;
pub use search::{Distribution, Search, Stage};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One experiment, resolved: everything that determines its result but the seed and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    pub model: Model,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_check: Option<GradientCheck>,
}

/// Brings the channels of colour images, in \[0, 1\], to a common scale: (x - mean) / deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Of red, green and blue.
    pub mean: [f64; 3],
    pub deviation: [f64; 3],
}

/// Random changes of training images; a key that is left out changes nothing. Grey images take those that move pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Width and height each by a factor of their own, between 1 - this and 1 + this.
    #[serde(skip_serializing_if = "is_default")]
    pub stretch: f64,
    /// Degrees to either side: x' = x + tan(angle) y.
    #[serde(skip_serializing_if = "is_default")]
    pub shear: f64,
    /// Degrees to either side.
    #[serde(skip_serializing_if = "is_default")]
    pub rotation: f64,
    /// Probability of mirroring.
    #[serde(skip_serializing_if = "is_default")]
    pub flip: f64,
    /// Least and largest share of the area.
    #[serde(skip_serializing_if = "is_one")]
    pub crop_scale: [f64; 2],
    /// Least and largest ratio of width to height.
    #[serde(skip_serializing_if = "is_one")]
    pub crop_ratio: [f64; 2],
    /// Share of the side, horizontally and vertically, to either side.
    #[serde(skip_serializing_if = "is_default")]
    pub shift: f64,
    /// Factors between 1 - this and 1 + this.
    #[serde(skip_serializing_if = "is_default")]
    pub brightness: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub contrast: f64,
    #[serde(skip_serializing_if = "is_default")]
    pub saturation: f64,
    /// Share of the whole circle to either side.
    #[serde(skip_serializing_if = "is_default")]
    pub hue: f64,
    /// Probability of grey.
    #[serde(skip_serializing_if = "is_default")]
    pub grey: f64,
    /// Whether validation images are changed too, as the report's code did.
    #[serde(skip_serializing_if = "is_default")]
    pub validation: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
}

/// Smooth random displacements (Ronneberger et al. 2015, section 3.1): normally distributed at the points of a grid, bicubic between them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// So many rows of so many points, spread from edge to edge.
    pub grid: i64,
    /// Standard deviation, as a share of the side.
    pub strength: f64,
}

/// How the training file becomes training and validation examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub validation: Validation,
    /// How many examples are held out for validation; this or a share of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_examples: Option<i64>,
    /// Which share of the examples is held out; a fraction of an example goes to training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_share: Option<f64>,
    /// Only the first so many training examples (`--limit`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// The last examples of the training file.
    Last,
    /// Examples drawn at random.
    Random,
}

/// A network: a multilayer perceptron by its `hidden` widths, or any list of `layers`; one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Widths of the hidden layers of the multilayer perceptron whose backward pass is written by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<i64>,
    /// The layers, in order, of a network that autograd differentiates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    pub initialization: Initialization,
    /// How biases start, where it is not as `initialization` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_initialization: Option<Initialization>,
    #[serde(default)]
    pub precision: Precision,
    /// What an answer is a mean over, once the network is trained.
    #[serde(default, skip_serializing_if = "is_default")]
    pub views: Views,
    /// How many parameters the report counts; checked where the network is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<i64>,
}

/// What a trained network is shown of an image; its logits are the mean over all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Views {
    /// The image.
    #[default]
    Single,
    /// The image and its mirror image.
    Mirrored,
    /// The image as it is and moved by one pixel in each of the four directions.
    Shifted,
}

/// One layer of a network. A ReLU follows every convolution and every fully connected layer but the last, after the normalization where one
/// comes next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// So many 3x3 filters, stride 1, padding 1.
    Convolution(i64),
    /// The largest value of each 2x2 square, stride 2; an odd last row or column is left out.
    MaxPool,
    /// So many outputs.
    FullyConnected(i64),
    /// Drops values in training, each with this probability.
    Dropout(f64),
    /// Each channel, or each value of a vector, with mean 0 and variance 1 over the minibatch (Ioffe and Szegedy 2015).
    BatchNorm,
    /// So many groups of channels, each with mean 0 and variance 1 within an image (Wu and He 2018); with 1 it is layer normalization.
    GroupNorm(i64),
    /// Two convolutions of so many filters, each with batch normalization, and a shortcut past both (He et al. 2015, Figure 2). Where the
    /// number of channels changes, the first convolution and the shortcut take every second pixel.
    ResidualBlock(i64),
    /// The mean of each channel.
    GlobalAveragePool,
}

/// The distribution that parameters are drawn from. Biases start at zero where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialization {
    /// U(-d, d) with d = sqrt(6 / (fan_in + fan_out)), also called Xavier (Glorot and Bengio 2010, equation 16).
    Glorot,
    /// N(0, 1).
    Normal,
    /// 0.
    Zero,
    /// U(-b, b) with b = 1 / sqrt(fan_in), biases too: PyTorch's default (He et al. 2015, equation 10, with a = sqrt 5).
    KaimingUniform,
}

/// The distributions of a layer's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub weights: Initialization,
    pub biases: Initialization,
}

impl From<Initialization> for Start {
    fn from(both: Initialization) -> Start {
        Start { weights: both, biases: both }
    }
}

/// Stochastic gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    pub epochs: i64,
    pub minibatch: i64,
    pub learning_rate: f64,
    /// The share of the last step that is taken again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub momentum: f64,
    /// L2: this times the parameter is added to its gradient, for weights and biases alike.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_decay: f64,
    /// The share of a target that is spread evenly over all classes (Szegedy et al. 2015, section 7).
    #[serde(default, skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// The share of the mean over all steps' parameters that stays when a step's are added; the mean is what is measured and kept. Without
    /// it, the last step's are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_averaging: f64,
    /// Where the learning rate enters the momentum.
    #[serde(default, skip_serializing_if = "is_default")]
    pub momentum_form: MomentumForm,
    pub order: Order,
    /// Which epoch's parameters are the result.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep: Keep,
    /// How the learning rate changes over the training, where it is not the same throughout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The network is measured after so many epochs, and after the last.
    #[serde(default = "every_epoch", skip_serializing_if = "is_every_epoch")]
    pub measure_every: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce_on_plateau: Option<ReduceOnPlateau>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<StopEarly>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The last epoch's.
    #[default]
    Last,
    /// Those of the epoch with the best validation accuracy, the first of several.
    Best,
}

/// The learning rate rises in a line from 0 to its full height, and then falls to 0 at the end of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The share of all steps in which it rises.
    pub warm_up: f64,
    pub decay: Decay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// In a line.
    Linear,
    /// As half a period of the cosine (Loshchilov and Hutter 2016, equation 5).
    Cosine,
}

/// The learning rate falls when the validation loss no longer does (see [`crate::optim::ReduceLrOnPlateau`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReduceOnPlateau {
    pub factor: f64,
    pub patience: u32,
    pub threshold: f64,
}

/// Training ends when the validation loss no longer falls (see [`crate::optim::EarlyStopping`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopEarly {
    pub patience: u32,
}

/// The two ways of writing momentum; they differ when the learning rate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentumForm {
    /// v = momentum v + g; w = w - learning_rate v, as libtorch has it.
    #[default]
    RateOutside,
    /// v = momentum v + learning_rate g; w = w - v, as the report's own code has it.
    RateInside,
}

fn every_epoch() -> i64 {
    1
}

fn is_every_epoch(epochs: &i64) -> bool {
    *epochs == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether a range of shares or of ratios leaves only 1.
fn is_one(range: &[f64; 2]) -> bool {
    *range == [1.0, 1.0]
}

/// Finite differences against the backward pass, for epsilon = 1/N with N = k * 10^i.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientCheck {
    /// The loss that is differenced.
    pub loss: CheckedLoss,
    /// The parameter, by name.
    pub parameter: String,
    /// Its first so many elements.
    pub elements: i64,
    /// The values of k.
    pub multiples: Vec<u32>,
    /// The values of i.
    pub powers: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckedLoss {
    /// The loss that the backward pass differentiates.
    CrossEntropy,
    /// Cross-entropy of softmax outputs, which it does not; what the report's pictures show.
    TwiceSoftmaxed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A new random order each epoch.
    Shuffled,
    /// The order of the file, every epoch, as the published code had it.
    AsPublished,
}

/// The precision of the matrix products. Parameters are kept in single precision under the first two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    #[default]
    F32,
    Bf16,
    /// Double precision, parameters and all.
    F64,
}

impl Precision {
    pub fn kind(self) -> tch::Kind {
        match self {
            Precision::F32 => tch::Kind::Float,
            Precision::Bf16 => tch::Kind::BFloat16,
            Precision::F64 => tch::Kind::Double,
        }
    }
}

impl Experiment {
    /// States the first rule that is broken, with the key and the value.
    pub fn check(&self) -> Result<()> {
        let Experiment { split, normalization, augmentation, model, training, gradient_check } = self;
        if let Some(split) = split {
            split.check()?;
        }
        if let Some(Normalization { mean, deviation }) = normalization {
            ensure!(mean.iter().all(|value| value.is_finite()), "normalization.mean is {mean:?}, expected finite numbers");
            let is_good = deviation.iter().all(|value| value.is_finite() && *value > 0.0);
            ensure!(is_good, "normalization.deviation is {deviation:?}, expected finite numbers above 0");
        }
        if let Some(augmentation) = augmentation {
            augmentation.check()?;
        }
        model.check()?;
        let needs_data = training.is_some() || gradient_check.is_some();
        ensure!(split.is_some() || !needs_data, "[split] is missing, expected it with [training] and with [gradient_check]");
        if let Some(training) = training {
            training.check()?;
        }
        if let Some(check) = gradient_check {
            count("gradient_check.elements", check.elements)?;
            let is_good = !check.multiples.is_empty() && check.multiples.iter().all(|multiple| *multiple >= 1);
            ensure!(is_good, "gradient_check.multiples is {:?}, expected numbers from 1", check.multiples);
            let is_good = !check.powers.is_empty() && check.powers.iter().all(|power| *power <= 9);
            ensure!(is_good, "gradient_check.powers is {:?}, expected numbers from 0 to 9", check.powers);
        }
        Ok(())
    }

    /// The experiment with these values in these places (see [`Search::space`]).
    ///
    /// # Errors
    /// If there is no such place, or a value is out of its range.
    pub fn with(&self, drawn: &BTreeMap<String, f64>) -> Result<Experiment> {
        let mut table = toml::Table::try_from(self)?;
        drawn.iter().try_for_each(|(path, value)| search::set(&mut table, path, *value))?;
        let experiment: Experiment = table.try_into().map_err(file::one_line)?;
        experiment.check()?;
        Ok(experiment)
    }

    /// How the network is trained.
    ///
    /// # Errors
    /// If the experiment has no such section.
    pub fn training(&self) -> Result<&Training> {
        self.training.as_ref().context("the experiment has no [training], so there is nothing to train")
    }

    /// How the training file is split.
    ///
    /// # Errors
    /// If the experiment has no such section.
    pub fn split(&self) -> Result<&Split> {
        self.split.as_ref().context("the experiment has no [split], so there are no examples")
    }

    /// The resolved experiment as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("an experiment is plain data")
    }
}

impl Split {
    fn check(&self) -> Result<()> {
        let Split { validation_examples, validation_share, limit, .. } = self;
        match (validation_examples, validation_share) {
            (Some(examples), None) => count("split.validation_examples", *examples)?,
            (None, Some(share)) => {
                ensure!(*share > 0.0 && *share < 1.0, "split.validation_share is {share}, expected a number between 0 and 1");
            }
            _ => bail!(
                "split.validation_examples is {} and split.validation_share is {}, expected one of the two",
                or_missing(*validation_examples),
                or_missing(*validation_share)
            ),
        }
        limit.map_or(Ok(()), |limit| count("split.limit", limit))
    }

    /// How many of `all` examples are held out for validation.
    pub fn held_out(&self, all: i64) -> i64 {
        self.validation_examples.unwrap_or_else(|| (all as f64 * self.validation_share.unwrap_or(0.0)).floor() as i64)
    }

    /// How many of `all` examples are trained on.
    pub fn taken(&self, all: i64) -> i64 {
        (all - self.held_out(all)).clamp(0, self.limit.unwrap_or(i64::MAX))
    }
}

fn or_missing<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or("missing".to_owned(), |value| value.to_string())
}

impl Augmentation {
    /// What changes nothing.
    pub fn off() -> Augmentation {
        Augmentation {
            stretch: 0.0,
            shear: 0.0,
            rotation: 0.0,
            flip: 0.0,
            crop_scale: [1.0, 1.0],
            crop_ratio: [1.0, 1.0],
            shift: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grey: 0.0,
            validation: false,
            elastic: None,
        }
    }

    /// The keys that change colors, with their values.
    pub fn colors(&self) -> [(&'static str, f64); 5] {
        let Augmentation { brightness, contrast, saturation, hue, grey, .. } = *self;
        [("brightness", brightness), ("contrast", contrast), ("saturation", saturation), ("hue", hue), ("grey", grey)]
    }

    fn check(&self) -> Result<()> {
        let Augmentation { stretch, shear, rotation, flip, crop_scale, crop_ratio, shift, hue, elastic, .. } = *self;
        let within = |key: &str, value: f64, most: f64| {
            ensure!((0.0..=most).contains(&value), "augmentation.{key} is {value}, expected a number from 0 to {most}");
            Ok(())
        };
        ensure!((0.0..1.0).contains(&stretch), "augmentation.stretch is {stretch}, expected a number from 0, below 1");
        within("shear", shear, 45.0)?;
        within("shift", shift, 1.0)?;
        within("rotation", rotation, 180.0)?;
        within("flip", flip, 1.0)?;
        within("hue", hue, 0.5)?;
        self.colors().into_iter().try_for_each(|(key, value)| within(key, value, 1.0))?;
        if let Some(Elastic { grid, strength }) = elastic {
            ensure!((2..=16).contains(&grid), "augmentation.elastic.grid is {grid}, expected a number from 2 to 16");
            within("elastic.strength", strength, 1.0)?;
        }
        let [least, most] = crop_scale;
        let is_good = 0.0 < least && least <= most && most <= 1.0;
        ensure!(is_good, "augmentation.crop_scale is {crop_scale:?}, expected the least and the largest share, above 0 and up to 1");
        let [least, most] = crop_ratio;
        let is_good = 0.0 < least && least <= most && most.is_finite();
        ensure!(is_good, "augmentation.crop_ratio is {crop_ratio:?}, expected the least and the largest ratio, above 0");
        Ok(())
    }
}

impl Default for Augmentation {
    fn default() -> Augmentation {
        Augmentation::off()
    }
}

impl Training {
    fn check(&self) -> Result<()> {
        let Training { learning_rate: rate, momentum, weight_decay: decay, reduce_on_plateau, early_stopping, .. } = self;
        let Training { label_smoothing: smoothing, weight_averaging: averaging, schedule, measure_every, keep, .. } = self;
        count("training.epochs", self.epochs)?;
        count("training.minibatch", self.minibatch)?;
        ensure!(rate.is_finite() && *rate > 0.0, "training.learning_rate is {rate}, expected a finite number above 0");
        ensure!((0.0..1.0).contains(momentum), "training.momentum is {momentum}, expected a number from 0, below 1");
        ensure!(decay.is_finite() && *decay >= 0.0, "training.weight_decay is {decay}, expected a finite number from 0");
        if let Some(ReduceOnPlateau { factor, threshold, .. }) = reduce_on_plateau {
            let is_good = *factor > 0.0 && *factor < 1.0;
            ensure!(is_good, "training.reduce_on_plateau.factor is {factor}, expected a number between 0 and 1");
            let is_good = (0.0..1.0).contains(threshold);
            ensure!(is_good, "training.reduce_on_plateau.threshold is {threshold}, expected a number from 0, below 1");
        }
        ensure!((0.0..1.0).contains(smoothing), "training.label_smoothing is {smoothing}, expected a number from 0, below 1");
        ensure!((0.0..1.0).contains(averaging), "training.weight_averaging is {averaging}, expected a number from 0, below 1");
        if let Some(Schedule { warm_up, .. }) = schedule {
            ensure!((0.0..1.0).contains(warm_up), "training.schedule.warm_up is {warm_up}, expected a share of all steps from 0, below 1");
            ensure!(
                reduce_on_plateau.is_none(),
                "training.schedule and training.reduce_on_plateau both set the learning rate, expected one of the two"
            );
        }
        count("training.measure_every", *measure_every)?;
        let is_watched = reduce_on_plateau.is_some() || early_stopping.is_some() || *keep == Keep::Best;
        ensure!(
            *measure_every == 1 || !is_watched,
            "training.measure_every is {measure_every}, expected 1 where the validation loss of every epoch decides something: training.reduce_on_plateau, training.early_stopping, training.keep = \"best\""
        );
        if let Some(StopEarly { patience }) = early_stopping {
            ensure!(*patience > 0, "training.early_stopping.patience is 0, expected a number from 1");
        }
        Ok(())
    }
}

impl Model {
    /// How weights start, and how biases do.
    pub fn start(&self) -> Start {
        Start { weights: self.initialization, biases: self.bias_initialization.unwrap_or(self.initialization) }
    }

    fn check(&self) -> Result<()> {
        let Model { hidden, layers, .. } = self;
        ensure!(
            hidden.is_empty() != layers.is_empty(),
            "model.hidden is {hidden:?} and model.layers has {} layers, expected one of them: the widths of a multilayer perceptron's hidden layers, or a list of layers",
            layers.len()
        );
        for width in hidden {
            ensure!((1..=LARGEST_WIDTH).contains(width), "model.hidden holds {width}, expected widths from 1 to {LARGEST_WIDTH}");
        }
        ensure!(layers.len() <= MOST_LAYERS, "model.layers has {} layers, expected at most {MOST_LAYERS}", layers.len());
        for layer in layers {
            match layer {
                Layer::Convolution(width) | Layer::FullyConnected(width) | Layer::GroupNorm(width) | Layer::ResidualBlock(width) => {
                    let is_good = (1..=LARGEST_WIDTH).contains(width);
                    ensure!(is_good, "model.layers holds {layer:?}, expected widths from 1 to {LARGEST_WIDTH}");
                }
                Layer::Dropout(probability) => {
                    let is_good = (0.0..1.0).contains(probability);
                    ensure!(is_good, "model.layers holds {layer:?}, expected probabilities from 0, below 1");
                }
                Layer::MaxPool | Layer::BatchNorm | Layer::GlobalAveragePool => {}
            }
        }
        Ok(())
    }
}

/// The most layers of a network: each place has a random stream of its own (see [`crate::seed::Purpose::Dropout`]).
const MOST_LAYERS: usize = 256;

/// The most channels of a convolution and outputs of a fully connected layer.
const LARGEST_WIDTH: i64 = 16_384;

/// Epochs, minibatch sizes and the like end here: far above any use, and far below where arithmetic on them overflows.
pub const LARGEST_COUNT: i64 = 1_000_000;

fn count(key: &str, value: i64) -> Result<()> {
    ensure!((1..=LARGEST_COUNT).contains(&value), "{key} is {value}, expected a number from 1 to {LARGEST_COUNT}");
    Ok(())
}
