//! What an example holds: its flags, its inputs, its trials and its outputs.

mod crash;
mod ending;
mod everything;
mod flags;
mod interrupt;
mod photographs;
mod precision;
mod predict;
mod progress;
mod provenance;
mod scalars;
mod search;
mod shard;
mod store;
mod tables;
mod trainer;
mod trials;
mod weights;

pub use anyhow::Result;
pub use crash::explain_panics;
pub use ending::{exit_code, finish, main};
pub use everything::report_card;
pub use search::Searched;
pub use std::process::ExitCode;
pub use store::Outcome;
pub use trials::Trained;

use crate::data::cats_dogs::CatsDogs;
use crate::data::mnist::{self, Mnist};
use crate::data::{DataSet, Location};
use crate::device;
use crate::experiment::{ExperimentFile, Search, Variant};
use crate::files::{ensure_writable, write_whole};
use crate::limits;
use crate::plot::{self, Figure};
use crate::points::{self, Point, is_report_data};
use crate::reported::Reported;
use crate::table;
use crate::tensorboard::EventFile;
use anyhow::{anyhow, bail};
use comfy_table::Table;
use flags::{Changes, Flags};
use image::RgbImage;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tch::Device;

/// One run of an example.
pub struct Run {
    name: &'static str,
    flags: Flags,
    root: PathBuf,
    device: Device,
    plan: Plan,
    /// Whether this is the experiment as its file has it, on the report's data as far as data were read: a result that may be committed.
    is_reproduction: AtomicBool,
}

/// What is to be trained.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    variants: Vec<Variant>,
    /// The random search that the file describes, if it does.
    search: Option<Search>,
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
        let plan = Plan::new(&file, &flags.changes, has_bf16)?;
        let is_as_in_file = plan == Plan::new(&file, &Changes::default(), has_bf16)?;
        if !flags.redraw && !flags.merge {
            precision::check(&plan.variants, device)?;
        }
        precision::report(&flags, &plan.variants, device, has_bf16);
        Run::with(name, flags, root, device, plan, is_as_in_file)
    }

    /// As [`Run::start`], for an example that has no experiment.
    pub fn without_experiment(name: &'static str) -> Result<Run> {
        let (flags, root, device) = begin(name)?;
        let is_unchanged = flags.changes == Changes::default();
        Run::with(name, flags, root, device, Plan::default(), is_unchanged)
    }

    fn with(name: &'static str, flags: Flags, root: PathBuf, device: Device, plan: Plan, is_unchanged: bool) -> Result<Run> {
        if let Some(folder) = &flags.tensorboard {
            ensure_writable(&folder.join(name))?;
        }
        device::keep_memory();
        device::set_threads();
        let is_reproduction = is_unchanged && flags.predict.is_none() && flags.data() != Location::Embedded;
        let run = Run { name, flags, root, device, plan, is_reproduction: AtomicBool::new(is_reproduction) };
        ensure_writable(&run.out())?;
        Ok(run)
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

    /// Writes the predictions of the first trained network for the validation images, `<out>/<name>_validation.csv`, and for the test
    /// images: `<out>/<name>_test.csv` where their labels are known, and `<out>/<name>_submission.csv`, in the form that Kaggle takes, where
    /// they are a competition's.
    pub fn write_submission(&self, trained: &Trained, photographs: &CatsDogs) -> Result<()> {
        photographs::write_submission(self, trained, photographs)
    }

    /// Trains every variant with every seed, as `experiments/<name>.toml` and the flags say; finished trials of an earlier run with
    /// the same settings, data and code are kept.
    ///
    /// # Errors
    /// If training fails, if a signal stops it, or if only a share of the trials was to be trained, or only weights to be exported:
    /// [`exit_code`] tells which.
    pub fn train(&self, data: &dyn DataSet) -> Result<Trained> {
        self.note(data);
        if self.flags.export_weights {
            bail!(weights::export(self, data)?);
        }
        let next = "When all shares are trained, the same command with --merge puts them together.";
        let trained = trials::train(self, &self.plan.variants, data, next)?;
        if let Some(shard) = self.flags.shard {
            bail!(trials::share_done(shard, trained.outcomes.len(), next));
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
        search::search(self, data)
    }

    /// The report's numbers and published curves.
    pub fn report(&self) -> Result<Reported> {
        Reported::read(&self.root.join("experiments"))
    }

    /// The points of the figure: those that `train` makes or, with `--redraw`, those of its CSV, `<out>/<name>.csv`.
    pub fn points(&self, train: impl FnOnce() -> Result<Vec<Point>>) -> Result<Vec<Point>> {
        if self.flags.redraw { points::read_csv(&self.output("csv")) } else { train() }
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
        self.show_picture(self.name, picture, &png)
    }

    /// With `--tensorboard`, `picture`, which is also there as `png`, as an image event.
    fn show_picture(&self, tag: &str, picture: &RgbImage, png: &[u8]) -> Result<()> {
        if let Some(folder) = &self.flags.tensorboard {
            EventFile::replace(&folder.join(self.name), tag)?.picture(0, tag, picture.dimensions(), png)?;
        }
        Ok(())
    }

    /// With `--tensorboard`, the folder for the scalars of a trial.
    fn scalars_of(&self, variant: &str, seed: u64) -> Option<PathBuf> {
        Some(self.flags.tensorboard.as_ref()?.join(self.name).join(format!("{variant}-seed{seed}")))
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

    /// Where it is computed.
    pub fn device(&self) -> Device {
        self.device
    }

    /// `experiments/<name>.toml`.
    pub fn experiment_path(&self) -> PathBuf {
        self.root.join("experiments").join(self.name).with_extension("toml")
    }

    /// The variants that are run, with what the flags change.
    pub fn variants(&self) -> &[Variant] {
        &self.plan.variants
    }

    /// Results on other data than the report's are not its reproduction.
    fn note(&self, data: &dyn DataSet) {
        self.is_reproduction.fetch_and(is_report_data(&data.source().name), Ordering::Relaxed);
    }

    /// The folder that `--out` names; else `plots`, or `plots/local` for what is not to take the place of a committed result. What `--quick`
    /// makes is apart from both.
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

    fn output(&self, extension: &str) -> PathBuf {
        self.out().join(format!("{}.{extension}", self.name))
    }
}

fn select_device(flags: &Flags) -> Result<Device> {
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

impl Plan {
    /// The file's variants and search, with what the flags change, for a device that has instructions for bf16 or not.
    fn new(file: &ExperimentFile, changes: &Changes, has_bf16: bool) -> Result<Plan> {
        let mut search = file.search().cloned();
        if let (Some(Search { coarse, fine, .. }), Some(epochs)) = (&mut search, changes.epochs) {
            (coarse.epochs, fine.epochs) = (epochs, epochs);
        }
        let names = if changes.variant.is_empty() { file.default_variants() } else { &changes.variant };
        let variant = |name: &String| {
            let variant = file.resolve(name)?;
            let (experiment, seeds) =
                (changes.apply(variant.experiment, has_bf16)?, changes.seeds(variant.seeds.end - variant.seeds.start));
            Ok(Variant { experiment, seeds, ..variant })
        };
        let first = |(index, name): &(usize, &String)| !names[..*index].contains(name);
        let variants = names.iter().enumerate().filter(first).map(|(_, name)| variant(name)).collect::<Result<_>>()?;
        Ok(Plan { variants, search })
    }
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
