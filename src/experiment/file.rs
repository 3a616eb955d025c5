//! A file of `experiments/`: one experiment and its variants, of which each lists only what differs. Either may extend parts of other files
//! (see [`super::read_extended`]), and set a value in many places at once: `set."model.layers.*.dropout" = 0.5`.

use super::extends::parse_extended;
use super::line::{in_file, nearest, one_line, place};
use super::set::overlay_and_set;
use super::{Experiment, Search};
use anyhow::{Context, Result, bail, ensure};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One resolved experiment and the seeds to train it with: a curve of a figure, for example.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    pub name: String,
    pub experiment: Experiment,
    /// The random search over its hyperparameters, if it is trained by one.
    pub search: Option<Search>,
    pub seeds: Range<u64>,
    /// Time between checkpoints.
    pub checkpoint_after: Duration,
    /// Most trials trained in parallel on the CPU; `None`: as many as there are cores.
    pub at_a_time: Option<u64>,
}

/// A checked file of `experiments/`, its variants not yet resolved.
#[derive(Debug)]
pub struct ExperimentFile {
    path: PathBuf,
    text: String,
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
        let mut base = parse_extended(text, path)?;
        let variants = match base.remove("variants") {
            Some(toml::Value::Table(variants)) => variants,
            Some(other) => bail!("in {}: `variants` is a {}, expected tables [variants.NAME]", path.display(), other.type_str()),
            None => toml::Table::new(),
        };
        let run = match base.remove("run") {
            Some(list) => list.try_into::<Vec<String>>().map_err(one_line).with_context(|| format!("in {}, key `run`", path.display()))?,
            None => bail!("in {}: `run` is missing, expected the list of variants to run", path.display()),
        };
        let file = ExperimentFile { path: path.to_owned(), text: text.to_owned(), base, variants, run };
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

    /// The experiment of variant `name`.
    ///
    /// # Errors
    /// If there is no such variant; never for one whose file has been read.
    pub fn variant(&self, name: &str) -> Result<Experiment> {
        Ok(self.resolve(name, &toml::Table::new())?.experiment)
    }

    #[cfg(test)]
    pub(crate) fn seeds(&self, name: &str) -> Result<u64> {
        Ok(self.resolve(name, &toml::Table::new())?.seeds.end - 1)
    }

    /// Resolves variant `name`, with `set` (path -> value) applied last. Seeds are 1, 2, ..., as many as the key `seeds` says (default 3).
    ///
    /// # Errors
    /// As [`ExperimentFile::variant`]; if there is no such place, or a value is wrong there.
    pub fn resolve(&self, name: &str, set: &toml::Table) -> Result<Variant> {
        let Some(changes) = self.variants.get(name) else {
            let known = self.variants.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let meant = nearest(name, self.variants.keys().map(String::as_str)).unwrap_or_default();
            bail!("unknown variant `{name}` of {}; known are: {known}{meant}", self.path.display());
        };
        self.resolve_changes(name, changes, set)
            .map_err(|error| match place(&self.path, &self.text, name, &format!("{error:#}")) {
                // What is set beside the file stands in none of its lines.
                Some(place) if set.is_empty() => error.context(place),
                _ => error,
            })
            .with_context(|| format!("{}, variant `{name}`", in_file(&self.path)))
    }

    fn resolve_changes(&self, name: &str, changes: &toml::Value, set: &toml::Table) -> Result<Variant> {
        let toml::Value::Table(changes) = changes else { bail!("found a {}, expected a table", changes.type_str()) };
        let mut table = toml::Table::new();
        let set = toml::Table::from_iter([("set".to_owned(), toml::Value::Table(set.clone()))]);
        [&self.base, changes, &set].into_iter().try_for_each(|layer| overlay_and_set(&mut table, layer))?;
        // How many trials, how many at a time, and how often they are saved is no part of an experiment.
        let mut number = |key: &str, default: u64, range: RangeInclusive<u64>| -> Result<u64> {
            let Some(found) = table.remove(key) else { return Ok(default) };
            let number = found.try_into::<u64>().map_err(one_line).with_context(|| format!("key `{key}`"))?;
            let (least, most) = (range.start(), range.end());
            ensure!(range.contains(&number), "{key} is {number}, expected a number from {least} to {most}");
            Ok(number)
        };
        let seeds = number("seeds", 3, 1..=u64::from(MOST_SEEDS))?;
        let checkpoint_seconds = number("checkpoint_seconds", 60, 0..=86_400)?;
        let trials_at_a_time = number("trials_at_a_time", 0, 0..=1_000)?;
        let search = table.remove("search").map(|search| search.try_into::<Search>().map_err(one_line));
        let search = search.transpose().context("[search]")?;
        let experiment: Experiment = table.try_into().map_err(one_line)?;
        experiment.check()?;
        search.as_ref().map_or(Ok(()), |search| search.check(&experiment))?;
        Ok(Variant {
            name: name.to_owned(),
            experiment,
            search,
            seeds: 1..1 + seeds,
            checkpoint_after: Duration::from_secs(checkpoint_seconds),
            at_a_time: Some(trials_at_a_time).filter(|count| *count > 0),
        })
    }
}

/// The most seeds that one command trains with.
pub const MOST_SEEDS: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::super::*;
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
            ("\"pool\"", "unknown variant `pool`, expected one of `convolution`, `max_pool`, `fully_connected`, `dropout`, `batch_norm`"),
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
            ("learning_rate = 0.1", "learning_rat = 0.1", "in `training`; did you mean `learning_rate`?"),
            ("hidden = [5]", "hidden = []", "model.hidden is [] and model.layers has 0 layers, expected one of them"),
            ("hidden = [5]", "hidden = [5]\nlayers = [\"max_pool\"]", "and model.layers has 1 layers, expected one of them"),
            ("[split]", "seeds = 0\n[split]", "seeds is 0, expected a number from 1 to 1000"),
            ("[split]", "seeds = \"many\"\n[split]", "key `seeds`"),
            ("[split]", "checkpoint_seconds = -1\n[split]", "key `checkpoint_seconds`"),
            ("[split]", "trials_at_a_time = 1001\n[split]", "trials_at_a_time is 1001, expected a number from 0 to 1000"),
            ("[split]", "checkpoint_seconds = 100000\n[split]", "checkpoint_seconds is 100000, expected a number from 0 to 86400"),
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
            (
                "learning_rate = 0.1",
                "learning_rate = 0.1\nlabel_smoothing = 1",
                "training.label_smoothing is 1, expected a number from 0, below 1",
            ),
            ("learning_rate = 0.1", "learning_rate = 0.1\nema_decay = -0.1", "training.ema_decay is -0.1, expected"),
            ("learning_rate = 0.1", "learning_rate = 0.1\nevaluate_every = 0", "training.evaluate_every is 0, expected a number from 1"),
            (
                "learning_rate = 0.1",
                "learning_rate = 0.1\nevaluate_every = 2\nkeep = \"best\"",
                "training.evaluate_every is 2, expected 1 where",
            ),
            (
                "order = \"shuffled\"",
                "order = \"shuffled\"\nschedule = { warm_up = 1, decay = \"cosine\" }",
                "training.schedule.warm_up is 1, expected a share of all steps from 0, below 1",
            ),
            (
                "order = \"shuffled\"",
                "order = \"shuffled\"\nschedule = { warm_up = 0, decay = \"linear\" }\nreduce_on_plateau = { factor = 0.5, patience = 1, threshold = 0 }",
                "training.schedule and training.reduce_on_plateau both set the learning rate",
            ),
            ("order = \"shuffled\"", "order = \"shuffled\"\nschedule = { warm_up = 0, decay = \"steps\" }", "`steps`"),
            ("hidden = [5]", "hidden = [5]\ntest_time_augmentation = \"many\"", "`many`"),
            ("initialization = \"glorot\"", "initialization = \"xavier\"", "`xavier`"),
            ("order = \"shuffled\"", "", "missing field `order`"),
            ("run = [\"wide\"]", "run = [\"narrow\"]", "unknown variant `narrow` of x.toml; known are: plain, wide"),
            ("run = [\"wide\"]", "run = [\"wise\"]", "known are: plain, wide; did you mean `wide`?"),
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
        let good = "[augmentation]\nstretch = 0.1\nshear = 15\nshift = 0.1\nelastic = { grid = 5, strength = 0.03 }\nrotation = 10\nflip = 0.5\ncrop_scale = [0.8, 1.0]\ncrop_ratio = [0.75, 1.25]\nbrightness = 0.2\ncontrast = 0.2\nsaturation = 0.2\nhue = 0.05\ngrayscale = 0.2\ncutout = 0.5\n[split]";
        let with = |section: &str| parse(&GOOD.replace("[split]", section));
        let experiment = with(good)?.variant("plain")?;
        assert!(experiment.augmentation.as_ref().is_some_and(|augmentation| !augmentation.validation));
        assert_eq!(toml::from_str::<Experiment>(&experiment.to_toml())?, experiment);
        let bad = [
            ("stretch = 0.1", "stretch = 1.0"),
            ("shear = 15", "shear = 90"),
            ("shift = 0.1", "shift = -0.1"),
            ("grid = 5", "elastic.grid = 1"),
            ("grid = 5", "elastic.grid = 17"),
            ("strength = 0.03", "elastic.strength = nan"),
            ("rotation = 10", "rotation = 181"),
            ("flip = 0.5", "flip = nan"),
            ("crop_scale = [0.8, 1.0]", "crop_scale = [0.8, 1.1]"),
            ("crop_scale = [0.8, 1.0]", "crop_scale = [0.0, 1.0]"),
            ("crop_ratio = [0.75, 1.25]", "crop_ratio = [1.25, 0.75]"),
            ("brightness = 0.2", "brightness = -0.1"),
            ("contrast = 0.2", "contrast = 1.1"),
            ("saturation = 0.2", "saturation = inf"),
            ("hue = 0.05", "hue = 0.6"),
            ("cutout = 0.5", "cutout = 1.5"),
            ("grayscale = 0.2", "grayscale = 2"),
        ];
        for (old, new) in bad {
            let error = format!("{:#}", with(&good.replace(old, new.trim_start_matches("elastic."))).expect_err(new));
            let key = new.split(' ').next().unwrap_or_default();
            assert!(error.contains(&format!("augmentation.{key} is ")) && error.contains("expected"), "{new}: {error}");
        }
        for (old, new) in [("grid = 5, ", ""), ("grid = 5", "grid = 5, sigma = 1"), ("shear", "sheer")] {
            assert!(with(&good.replace(old, new)).is_err(), "{new}");
        }
        Ok(())
    }

    #[test]
    fn a_key_of_the_augmentation_that_is_left_out_changes_nothing_and_is_not_written() -> Result<()> {
        let with = |keys: &str| parse(&GOOD.replace("[split]", &format!("[augmentation]\n{keys}\n[split]")))?.variant("plain");
        let experiment = with("shear = 15")?;
        assert_eq!(experiment.augmentation, Some(Augmentation { shear: 15.0, ..Augmentation::off() }));
        assert!(experiment.to_toml().contains("[augmentation]\nshear = 15.0\n\n"), "{}", experiment.to_toml());
        let off = "stretch = 0\nshear = 0\nrotation = 0\nflip = 0\ncrop_scale = [1, 1]\ncrop_ratio = [1, 1]\nshift = 0\nbrightness = 0\ncontrast = 0\nsaturation = 0\nhue = 0\ngrayscale = 0\nvalidation = false";
        let (stated, left_out) = (with(off)?, with("")?);
        assert_eq!(stated.augmentation, Some(Augmentation::off()));
        assert_eq!((&stated, stated.to_toml()), (&left_out, left_out.to_toml()));
        assert_eq!(toml::from_str::<Experiment>(&stated.to_toml())?, stated, "a section with nothing in it");
        Ok(())
    }

    proptest::proptest! {
        /// Whatever a file holds, reading it gives an experiment or a message.
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", key in "[a-z_.]{1,20}", value in "[-0-9a-z\\[\\]\".,]{0,20}") {
            let _ = parse(&text);
            let _ = parse(&format!("{GOOD}\n[variants.other]\n{key} = {value}"));
            if let Ok(setting) = format!("{key}={value}").parse::<Setting>() {
                let _ = combinations(&[setting]).into_iter().map(|(_, set)| parse(GOOD)?.resolve("plain", &set)).collect::<Vec<_>>();
            }
        }
    }
}
