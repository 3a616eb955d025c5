//! The TOML files of `experiments/` as checked types.
//!
//! A file holds one experiment and its variants; a variant lists only what differs. Unknown keys and values out of range are errors
//! that name the file, the key, what was found and what is expected, before anything is loaded or trained.

mod groups;

pub use groups::Group;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

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

/// Random changes of training images; each key 0 (or its range a single point) where it is to change nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Degrees to either side.
    pub rotation: f64,
    /// Probability of mirroring.
    pub flip: f64,
    /// Least and largest share of the area.
    pub crop_scale: [f64; 2],
    /// Least and largest ratio of width to height.
    pub crop_ratio: [f64; 2],
    /// Factors between 1 - this and 1 + this.
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    /// Share of the whole circle to either side.
    pub hue: f64,
    /// Probability of grey.
    pub grey: f64,
    /// Whether validation images are changed too, as the report's code did.
    #[serde(default, skip_serializing_if = "is_default")]
    pub validation: bool,
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
    /// How many parameters the report counts; checked where the network is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<i64>,
}

/// One layer of a network. A ReLU follows every convolution and every fully connected layer but the last.
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
    /// Where the learning rate enters the momentum.
    #[serde(default, skip_serializing_if = "is_default")]
    pub momentum_form: MomentumForm,
    pub order: Order,
    /// Which epoch's parameters are the result.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep: Keep,
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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

/// A file of `experiments/`: an experiment with its variants.
#[derive(Debug)]
pub struct ExperimentFile {
    path: PathBuf,
    base: toml::Table,
    variants: toml::Table,
    run: Vec<String>,
}

impl ExperimentFile {
    /// Reads and checks `path`: every variant must resolve to a valid experiment, also those not run by default.
    pub fn read(path: &Path) -> Result<ExperimentFile> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the experiment {}", path.display()))?;
        ExperimentFile::parse(&text, path)
    }

    /// As [`ExperimentFile::read`], from text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<ExperimentFile> {
        let in_file = || format!("in {}", path.display());
        let mut base: toml::Table = toml::from_str(text).map_err(one_line).with_context(in_file)?;
        let variants = match base.remove("variants") {
            Some(toml::Value::Table(variants)) => variants,
            Some(other) => bail!("in {}: `variants` is a {}, expected tables [variants.NAME]", path.display(), other.type_str()),
            None => toml::Table::new(),
        };
        let run = match base.remove("run") {
            Some(list) => list.try_into::<Vec<String>>().map_err(one_line).with_context(|| format!("in {}, key `run`", path.display()))?,
            None => bail!("in {}: `run` is missing, expected the list of variants to run", path.display()),
        };
        let file = ExperimentFile { path: path.to_owned(), base, variants, run };
        ensure!(!file.run.is_empty(), "in {}: `run` is empty, expected at least one variant", file.path.display());
        for name in file.run.iter().chain(file.variants.keys()) {
            file.variant(name)?;
        }
        Ok(file)
    }

    /// The names of the variants that are run when none is asked for, in order.
    pub fn default_variants(&self) -> &[String] {
        &self.run
    }

    /// The experiment with what variant `name` changes.
    pub fn variant(&self, name: &str) -> Result<Experiment> {
        Ok(self.resolve(name)?.0)
    }

    /// With how many seeds variant `name` is to be trained, where nothing else is asked for: its key `seeds`, or 3.
    pub fn seeds(&self, name: &str) -> Result<u32> {
        Ok(self.resolve(name)?.1)
    }

    fn resolve(&self, name: &str) -> Result<(Experiment, u32)> {
        let Some(changes) = self.variants.get(name) else {
            let known = self.variants.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            bail!("unknown variant `{name}` of {}; known are: {known}", self.path.display());
        };
        let in_variant = || format!("in {}, variant `{name}`", self.path.display());
        let toml::Value::Table(changes) = changes else {
            bail!("{}: found a {}, expected a table", in_variant(), changes.type_str());
        };
        let mut table = self.base.clone();
        overlay(&mut table, changes);
        // How often something is done is no part of what is done.
        let seeds = match table.remove("seeds") {
            Some(seeds) => seeds.try_into::<u32>().map_err(one_line).with_context(|| format!("{}, key `seeds`", in_variant()))?,
            None => DEFAULT_SEEDS,
        };
        ensure!((1..=MOST_SEEDS).contains(&seeds), "{}: seeds is {seeds}, expected a number from 1 to {MOST_SEEDS}", in_variant());
        let experiment: Experiment = table.try_into().map_err(one_line).with_context(in_variant)?;
        experiment.check().with_context(in_variant)?;
        Ok((experiment, seeds))
    }
}

/// Enough for a spread, and quick.
const DEFAULT_SEEDS: u32 = 3;

/// The most seeds that one command trains with.
pub const MOST_SEEDS: u32 = 1_000;

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
            rotation: 0.0,
            flip: 0.0,
            crop_scale: [1.0, 1.0],
            crop_ratio: [1.0, 1.0],
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grey: 0.0,
            validation: false,
        }
    }

    fn check(&self) -> Result<()> {
        let Augmentation { rotation, flip, crop_scale, crop_ratio, brightness, contrast, saturation, hue, grey, validation: _ } = *self;
        let within = |key: &str, value: f64, most: f64| {
            ensure!((0.0..=most).contains(&value), "augmentation.{key} is {value}, expected a number from 0 to {most}");
            Ok(())
        };
        within("rotation", rotation, 180.0)?;
        within("flip", flip, 1.0)?;
        within("brightness", brightness, 1.0)?;
        within("contrast", contrast, 1.0)?;
        within("saturation", saturation, 1.0)?;
        within("hue", hue, 0.5)?;
        within("grey", grey, 1.0)?;
        let [least, most] = crop_scale;
        let is_good = 0.0 < least && least <= most && most <= 1.0;
        ensure!(is_good, "augmentation.crop_scale is {crop_scale:?}, expected the least and the largest share, above 0 and up to 1");
        let [least, most] = crop_ratio;
        let is_good = 0.0 < least && least <= most && most.is_finite();
        ensure!(is_good, "augmentation.crop_ratio is {crop_ratio:?}, expected the least and the largest ratio, above 0");
        Ok(())
    }
}

impl Training {
    fn check(&self) -> Result<()> {
        let Training { learning_rate: rate, momentum, weight_decay: decay, reduce_on_plateau, early_stopping, .. } = self;
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
                Layer::Convolution(width) | Layer::FullyConnected(width) => {
                    let is_good = (1..=LARGEST_WIDTH).contains(width);
                    ensure!(is_good, "model.layers holds {layer:?}, expected widths from 1 to {LARGEST_WIDTH}");
                }
                Layer::Dropout(probability) => {
                    let is_good = (0.0..1.0).contains(probability);
                    ensure!(is_good, "model.layers holds {layer:?}, expected probabilities from 0, below 1");
                }
                Layer::MaxPool => {}
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

/// Writes what `changes` holds over `base`, table by table.
fn overlay(base: &mut toml::Table, changes: &toml::Table) {
    for (key, value) in changes {
        match (base.get_mut(key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(changes)) => overlay(base, changes),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// toml's messages quote the source over several lines; an error here is one chain.
fn one_line(error: toml::de::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.to_string().trim().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        run = ["wide"]
        [split]
        validation = "last"
        validation_examples = 100
        [model]
        hidden = [5]
        initialization = "glorot"
        [training]
        epochs = 2
        minibatch = 10
        learning_rate = 0.1
        order = "shuffled"
        [variants.plain]
        [variants.wide]
        seeds = 5
        model.hidden = [50, 60]
    "#;

    fn parse(text: &str) -> Result<ExperimentFile> {
        ExperimentFile::parse(text, Path::new("x.toml"))
    }

    #[test]
    fn a_variant_lists_only_what_differs() -> Result<()> {
        let file = parse(GOOD)?;
        assert_eq!(file.default_variants(), ["wide"]);
        let (plain, mut wide) = (file.variant("plain")?, file.variant("wide")?);
        assert_eq!((&plain.model.hidden[..], &wide.model.hidden[..]), (&[5_i64][..], &[50, 60][..]));
        assert_eq!((file.seeds("plain")?, file.seeds("wide")?), (3, 5));
        wide.model.hidden = vec![5];
        assert_eq!(plain, wide);
        let again: Experiment = toml::from_str(&plain.to_toml())?;
        assert_eq!(again, plain, "the resolved TOML reads back");
        Ok(())
    }

    #[test]
    fn a_list_of_layers_is_read_and_written_as_it_stands() -> Result<()> {
        let layers = "layers = [{ convolution = 18 }, \"max_pool\", { fully_connected = 7 }, { dropout = 0.4 }, { fully_connected = 3 }]";
        let with = |layers: &str| parse(&GOOD.replace("hidden = [5]", layers).replace("model.hidden = [50, 60]", ""));
        let experiment = with(layers)?.variant("plain")?;
        let expected = [Layer::Convolution(18), Layer::MaxPool, Layer::FullyConnected(7), Layer::Dropout(0.4), Layer::FullyConnected(3)];
        assert_eq!(experiment.model.layers, expected);
        assert_eq!(toml::from_str::<Experiment>(&experiment.to_toml())?, experiment);
        let bad = [
            ("{ convolution = 0 }", "model.layers holds Convolution(0), expected widths from 1 to 16384"),
            ("{ fully_connected = 20000 }", "model.layers holds FullyConnected(20000), expected widths from 1 to 16384"),
            ("{ dropout = 1.0 }", "model.layers holds Dropout(1.0), expected probabilities from 0, below 1"),
            ("\"pool\"", "unknown variant `pool`, expected one of `convolution`, `max_pool`, `fully_connected`, `dropout`"),
        ];
        let error = format!("{:#}", with(&format!("layers = [{}]", "{ dropout = 0.5 }, ".repeat(257))).expect_err("too many"));
        assert!(error.contains("model.layers has 257 layers, expected at most 256"), "{error}");
        for (layer, expected) in bad {
            let error = format!("{:#}", with(&format!("layers = [{layer}]")).expect_err(layer));
            assert!(error.contains(expected), "{error}");
        }
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named_with_file_key_found_and_expected() {
        let cases = [
            ("epochs = 2", "epochs = 0", "training.epochs is 0, expected a number from 1 to 1000000"),
            ("epochs = 2", "epochs = \"two\"", "epochs"),
            ("minibatch = 10", "minibatch = -1", "training.minibatch is -1, expected a number from 1"),
            ("minibatch = 10", "minibatch = 9223372036854775807", "training.minibatch is 9223372036854775807"),
            ("learning_rate = 0.1", "learning_rate = -0.1", "training.learning_rate is -0.1, expected a finite number above 0"),
            ("learning_rate = 0.1", "learning_rate = nan", "training.learning_rate is NaN"),
            ("learning_rate = 0.1", "learning_rat = 0.1", "unknown field `learning_rat`"),
            ("hidden = [5]", "hidden = []", "model.hidden is [] and model.layers has 0 layers, expected one of them"),
            ("hidden = [5]", "hidden = [5]\nlayers = [\"max_pool\"]", "and model.layers has 1 layers, expected one of them"),
            ("[split]", "seeds = 0\n[split]", "seeds is 0, expected a number from 1 to 1000"),
            ("[split]", "seeds = \"many\"\n[split]", "key `seeds`"),
            ("learning_rate = 0.1", "learning_rate = 0.1\nmomentum = 1.0", "training.momentum is 1, expected a number from 0, below 1"),
            ("learning_rate = 0.1", "learning_rate = 0.1\nmomentum = nan", "training.momentum is NaN"),
            ("learning_rate = 0.1", "learning_rate = 0.1\nweight_decay = -1.0", "training.weight_decay is -1"),
            ("hidden = [5]", "hidden = [0]", "model.hidden holds 0, expected widths from 1 to 16384"),
            ("validation = \"last\"", "validation = \"first\"", "unknown variant `first`, expected `last` or `random`"),
            ("validation_examples = 100", "validation_examples = 0", "split.validation_examples is 0"),
            ("validation_examples = 100", "", "split.validation_examples is missing and split.validation_share is missing"),
            ("validation_examples = 100", "validation_examples = 100\nvalidation_share = 0.5", "expected one of the two"),
            ("validation_examples = 100", "validation_share = 1.0", "split.validation_share is 1, expected a number between 0 and 1"),
            ("[split]", "normalization = { mean = [0, 0, nan], deviation = [1, 1, 1] }\n[split]", "normalization.mean is [0.0, 0.0, NaN]"),
            (
                "[split]",
                "normalization = { mean = [0, 0, 0], deviation = [1, 1, 0] }\n[split]",
                "normalization.deviation is [1.0, 1.0, 0.0]",
            ),
            ("order = \"shuffled\"", "order = \"shuffled\"\nearly_stopping = { patience = 0 }", "training.early_stopping.patience is 0"),
            (
                "order = \"shuffled\"",
                "order = \"shuffled\"\nreduce_on_plateau = { factor = 1, patience = 1, threshold = 0 }",
                "training.reduce_on_plateau.factor is 1, expected a number between 0 and 1",
            ),
            ("initialization = \"glorot\"", "initialization = \"xavier\"", "`xavier`"),
            ("order = \"shuffled\"", "", "missing field `order`"),
            ("run = [\"wide\"]", "run = [\"narrow\"]", "unknown variant `narrow` of x.toml; known are: plain, wide"),
            ("run = [\"wide\"]", "", "`run` is missing"),
            ("run = [\"wide\"]", "run = []", "`run` is empty"),
            ("[variants.plain]", "[variants]\nplain = 1", "expected a table"),
            ("model.hidden = [50, 60]", "model.depth = 2", "unknown field `depth`"),
            ("[split]", "[split", "x.toml"),
            ("[training]", "[gradient_check]", "unknown field `epochs`"),
            ("hidden = [5]", "hidden = [5]\nprecision = \"f16\"", "`f16`"),
        ];
        for (good, bad, expected) in cases {
            assert!(GOOD.contains(good));
            let error = format!("{:#}", parse(&GOOD.replacen(good, bad, 1)).expect_err(bad));
            assert!(error.contains(expected) && error.contains("x.toml") && !error.contains('\n'), "{bad}: {error}");
        }
    }

    #[test]
    fn each_range_of_the_augmentation_is_checked() -> Result<()> {
        let good = "[augmentation]\nrotation = 10\nflip = 0.5\ncrop_scale = [0.8, 1.0]\ncrop_ratio = [0.75, 1.25]\nbrightness = 0.2\ncontrast = 0.2\nsaturation = 0.2\nhue = 0.05\ngrey = 0.2\n[split]";
        let with = |section: &str| parse(&GOOD.replace("[split]", section));
        let experiment = with(good)?.variant("plain")?;
        assert!(experiment.augmentation.as_ref().is_some_and(|augmentation| !augmentation.validation));
        assert_eq!(toml::from_str::<Experiment>(&experiment.to_toml())?, experiment);
        let bad = [
            ("rotation = 10", "rotation = 181"),
            ("flip = 0.5", "flip = nan"),
            ("crop_scale = [0.8, 1.0]", "crop_scale = [0.8, 1.1]"),
            ("crop_scale = [0.8, 1.0]", "crop_scale = [0.0, 1.0]"),
            ("crop_ratio = [0.75, 1.25]", "crop_ratio = [1.25, 0.75]"),
            ("brightness = 0.2", "brightness = -0.1"),
            ("contrast = 0.2", "contrast = 1.1"),
            ("saturation = 0.2", "saturation = inf"),
            ("hue = 0.05", "hue = 0.6"),
            ("grey = 0.2", "grey = 2"),
        ];
        for (old, new) in bad {
            let error = format!("{:#}", with(&good.replace(old, new)).expect_err(new));
            let key = new.split(' ').next().unwrap_or_default();
            assert!(error.contains(&format!("augmentation.{key} is ")) && error.contains("expected"), "{new}: {error}");
        }
        Ok(())
    }

    proptest::proptest! {
        /// Whatever a file holds, reading it gives an experiment or a message.
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", key in "[a-z_.]{1,20}", value in "[-0-9a-z\\[\\]\".,]{0,20}") {
            let _ = parse(&text);
            let _ = parse(&format!("{GOOD}\n[variants.other]\n{key} = {value}"));
        }
    }
}
