//! What an example holds: its flags, its inputs, its trials and its outputs.

mod crash;
mod ending;
mod errors;
mod everything;
mod flags;
mod gradients;
mod inside;
mod interrupt;
mod photographs;
mod precision;
mod predict;
mod progress;
mod provenance;
mod samples;
mod scalars;
mod search;
mod shard;
mod store;
mod tables;
mod trainer;
mod trials;

pub use crash::explain_panics;
pub use ending::{Failure, main};
pub use errors::Errors;
pub use inside::Inside;
pub use samples::Samples;
pub use search::Searched;
pub use std::process::ExitCode;
pub use store::Outcome;
pub use trials::Trained;

use crate::architecture::{Architecture, Shape};
use crate::compare::{self, Comparison, Verdict};
use crate::data::cats_dogs::CatsDogs;
use crate::data::mnist::{self, Mnist};
use crate::data::{DataSet, Location};
use crate::device;
use crate::experiment::{Experiment, ExperimentFile, Precision, Search};
use crate::files::{ensure_writable, write_whole};
use crate::limits;
use crate::model;
use crate::plot::{self, Figure};
use crate::points::{self, Point, is_report_data};
use crate::report_card::ReportCard;
use crate::reported;
use crate::table;
use crate::tensorboard::EventFile;
use anyhow::{anyhow, bail, ensure};
use comfy_table::Table;
use everything::Folders;
use flags::Flags;
use image::RgbImage;
use serde::Serialize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tch::Device;

/// What an example's functions return.
pub type Result<T> = std::result::Result<T, Failure>;

/// One run of an example.
pub struct Run {
    name: &'static str,
    flags: Flags,
    root: PathBuf,
    device: Device,
    /// The variants to train, with what the flags change, and whether that is as the file has them.
    variants: Vec<Variant>,
    /// The random search that the file describes, if it does.
    search: Option<Search>,
    /// Whether this is the experiment as its file has it, on the report's data as far as data were read: a result that may be committed.
    is_reproduction: AtomicBool,
}

struct Variant {
    name: String,
    experiment: Experiment,
    is_as_in_file: bool,
    seeds: Range<u64>,
    /// How long training may go on until where it stands is kept.
    checkpoint_after: Duration,
    /// How many trials are trained at the same time at most, where that is not left to the machine.
    at_a_time: Option<u64>,
}

impl Run {
    /// Reads the flags and finds the project, the device and the output folder.
    ///
    /// # Errors
    /// If the flags do not parse, a variant is unknown, the device cannot be used or a folder of outputs not written: before any work.
    pub fn start(name: &'static str) -> Result<Run> {
        let (flags, root, device) = begin(name)?;
        let file = ExperimentFile::read(&root.join("experiments").join(format!("{name}.toml")))?;
        let has_bf16 = precision::has_bf16(device);
        let variants = variants(&file, &flags, has_bf16)?;
        if !flags.redraw && !flags.merge {
            precision::check(&variants, device)?;
        }
        tell_precision(&flags, &variants, device, has_bf16);
        let is_reproduction = is_as_in_file(&file, &flags, &variants)?;
        Ok(Run { search: file.search().cloned(), variants, ..Run::with(name, flags, root, device, is_reproduction)? })
    }

    /// As [`Run::start`], for an example that has no experiment.
    pub fn untrained(name: &'static str) -> Result<Run> {
        let (flags, root, device) = begin(name)?;
        let is_reproduction = !flags.change_result();
        Run::with(name, flags, root, device, is_reproduction)
    }

    fn with(name: &'static str, flags: Flags, root: PathBuf, device: Device, is_reproduction: bool) -> Result<Run> {
        if let Some(folder) = &flags.tensorboard {
            ensure_writable(&folder.join(name))?;
        }
        device::keep_memory();
        device::set_threads();
        let run = Run { name, flags, root, device, variants: Vec::new(), search: None, is_reproduction: AtomicBool::new(is_reproduction) };
        ensure_writable(&run.out())?;
        Ok(run)
    }

    /// For an example whose pictures are images.
    ///
    /// # Errors
    /// With `--redraw`: a CSV holds no images.
    pub fn no_redraw(&self) -> Result<()> {
        if self.flags.redraw {
            return Err(anyhow!("{} draws images, which its CSV does not hold; leave --redraw out", self.name).into());
        }
        Ok(())
    }

    /// MNIST, or what `--data` says.
    pub fn mnist(&self) -> Result<Mnist> {
        let digits = mnist::load(&self.flags.data(), &self.root)?;
        self.note(&digits);
        Ok(digits)
    }

    /// Photographs of cats and dogs, or what `--data` says.
    pub fn cats_dogs(&self) -> Result<CatsDogs> {
        let photographs = photographs::load(self)?;
        self.note(&photographs);
        Ok(photographs)
    }

    /// Some training images, the same as training changes them, and one of them under each change alone.
    ///
    /// # Errors
    /// If the experiment changes no images.
    pub fn samples(&self, photographs: &CatsDogs) -> Result<Samples> {
        Ok(samples::samples(self, photographs)?)
    }

    /// What `<out>/<of>_validation.csv` says that the network of example `of` gets wrong, in the groups of `experiments/<name>.toml`.
    pub fn errors(&self, photographs: &CatsDogs, of: &str) -> Result<Errors> {
        Ok(errors::errors(self, photographs, of)?)
    }

    /// Writes the predictions of the first trained network for the validation images, `<out>/<name>_validation.csv`, and for the test
    /// images: `<out>/<name>_test.csv` where their labels are known, and `<out>/<name>_submission.csv`, in the form that Kaggle takes, where
    /// they are a competition's.
    pub fn write_submission(&self, trained: &Trained, photographs: &CatsDogs) -> Result<()> {
        Ok(photographs::write_submission(self, trained, photographs)?)
    }

    /// With `--predict`, the image, folder or zip of images to classify.
    pub fn predict(&self) -> Option<&Path> {
        self.flags.predict.as_deref()
    }

    /// Classifies the image `path`, or each file in the folder or zip `path`, with the network that was trained last; prints a table and
    /// writes `<out>/<name>_predictions.csv` and `<out>/<name>_predictions.png`.
    ///
    /// The CSV has a line `file,prediction,probability,reason` for each file, in the natural order of their names (2 before 10). Where a file
    /// cannot be read as an image, `prediction` and `probability` are empty and `reason` says why. Files are read by their contents, whatever
    /// their names, and turned upright as their EXIF data say. The picture shows the first hundred or so.
    ///
    /// # Errors
    /// If no network has been trained, or no file can be read as an image.
    pub fn write_predictions(&self, path: &Path) -> Result<()> {
        Ok(predict::write_predictions(self, path)?)
    }

    /// Trains every variant with every seed, as `experiments/<name>.toml` and the flags say; finished trials of an earlier run with
    /// the same settings, data and code are kept.
    ///
    /// # Errors
    /// If training fails, if a signal stops it, or if only a share of the trials was to be trained: [`Failure::exit_code`] tells which.
    pub fn train(&self, data: &dyn DataSet) -> Result<Trained> {
        self.note(data);
        let next = "When all shares are trained, the same command with --merge puts them together.";
        let trained = trials::train(self, &self.variants, data, next)?;
        if self.flags.shard.is_some() {
            return Err(trials::share_done(self.flags.shard, trained.outcomes.len(), next).into());
        }
        tables::write(self, &trained.outcomes)?;
        Ok(trained)
    }

    /// Draws the settings of the file's random search, trains them, and looks again around the best.
    ///
    /// # Errors
    /// As [`Run::train`]; if the file describes no search.
    pub fn search(&self, data: &dyn DataSet) -> Result<Searched> {
        self.note(data);
        Ok(search::search(self, data)?)
    }

    /// The network of the first variant for images `[channels, height, width]`, as its list of layers describes it.
    ///
    /// # Errors
    /// If the network that is built from it has not as many parameters as the description, or as the experiment states.
    pub fn architecture(&self, image: [i64; 3]) -> Result<Architecture> {
        Ok(architecture(self, image)?)
    }

    /// The first layer's filters of the first trained network, and the validation images that it gets most confidently wrong.
    ///
    /// # Errors
    /// If the network looks at more than one channel.
    pub fn look_inside(&self, trained: &Trained, digits: &Mnist) -> Result<Inside> {
        Ok(inside::look(self, trained, digits)?)
    }

    /// Checks the gradients of every variant with every seed.
    pub fn check_gradients(&self, digits: &Mnist) -> Result<Vec<Point>> {
        Ok(gradients::check(self, digits)?)
    }

    /// Prints whether the hand-derived gradients are right, and where the published differences level off beside ours.
    pub fn judge_gradients(&self, points: &[Point]) -> Result<()> {
        if let Some(verdict) = gradients::verdict(points) {
            say!("\n{verdict}");
        }
        self.compare(&compare::plateau(points))
    }

    /// The published curves of figure `number`.
    pub fn reported(&self, number: u32) -> Result<reported::Figure> {
        Ok(reported::Figure::read(&self.root.join("experiments"), number)?)
    }

    /// With `--redraw`, the points of the figure's CSV, `<out>/<name>.csv`.
    pub fn redraw(&self) -> Result<Option<Vec<Point>>> {
        if !self.flags.redraw {
            return Ok(None);
        }
        Ok(Some(points::read_csv(&self.output("csv"))?))
    }

    /// Writes `<out>/<name>.csv`, the points, and `<out>/<name>.png`, the figure that draws them.
    pub fn write(&self, figure: &Figure, points: &[Point]) -> Result<()> {
        let csv = if self.flags.redraw { None } else { Some(points::to_csv(points)?) };
        self.write_files(&figure.title, &plot::draw(figure, points)?, csv)
    }

    /// Writes `<out>/<name>.csv`, a line for each of `rows`, and `<out>/<name>.png`.
    pub fn write_picture(&self, title: &str, picture: &RgbImage, rows: &[impl Serialize]) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        rows.iter().try_for_each(|row| writer.serialize(row))?;
        self.write_files(title, picture, Some(writer.into_inner()?))
    }

    fn write_files(&self, title: &str, picture: &RgbImage, csv: Option<Vec<u8>>) -> Result<()> {
        let png = plot::to_png(picture, &provenance::text_chunks(self, title)?)?;
        if let Some(csv) = csv {
            write_whole(&self.output("csv"), &csv)?;
            tell!("wrote {}", self.output("csv").display());
        }
        write_whole(&self.output("png"), &png)?;
        tell!("wrote {}", self.output("png").display());
        Ok(self.show_picture(self.name, picture, &png)?)
    }

    /// With `--tensorboard`, `picture`, which is also there as `png`, as an image event.
    fn show_picture(&self, tag: &str, picture: &RgbImage, png: &[u8]) -> anyhow::Result<()> {
        if let Some(folder) = &self.flags.tensorboard {
            EventFile::replace(&folder.join(self.name), tag)?.picture(0, tag, picture.dimensions(), png)?;
        }
        Ok(())
    }

    /// With `--tensorboard`, the folder for the scalars of a trial.
    fn scalars_of(&self, variant: &str, seed: u64) -> Option<PathBuf> {
        Some(self.flags.tensorboard.as_ref()?.join(self.name).join(format!("{variant}-seed{seed}")))
    }

    /// The numbers that the report prints.
    pub fn reported_numbers(&self) -> Result<reported::Reported> {
        Ok(reported::Reported::read(&self.root.join("experiments"))?)
    }

    /// Prints titled tables and writes them to `<out>/<name>.md`.
    pub fn write_tables(&self, tables: &[(&str, Table)]) -> Result<()> {
        let path = self.output("md");
        let sections = tables.iter().map(|(title, table)| format!("### {title}\n\n{}", table::markdown(table)));
        write_whole(&path, sections.collect::<Vec<_>>().join("\n").as_bytes())?;
        tables.iter().for_each(|(title, table)| say!("\n{title}\n{table}"));
        tell!("wrote {}", path.display());
        Ok(())
    }

    /// The variants that are run, with their experiments.
    pub fn experiments(&self) -> Vec<(&str, &Experiment)> {
        self.variants.iter().map(|variant| (variant.name.as_str(), &variant.experiment)).collect()
    }

    /// What sets variant `name` apart in how its network is regularised and trained, in a few words.
    pub fn settings(&self, name: &str) -> String {
        let variant = self.variants.iter().find(|variant| variant.name == name);
        variant.map_or(String::new(), |variant| table::settings(&variant.experiment))
    }

    /// Prints reported beside reproduced, with verdicts and their rule.
    pub fn compare(&self, comparisons: &[Comparison]) -> Result<()> {
        if !comparisons.is_empty() {
            say!("\n{}", compare::table(comparisons));
        }
        self.summarize(comparisons)
    }

    /// Prints how many of the report's numbers were met, and by which rule.
    pub fn summarize(&self, comparisons: &[Comparison]) -> Result<()> {
        if comparisons.is_empty() {
            say!("\nNothing here can be compared with the report: this was not its data set in full, or not its epochs.");
            return Ok(());
        }
        let count = |verdict| comparisons.iter().filter(|comparison| comparison.verdict() == verdict).count();
        say!(
            "\n{} equal, {} reproduced, {} differ, {} without verdict (one seed).",
            count(Verdict::Equal),
            count(Verdict::Reproduced) + count(Verdict::WithinSampling),
            count(Verdict::Differs),
            count(Verdict::OneSeed),
        );
        if count(Verdict::Equal) < comparisons.len() {
            say!("Rule: {}.", compare::RULE);
        }
        Ok(())
    }

    /// Sets everything that has a result beside the report, and writes `<out>/report_card.md` and `.html`. With `--all` or `--quick` it first
    /// runs the examples that have none.
    ///
    /// # Errors
    /// If an example failed; the card of the others is written.
    pub fn report_card(&self) -> Result<ReportCard> {
        let folders = Folders::new(self)?;
        let made = if self.flags.all || self.flags.quick { everything::run_all(self, &folders) } else { Ok(()) };
        let (date, commit) = (provenance::date(), provenance::commit(&self.root));
        let mark = if self.flags.quick { everything::QUICK } else { "" };
        let card = ReportCard::read(&folders.root.join("experiments"), &folders.out, date, commit, mark)?;
        for path in card.write(&folders.out)? {
            tell!("wrote {}", path.display());
        }
        made?;
        Ok(card)
    }

    /// Results on other data than the report's are not its reproduction.
    fn note(&self, data: &dyn DataSet) {
        self.is_reproduction.fetch_and(is_report_data(&data.source().name), Ordering::Relaxed);
    }

    /// The folder that `--out` names; else `plots`, or `plots/local` for what is not to take the place of a committed result. What `--quick`
    /// makes is apart from both.
    fn out(&self) -> PathBuf {
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

    fn output(&self, extension: &str) -> PathBuf {
        self.out().join(format!("{}.{extension}", self.name))
    }
}

fn architecture(run: &Run, image: [i64; 3]) -> anyhow::Result<Architecture> {
    let Some(Variant { experiment, .. }) = run.variants.first() else { bail!("the experiment has no variant") };
    let architecture = Architecture::new(image, &experiment.model.layers)?;
    let Shape::Vector(classes) = architecture.output() else { bail!("the last layer of model.layers is not fully connected") };
    let network = model::build(&experiment.model, image, classes, run.flags.seed, Device::Cpu)?;
    let (described, built) = (architecture.parameters(), network.parameter_count());
    ensure!(described == built, "model.layers describes {described} parameters, but the network built from it has {built}");
    Ok(architecture)
}

fn select_device(flags: &Flags) -> anyhow::Result<Device> {
    let device = if flags.redraw { Device::Cpu } else { device::select(flags.device())? };
    if flags.deterministic {
        device::be_deterministic()?;
    }
    Ok(device)
}

/// What every example begins with: its flags, the project's folder and the device.
fn begin(name: &'static str) -> Result<(Flags, PathBuf, Device)> {
    explain_panics();
    let flags = Flags::read(name)?;
    let root = project_root()?;
    limits::check()?;
    let device = select_device(&flags)?;
    Ok((flags, root, device))
}

/// Says what `--precision auto` has come to, and that bf16 is slow where it is.
fn tell_precision(flags: &Flags, variants: &[Variant], device: Device, has_bf16: bool) {
    if flags.redraw {
        return;
    }
    if flags.precision == Some(precision::Choice::Auto) {
        let mut resolved: Vec<&str> = variants.iter().map(|variant| variant.experiment.model.precision.name()).collect();
        resolved.dedup();
        let has = if has_bf16 { "has" } else { "has no" };
        tell!("precision auto: {}; this device {has} instructions for bf16", resolved.join(", "));
    }
    let trains_in_bf16 = |variant: &Variant| variant.experiment.training.is_some() && variant.experiment.model.precision == Precision::Bf16;
    if device == Device::Cpu && !has_bf16 && variants.iter().any(trains_in_bf16) {
        tell!(
            "bf16 takes many times as long as f32 on this processor, which has no instructions for it (AVX512-BF16 or AMX); \
             --precision auto takes what is fast"
        );
    }
}

/// Whether these are all the variants that the file runs, with its seeds, and nothing in them is changed.
fn is_as_in_file(file: &ExperimentFile, flags: &Flags, variants: &[Variant]) -> anyhow::Result<bool> {
    let mut is_as_in_file = variants.iter().map(|variant| &variant.name).eq(file.default_variants());
    for Variant { name, seeds, is_as_in_file: is_unchanged, .. } in variants {
        is_as_in_file &= *is_unchanged && *seeds == (1..1 + u64::from(file.seeds(name)?));
    }
    Ok(is_as_in_file && flags.predict.is_none() && flags.data() != Location::Embedded)
}

fn variants(file: &ExperimentFile, flags: &Flags, has_bf16: bool) -> anyhow::Result<Vec<Variant>> {
    let names = if flags.variant.is_empty() { file.default_variants() } else { &flags.variant };
    let variant = |name: &String| {
        let as_in_file = file.variant(name)?;
        let experiment = flags.apply(as_in_file.clone(), has_bf16)?;
        let seeds = flags.seeds(file.seeds(name)?);
        let checkpoint_after = Duration::from_secs(file.checkpoint_seconds(name)?);
        // The stages of a search have epochs of their own, which the flag changes.
        let is_as_in_file = experiment == as_in_file && (file.search().is_none() || flags.epochs.is_none());
        let at_a_time = file.trials_at_a_time(name)?;
        Ok(Variant { name: name.clone(), is_as_in_file, experiment, seeds, checkpoint_after, at_a_time })
    };
    let first = |(index, name): &(usize, &String)| !names[..*index].contains(name);
    names.iter().enumerate().filter(first).map(|(_, name)| variant(name)).collect()
}

/// The folder with this project's `experiments/`: the current one, so that binaries can be carried elsewhere, or the one the crate was built
/// in. Other projects have a folder of that name too, but not the report's numbers in it.
pub fn project_root() -> anyhow::Result<PathBuf> {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = std::env::current_dir()?;
    let found = [here.as_path(), built_in].into_iter().find(|folder| folder.join("experiments/reported.toml").is_file());
    let missing = || anyhow!("no experiments/reported.toml in {} or {}; run from the project's folder", here.display(), built_in.display());
    Ok(found.ok_or_else(missing)?.to_owned())
}
