//! Trained networks to predict with: the trial that was finished last, else what is committed in `weights/`, for each network
//! `<example>-<variant>.safetensors` and beside it a TOML that says what it is.

use super::ending::EarlyExit;
use super::flags::{self, reads_photographs};
use super::progress::in_words;
use super::provenance::Provenance;
use super::store::{self, Outcome};
use super::{Run, project_root};
use crate::data::DataSet;
use crate::data::splits::{Inputs, Splits};
use crate::experiment::{self, Experiment, Keep, Precision, Views};
use crate::files::{list, sha256_of, write_whole};
use crate::history::{Metric, Split};
use crate::model::{self, Model, Parameter};
use crate::report_card::Program;
use crate::train::{evaluate, parameters};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use tch::{Device, Kind};

/// Below the project's folder.
const FOLDER: &str = "weights";

/// Largest cost of float16 on the validation images: absolute drop in accuracy, relative increase in loss.
const ACCURACY_COST: f64 = 0.0005;
const LOSS_COST: f64 = 0.001;

/// The model card of a committed network.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    example: String,
    parameters: i64,
    /// Of the file: float16 or float32.
    dtype: String,
    sha256: String,
    licence: String,
    epochs: i64,
    /// Of the network in the file, computed in single precision.
    validation: Measured,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Measured>,
    provenance: Provenance,
    experiment: Experiment,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    images: i64,
    accuracy: f64,
    loss: f64,
}

/// The trained network of `run`, or of the variants that its flags name, for images `[channels, height, width]` of so many classes; its
/// experiment; and in words variant, seed, epochs and accuracy.
pub(super) fn find(run: &Run, image: [i64; 3], classes: i64) -> Result<(Box<dyn Model>, Experiment, String)> {
    let names = &run.flags.changes.variant;
    let is_wanted = |provenance: &Provenance| names.is_empty() || names.contains(&provenance.variant);
    if let Some(outcome) = store::finished(&run.flags.runs.join(run.name), is_wanted)?.pop() {
        let Outcome { folder, experiment, provenance, history, .. } = &outcome;
        let epoch = match experiment.training.as_ref().map(|training| training.keep) {
            Some(Keep::Best) => history.best_epoch().0,
            _ => history.epochs(),
        };
        let accuracy = history.get(epoch, Split::Validation, Metric::Accuracy);
        let what = describe(provenance, history.epochs(), accuracy.unwrap_or(f64::NAN));
        tell!("the network is that of {}: {what}", folder.display());
        return Ok((outcome.network(image, classes, run.device)?, experiment.clone(), what));
    }
    let best = cards(&run.root)?.into_iter().filter(|(_, card)| card.example == run.name && is_wanted(&card.provenance));
    let best = best.max_by(|(_, one), (_, other)| one.validation.accuracy.total_cmp(&other.validation.accuracy));
    let (path, card) = best.with_context(|| how_to_train(run))?;
    let model = load(&path, &card, card.experiment.model.test_time_augmentation, image, classes, run.device)?;
    let what = describe(&card.provenance, card.epochs, card.validation.accuracy);
    tell!("the network is {}: {what}", path.display());
    Ok((model, in_single_precision(card.experiment), what))
}

/// The committed network `name` as a teacher: of each image it looks at one view.
///
/// # Errors
/// If there is none of this name, or it is damaged, or for other images.
pub(super) fn teacher(name: &str, image: [i64; 3], classes: i64, device: Device) -> Result<Box<dyn Model>> {
    let (path, card) = committed(name)?;
    let unfit = || format!("model.teacher is {name}, which is not for these images and classes");
    load(&path, &card, Views::Single, image, classes, device).with_context(unfit)
}

/// The SHA-256 of the committed network `name`, which tells what a student of it has learned from.
pub(super) fn teacher_sha256(name: &str) -> Result<String> {
    Ok(committed(name)?.1.sha256)
}

fn committed(name: &str) -> Result<(PathBuf, Card)> {
    let mut cards = cards(&project_root()?)?;
    if cards.is_empty() {
        // A folder of experiments of one's own has none.
        cards = self::cards(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    }
    let names = cards.iter().filter_map(|(path, _)| path.file_stem()?.to_str()).collect::<Vec<_>>().join(", ");
    let found = cards.into_iter().find(|(path, _)| path.file_stem().is_some_and(|stem| stem == name));
    found.with_context(|| format!("model.teacher is {name}, expected a network of {FOLDER}/: {names}"))
}

/// The network of `card`, which `path` keeps, in single precision.
fn load(path: &Path, card: &Card, views: Views, image: [i64; 3], classes: i64, device: Device) -> Result<Box<dyn Model>> {
    let (shown, sha256, found) = (path.display(), &card.sha256, hash(path)?);
    ensure!(found == *sha256, "{shown} is damaged: its SHA-256 is {found}, expected {sha256}; get it anew: git checkout -- {FOLDER}");
    let experiment = in_single_precision(card.experiment.clone());
    let model = experiment::Model { test_time_augmentation: views, ..experiment.model };
    let network = model::build(&model, image, classes, card.provenance.seed, device)?;
    parameters::load(&mut network.state_dict(), path)?;
    Ok(network)
}

fn describe(Provenance { variant, seed, date, .. }: &Provenance, epochs: i64, accuracy: f64) -> String {
    let day = date.split('T').next().unwrap_or_default();
    format!("{variant} seed {seed}, after {epochs} epochs, validation accuracy {:.2} %, trained {day}", 100.0 * accuracy)
}

fn hash(path: &Path) -> Result<String> {
    File::open(path).and_then(sha256_of).with_context(|| format!("cannot read {}", path.display()))
}

/// The committed networks with their model cards, in the order of their names.
fn cards(root: &Path) -> Result<Vec<(PathBuf, Card)>> {
    let paths = list(&root.join(FOLDER))?.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let read = |path: PathBuf| Some((path.with_extension("safetensors"), store::read_toml(&path).transpose()?));
    paths.filter_map(read).map(|(path, card)| Ok((path, card?))).collect()
}

/// The message where there is no network: the command that trains one, its duration, and a committed network to use instead.
fn how_to_train(run: &Run) -> String {
    let name = run.name;
    let time = flags::program(name)
        .map_or(String::new(), |Program { minutes, .. }| format!(", which takes about {} on two cores", in_words(60.0 * minutes)));
    let others = cards(&run.root).unwrap_or_default().into_iter().map(|(_, card)| card.example);
    let other = others.into_iter().find(|other| other != name && reads_photographs(other) == reads_photographs(name));
    let other =
        other.map_or(String::new(), |other| format!("; or take the network that is there: cargo run --example {other} -- --predict PATH"));
    format!(
        "{} holds no trained network, and {FOLDER}/ none of {name}: run {name} without --predict first (cargo run --example {name}{time}){other}",
        run.flags.runs.join(name).display()
    )
}

/// As `experiment`, but computed in single precision: the same on every device.
fn in_single_precision(experiment: Experiment) -> Experiment {
    Experiment { model: experiment::Model { precision: Precision::F32, ..experiment.model }, ..experiment }
}

/// Writes the network of each variant's first seed, from finished trials, into `weights/`, or into the folder of `--out`; and says so.
///
/// # Errors
/// If there is no such trial, or it is none of the experiment as its file has it, on the report's data, and `--out` names no folder.
pub(super) fn export(run: &Run, data: &DataSet) -> Result<EarlyExit> {
    let as_it_stands = || {
        format!(
            "{FOLDER}/ takes the networks of experiments/{}.toml as it stands, on the report's data, and this is another experiment; \
             leave out the flags that change it, or name another folder with --out",
            run.name
        )
    };
    ensure!(run.flags.out.is_some() || run.is_reproduction(), as_it_stands());
    let folder = run.flags.out.clone().unwrap_or_else(|| run.root.join(FOLDER));
    let mut messages = Vec::new();
    for variant in &run.variants {
        let wanted = in_single_precision(variant.experiment.with_own_validation(data.validation));
        let is_of_data = |found: &Provenance| found.variant == variant.name && found.data_checksum == data.source.checksum;
        let trials = store::finished(&run.flags.runs.join(run.name), is_of_data)?.into_iter();
        let trials = trials.filter(|outcome| in_single_precision(outcome.experiment.clone()) == wanted);
        // Of several machines' or versions' results the newest.
        match trials.rev().min_by_key(|outcome| outcome.seed) {
            Some(outcome) => messages.push(write(run, &outcome, data, &folder)?),
            None => tell!("{} has no finished trial of this experiment on these data", variant.name),
        }
    }
    ensure!(!messages.is_empty(), "there is nothing to export; {}", how_to_train(run));
    Ok(EarlyExit { message: messages.join("\n"), code: 0 })
}

/// Writes the network of `outcome` into `folder`.
fn write(run: &Run, outcome: &Outcome, data: &DataSet, folder: &Path) -> Result<String> {
    let experiment = in_single_precision(outcome.experiment.clone());
    let splits = Splits::new(&data.train, data.test.as_ref(), &experiment, outcome.seed, Device::Cpu)?;
    let model = model::build(&experiment.model, splits.validation.image(), data.classes.len() as i64, outcome.seed, Device::Cpu)?;
    outcome.load(&*model)?;
    let trained = measure(&*model, &splits.validation);
    for Parameter { mut tensor, .. } in model.state_dict() {
        tensor.copy_(&tensor.to_kind(Kind::Half));
    }
    let mut validation = measure(&*model, &splits.validation);
    let is_as_good = validation.accuracy >= trained.accuracy - ACCURACY_COST && validation.loss <= trained.loss * (1.0 + LOSS_COST);
    let (kind, dtype) = if is_as_good { (Kind::Half, "float16") } else { (Kind::Float, "float32") };
    if !is_as_good {
        outcome.load(&*model)?;
        validation = measure(&*model, &splits.validation);
    }
    let kept: Vec<Parameter> =
        model.state_dict().into_iter().map(|Parameter { name, tensor }| Parameter { name, tensor: tensor.to_kind(kind) }).collect();
    let path = folder.join(format!("{}-{}.safetensors", run.name, outcome.variant));
    parameters::save(&kept, &path)?;
    let sha256 = hash(&path)?;
    let card = Card {
        example: run.name.to_owned(),
        parameters: model.parameter_count(),
        dtype: dtype.to_owned(),
        sha256,
        licence: env!("CARGO_PKG_LICENSE").to_owned(),
        epochs: outcome.history.epochs(),
        test: splits.test.as_ref().map(|test| measure(&*model, test)),
        validation,
        provenance: outcome.provenance.clone(),
        experiment: outcome.experiment.clone(),
    };
    write_whole(&path.with_extension("toml"), toml::to_string(&card)?.as_bytes())?;
    let Measured { accuracy, loss, .. } = &card.validation;
    Ok(format!(
        "wrote {}, in {dtype}: validation accuracy {accuracy:.5} (as trained {:.5}), loss {loss:.6} ({:.6})",
        path.display(),
        trained.accuracy,
        trained.loss
    ))
}

fn measure(model: &dyn Model, inputs: &Inputs) -> Measured {
    let values = evaluate(model, inputs);
    let value = |wanted| values.iter().find(|(metric, _)| *metric == wanted).map_or(f64::NAN, |(_, value)| *value);
    Measured { images: inputs.len(), accuracy: value(Metric::Accuracy), loss: value(Metric::Loss) }
}
