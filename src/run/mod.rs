//! One run of an example: its flags, its inputs, its trials and its outputs.

mod crash;
mod ending;
mod everything;
mod flags;
mod interrupt;
mod precision;
mod predict;
mod progress;
mod provenance;
mod scalars;
mod search;
mod shard;
mod store;
mod submission;
mod tables;
mod trainer;
mod trials;
mod weights;

pub use anyhow::Result;
pub use crash::explain_panics;
pub use ending::finish;
pub use everything::report_card;
pub use search::Searched;
pub use std::process::ExitCode;
pub use store::Outcome;
pub use trainer::Build;
pub use trials::Trained;

use crate::data::cats_dogs::{self, CatsDogs, Corrupt};
use crate::data::mnist;
use crate::data::{DataSet, Location};
use crate::device;
use crate::experiment::{ExperimentFile, Variant, combinations, overlap};
use crate::files::{ensure_writable, to_csv, write_whole};
use crate::limits;
use crate::plot::{self, Figure};
use crate::points::{self, Point, is_report_data};
use crate::reported::Reported;
use crate::say;
use crate::table;
use crate::tensorboard::EventFile;
use anyhow::{Context, anyhow, bail, ensure};
use comfy_table::Table;
use flags::{Changes, Flags};
use image::RgbImage;
use provenance::Provenance;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tch::Device;
use trainer::OwnNetwork;

/// One run of an example.
pub struct Run {
    name: &'static str,
    flags: Flags,
    root: PathBuf,
    /// Device to train and evaluate on.
    pub device: Device,
    /// Variants to run, with the flags applied.
    pub variants: Vec<Variant>,
    /// Whether this is the unmodified experiment on the report's data, as far as data were read: its results may go to `plots/`.
    is_reproduction: AtomicBool,
}

impl Run {
    /// Reads the flags and finds the project, the device and the output folder.
    ///
    /// # Errors
    /// If the flags do not parse, a variant is unknown, the device cannot be used or a folder of outputs not written: before any work.
    pub fn start(name: &'static str) -> Result<Run> {
        explain_panics();
        let flags = Flags::read(name, std::env::args_os())?;
        let root = project_root()?;
        limits::check()?;
        let device = if flags.redraw { Device::Cpu } else { device::select(flags.device())? };
        if flags.deterministic {
            device::be_deterministic()?;
        }
        let (mut variants, mut is_unchanged) = (Vec::new(), flags.changes == Changes::default());
        if flags::has_experiment(name) {
            let has_bf16 = precision::has_bf16(device);
            let file = ExperimentFile::read(&root.join(format!("experiments/{name}.toml")))?;
            variants = self::variants(&file, &flags.changes, has_bf16)?;
            is_unchanged = variants == self::variants(&file, &Changes::default(), has_bf16)?;
            if !flags.redraw && !flags.merge {
                precision::check(&variants, device)?;
            }
            if !flags.redraw {
                precision::report(flags.changes.precision, &variants, device, has_bf16);
            }
        }
        if let Some(folder) = &flags.tensorboard {
            ensure_writable(&folder.join(name))?;
        }
        device::keep_memory();
        device::set_threads();
        let is_reproduction = is_unchanged && flags.predict.is_none() && flags.data() != Location::Embedded;
        let run = Run { name, flags, root, device, variants, is_reproduction: AtomicBool::new(is_reproduction) };
        ensure_writable(&run.out())?;
        Ok(run)
    }

    /// MNIST, or what `--data` says.
    pub fn mnist(&self) -> Result<DataSet> {
        let digits = mnist::load(&self.flags.data(), &self.root)?;
        self.note(&digits);
        Ok(digits)
    }

    /// Photographs of cats and dogs, or what `--data` says.
    pub fn cats_dogs(&self) -> Result<CatsDogs> {
        let corrupt = if self.flags.skip_corrupt { Corrupt::LeaveOut } else { Corrupt::Refuse };
        let photographs = cats_dogs::load(&self.flags.data(), corrupt, &self.root)?;
        self.note(&photographs.data);
        Ok(photographs)
    }

    /// Trains every variant with every seed, as `experiments/<name>.toml` and the flags say; finished trials of an earlier run with
    /// the same settings, data and code are kept.
    ///
    /// # Errors
    /// If training fails, if a signal stops it, or if only a share of the trials was to be trained, or only weights to be exported: the
    /// exit code of [`finish`] tells which.
    pub fn train(&self, data: &DataSet) -> Result<Trained> {
        self.train_network(data, None)
    }

    /// As [`Run::train`], with a network of your own in place of the TOML's `[model]`: `build` makes it for an experiment, images
    /// `[channels, height, width]`, a number of classes, a seed for its initialization, and a device. `name` identifies the network in the
    /// trials' ids, since `build` cannot be hashed: change it whenever the network changes, or finished trials of the earlier one are kept.
    ///
    /// # Errors
    /// As [`Run::train`]; if `build` fails, or `name` is empty.
    pub fn train_with(&self, data: &DataSet, name: &str, build: &Build) -> Result<Trained> {
        ensure!(!name.is_empty(), "a network of your own needs a name, which tells its trials from others");
        self.train_network(data, Some((name, build)))
    }

    fn train_network(&self, data: &DataSet, network: OwnNetwork) -> Result<Trained> {
        self.note(data);
        if self.flags.export_weights {
            bail!(weights::export(self, data)?);
        }
        let next = "When all shares are trained, the same command with --merge puts them together.";
        let trained = trials::train(self, &self.variants, network, data, next)?;
        if let Some(shard) = self.flags.shard {
            bail!(shard.done(trained.outcomes.len(), next));
        }
        tables::write(self, &trained.outcomes)?;
        say!("After the last epoch:\n{}", tables::numbers(&trained));
        Ok(trained)
    }

    /// The report's numbers and published curves.
    pub fn report(&self) -> Result<Reported> {
        Reported::read(&self.root.join("experiments"))
    }

    /// The points of the figure: those that `train` makes or, with `--redraw`, those of its CSV, `<out>/<name>.csv`.
    pub fn points(&self, train: impl FnOnce() -> Result<Vec<Point>>) -> Result<Vec<Point>> {
        if self.flags.redraw { points::read_csv(&self.output(".csv")) } else { train() }
    }

    /// Rows of the figure's CSV, header first, for figures not drawn from points: from `make` or, with `--redraw`, from `<out>/<name>.csv`.
    ///
    /// # Errors
    /// If `make` fails, or the file cannot be read or has no lines.
    pub fn rows(&self, make: impl FnOnce() -> Result<Vec<Vec<String>>>) -> Result<Vec<Vec<String>>> {
        if !self.flags.redraw {
            return make();
        }
        let path = self.output(".csv");
        let lines = csv::ReaderBuilder::new().has_headers(false).from_path(&path).map(csv::Reader::into_deserialize);
        let rows: Vec<Vec<String>> = lines.and_then(Iterator::collect).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(!rows.is_empty(), "{} is empty, expected headings; run without --redraw to make it", path.display());
        Ok(rows)
    }

    /// Writes `<out>/<name>.csv`, the points, and `<out>/<name>.png`, the figure that draws them.
    pub fn write(&self, figure: &Figure, points: &[Point]) -> Result<()> {
        let csv = if self.flags.redraw { None } else { Some(to_csv(points)?) };
        self.write_files(&figure.title, &plot::draw(figure, points)?, csv)
    }

    /// Writes `<out>/<name>.csv`, a line for each of `rows`, and `<out>/<name>.png`.
    pub fn write_picture(&self, title: &str, picture: &RgbImage, rows: &[impl Serialize]) -> Result<()> {
        self.write_files(title, picture, Some(to_csv(rows)?))
    }

    fn write_files(&self, title: &str, picture: &RgbImage, csv: Option<Vec<u8>>) -> Result<()> {
        let png = plot::to_png(picture, &provenance::text_chunks(self, title)?)?;
        csv.map_or(Ok(()), |csv| self.write_output(".csv", &csv))?;
        self.write_output(".png", &png)?;
        self.show_picture(self.name, picture, &png)
    }

    /// Writes `<out>/<name><ending>` and says so.
    fn write_output(&self, ending: &str, contents: &[u8]) -> Result<()> {
        let path = self.output(ending);
        write_whole(&path, contents)?;
        tell!("wrote {}", path.display());
        Ok(())
    }

    /// Writes `picture`, encoded as `png`, as a TensorBoard image if `--tensorboard` is given.
    fn show_picture(&self, tag: &str, picture: &RgbImage, png: &[u8]) -> Result<()> {
        if let Some(folder) = &self.flags.tensorboard {
            EventFile::replace(&folder.join(self.name), tag)?.picture(0, tag, picture.dimensions(), png)?;
        }
        Ok(())
    }

    /// With `--tensorboard`, the folder for the scalars of a trial.
    fn scalars_of(&self, Provenance { variant, seed, .. }: &Provenance) -> Option<PathBuf> {
        Some(self.flags.tensorboard.as_ref()?.join(self.name).join(format!("{variant}-seed{seed}")))
    }

    /// Prints titled tables and writes them to `<out>/<name>.md`.
    pub fn write_tables(&self, tables: &[(&str, Table)]) -> Result<()> {
        tables.iter().for_each(|(title, table)| say!("\n{title}\n{table}"));
        let sections = tables.iter().map(|(title, table)| format!("### {title}\n\n{}", table::markdown(table)));
        self.write_output(".md", sections.collect::<Vec<_>>().join("\n").as_bytes())
    }

    /// `experiments/<name>.toml`.
    pub fn experiment_path(&self) -> PathBuf {
        self.root.join(format!("experiments/{}.toml", self.name))
    }

    /// Clears `is_reproduction` unless `data` is the report's.
    fn note(&self, data: &DataSet) {
        self.is_reproduction.fetch_and(is_report_data(&data.source.name), Ordering::Relaxed);
    }

    /// The name of `data` in tables and pictures, with the limit on training examples and what `--set` changed; only results under the bare
    /// name are compared with the report.
    pub fn name_of(&self, data: &DataSet) -> String {
        let limit = self.variants.iter().filter_map(|variant| variant.experiment.split.as_ref()?.limit).min();
        let limit = limit.map(|limit| format!("first {limit} training examples"));
        let set = if self.is_reproduction() { &[] } else { &self.flags.changes.set[..] };
        let changes = limit.into_iter().chain(set.iter().map(ToString::to_string));
        [data.source.name.clone()].into_iter().chain(changes).collect::<Vec<_>>().join(", ")
    }

    /// The folder of `--out`; else `plots`, or `plots/local` for modified experiments and other data. `--quick` has a folder of its own.
    pub fn out(&self) -> PathBuf {
        match &self.flags.out {
            _ if self.flags.quick => self.flags.runs.join("quick/plots"),
            Some(folder) => folder.clone(),
            None if self.is_reproduction() => "plots".into(),
            None => "plots/local".into(),
        }
    }

    fn is_reproduction(&self) -> bool {
        self.is_reproduction.load(Ordering::Relaxed)
    }

    fn output(&self, ending: &str) -> PathBuf {
        self.out().join(format!("{}{ending}", self.name))
    }
}

/// The file's variants with what the flags change, for a device that has instructions for bf16 or not.
fn variants(file: &ExperimentFile, changes: &Changes, has_bf16: bool) -> Result<Vec<Variant>> {
    let names = if changes.variant.is_empty() { file.default_variants() } else { &changes.variant };
    for (place, setting) in changes.set.iter().enumerate() {
        let key = &setting.key;
        let is_twice = changes.set[..place].iter().any(|other| other.key == *key);
        ensure!(!is_twice, "--set {setting}: {key} is set twice; several values are given as {key}=VALUE,VALUE");
    }
    let mut variants: Vec<Variant> = Vec::new();
    for (name, (suffix, set)) in names.iter().flat_map(|name| combinations(&changes.set).into_iter().map(move |set| (name, set))) {
        let changed = || changes.set.iter().map(|setting| format!("--set {setting}: ")).collect::<String>();
        let variant = file.resolve(name, &set).map_err(|error| anyhow!("{}{error:#}", changed()))?;
        if let Some(search) = &variant.search
            && let Some(setting) =
                changes.set.iter().find(|set| set.key == "training.epochs" || search.space.keys().any(|key| overlap(key, &set.key)))
        {
            bail!("--set {setting}: the search decides this itself; set a key of `search`, search.coarse.epochs for example");
        }
        let variant = changes.apply(Variant { name: format!("{name}{suffix}"), ..variant }, has_bf16)?;
        match variants.iter().find(|other| other.name == variant.name) {
            None => variants.push(variant),
            Some(other) => ensure!(*other == variant, "{}two different variants would be called {}", changed(), variant.name),
        }
    }
    Ok(variants)
}

/// `main` of every example: runs `example`, or what `--predict` or `--print-experiment` asks for instead; prints the error, if any, and
/// returns the exit code (see [`finish`]).
pub fn main(run: Result<Run>, example: impl FnOnce(&Run) -> Result<()>) -> ExitCode {
    let do_it = |run: Run| {
        if run.flags.print_experiment {
            for Variant { name, experiment, seeds, .. } in &run.variants {
                say!("# {name}, seeds {} to {}\n{}", seeds.start, seeds.end - 1, experiment.to_toml());
            }
            return say::ensure_written();
        }
        match &run.flags.predict {
            Some(path) => predict::write_predictions(&run, path)?,
            None => example(&run)?,
        }
        say::ensure_written()?;
        if run.flags.out.is_none() && !run.flags.quick && run.flags.predict.is_none() && !run.is_reproduction() {
            let (folder, name) = (run.out(), run.name);
            tell!(
                "everything is in {}, apart from the committed results: this was not experiments/{name}.toml as it stands, on the report's data \
                 (--out DIR writes elsewhere)",
                folder.display()
            );
        }
        Ok(())
    };
    finish(run.and_then(do_it))
}

/// The folder with this project's `experiments/`: the current one, so that binaries can be carried elsewhere, or the one the crate was built
/// in. Other projects have a folder of that name too, but not the report's numbers in it.
pub fn project_root() -> Result<PathBuf> {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = std::env::current_dir()?;
    let found = [here.as_path(), built_in].into_iter().find(|folder| folder.join("experiments/reported.toml").is_file());
    let missing = || anyhow!("no experiments/reported.toml in {} or {}; run from the project's folder", here.display(), built_in.display());
    Ok(found.ok_or_else(missing)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;
    use crate::data::{Source, embedded};
    use crate::experiment::{Experiment, Initialization};
    use crate::model::{Mlp, Model};
    use crate::seed::{Purpose, draw};
    use tch::Kind;

    #[test]
    fn a_network_of_ones_own_is_trained_as_another_trial_and_kept() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let text = "run = ['a']\nseeds = 2\nsplit = { validation = 'last', validation_examples = 100 }\n\
                    model = { hidden = [8], initialization = 'glorot' }\n\
                    training = { epochs = 2, minibatch = 50, learning_rate = 0.1, order = 'shuffled' }\nvariants.a = {}";
        let variants = variants(&ExperimentFile::parse(text, Path::new("own.toml"))?, &Changes::default(), false)?;
        let folder = |name: &str| scratch.path().join(name).into_os_string();
        let flags = Flags::read("own", ["own".into(), "--quiet".into(), "--out".into(), folder("out"), "--runs".into(), folder("runs")])?;
        let (root, is_reproduction) = (scratch.path().into(), AtomicBool::new(true));
        let run = Run { name: "own", flags, root, device: Device::Cpu, variants, is_reproduction };
        let source = Source { name: "digits".into(), checksum: "1".into() };
        let digits = DataSet { train: embedded::digits(300, 0, 0).0, validation: None, test: None, classes: &mnist::CLASSES, source };
        let own = |_: &Experiment, [channels, height, width]: [i64; 3], classes, seed, device| -> Result<Box<dyn Model>> {
            let pixels = channels * height * width;
            let mlp = || Mlp::new(pixels, &[5, 4], classes, Initialization::Glorot, Kind::Float, device);
            Ok(Box::new(draw(seed, Purpose::Initialization, 0, mlp)))
        };
        let folders = |trained: &Trained| trained.outcomes.iter().map(|outcome| outcome.folder.clone()).collect::<Vec<_>>();
        let (plain, first) = (run.train(&digits)?, run.train_with(&digits, "two layers", &own)?);
        let parameters = tch::Tensor::read_safetensors(first.outcomes[0].folder.join("parameters.safetensors"))?;
        assert!(parameters.iter().any(|(name, tensor)| name == "fc1.weight" && tensor.size() == [5, 784]), "{parameters:?}");
        let refused = first.outcomes[0].network([1, 28, 28], 10, Device::Cpu).err().expect("not the TOML's").to_string();
        assert!(refused.contains("`two layers`") && refused.contains("parameters.safetensors"), "{refused}");

        // Finished trials are kept: nothing is built.
        let never: &Build = &|_, _, _, _, _| bail!("built");
        assert_eq!(folders(&run.train_with(&digits, "two layers", never)?), folders(&first));
        assert_eq!(format!("{:#}", run.train_with(&digits, "another", never).expect_err("built")), "built");
        assert!(run.train_with(&digits, "", never).expect_err("no name").to_string().contains("needs a name"));
        assert!(folders(&plain).iter().all(|folder| !folders(&first).contains(folder)));
        Ok(())
    }

    #[test]
    fn every_experiment_has_a_small_form() -> Result<()> {
        let small = Changes { small: true, ..Changes::default() };
        for name in
            ["table2_sweep", "fig10_11_cnn_capacity", "kaggle_vgg", "kaggle_search", "fig15_vgg_sweep", "ablation_vgg", "kaggle_ahead"]
        {
            let file = ExperimentFile::read(&project_root()?.join(format!("experiments/{name}.toml")))?;
            for Variant { experiment, search, seeds, .. } in variants(&file, &small, false)? {
                experiment.check()?;
                assert!(experiment.training()?.epochs <= 2 && experiment.split()?.limit == Some(300), "{name}");
                assert!(seeds.count() <= 2 && experiment.model.parameters.is_none(), "{name}");
                assert!(search.is_none_or(|search| search.coarse.trials == 2 && search.fine.epochs == 2), "{name}");
                if experiment.model.hidden.is_empty() {
                    let channels = if flags::reads_photographs(name) { 3 } else { 1 };
                    let architecture = Architecture::new([channels, 64, 64], &experiment.model.layers)?;
                    assert!(architecture.multiply_adds() < 10_000_000, "{name}: {}", architecture.multiply_adds());
                }
            }
        }
        Ok(())
    }
}
