//! Provenance of a result: enough to make it again, or to say why it came out differently.

use super::{Run, Variant};
use crate::data::Source;
use crate::device;
use crate::experiment::{Experiment, read_extended};
use crate::plot::PngHeader;
use crate::train::RunIdentity;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tch::Device;

/// Inputs, code and machine of one trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// SHA-256 of the resolved experiment, the data's checksum, the seed and the network's name, if it has one: the same on every machine.
    pub trial: String,
    pub variant: String,
    pub seed: u64,
    /// How a network that is not the experiment's is called, or by which network, as its SHA-256, the experiment's is taught.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
    pub data: String,
    pub data_checksum: String,
    /// Digest of the sources that decide a result (see `source_digest.rs`): results of other code are not taken for those of this.
    pub code: String,
    pub device: String,
    pub threads: i64,
    pub libraries: String,
    /// Of a GPU.
    #[serde(default)]
    pub drivers: String,
    /// Whether a GPU was to use only deterministic operations; on the CPU all of them are.
    #[serde(default)]
    pub deterministic: bool,
    pub commit: String,
    pub command: String,
    pub date: String,
    pub seconds: f64,
}

impl Provenance {
    /// The part that all trials of `run` share that train on `source` with so many threads each; `network` is empty for the experiment's.
    pub fn of_run(run: &Run, source: &Source, network: &str, threads: i64) -> Provenance {
        Provenance {
            network: network.to_owned(),
            data: source.name.clone(),
            data_checksum: source.checksum.clone(),
            code: env!("SOURCE_DIGEST").to_owned(),
            device: device::describe(run.device),
            threads,
            libraries: device::libraries(),
            drivers: device::drivers(run.device),
            deterministic: run.flags.deterministic && run.device != Device::Cpu,
            commit: commit(&run.root),
            command: command(),
            date: date(),
            ..Provenance::default()
        }
    }

    /// The provenance of the trial of `experiment`, called `variant`, with `seed`.
    pub fn of_trial(&self, experiment: &Experiment, variant: &str, seed: u64) -> Provenance {
        let network = if self.network.is_empty() { String::new() } else { format!("network = {}\n", self.network) };
        let identity = format!("{}\ndata = {}\nseed = {seed}\n{network}", experiment.to_toml(), self.data_checksum);
        Provenance { trial: sha256(&identity), variant: variant.to_owned(), seed, ..self.clone() }
    }

    /// "glorot seed 1", for messages.
    pub fn name(&self) -> String {
        format!("{} seed {}", self.variant, self.seed)
    }

    /// The id of a result, on whatever machine it was trained: a hash of the trial and of the code and libraries that train.
    pub fn id(&self) -> String {
        sha256(&format!("{} {} {}", self.trial, self.code, self.libraries))[..ID_DIGITS].to_owned()
    }

    /// Device, number of threads, drivers and whether only deterministic operations are used: trials with the same id and machine have the
    /// same result to the last bit.
    pub fn machine(&self) -> BTreeMap<String, String> {
        let drivers = (!self.drivers.is_empty()).then(|| ("drivers", self.drivers.clone()));
        let deterministic = self.deterministic.then(|| ("deterministic", "true".to_owned()));
        let always = [("device", self.device.clone()), ("threads", self.threads.to_string())];
        always.into_iter().chain(drivers).chain(deterministic).map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// A short hash of the machine.
    pub fn machine_id(&self) -> String {
        let lines: String = self.machine().into_iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        sha256(&lines)[..MACHINE_DIGITS].to_owned()
    }

    /// Identifies this trial in its checkpoints: its experiment key by key, its seed, its data and the program that trains.
    pub fn identity(&self, experiment: &Experiment) -> Result<RunIdentity> {
        let mut trial = BTreeMap::new();
        flatten("", &toml::Value::try_from(experiment)?, &mut trial);
        let Provenance { seed, network, data, data_checksum, code, libraries, .. } = self;
        let mut add = |key: &str, value: String| trial.insert(key.to_owned(), value);
        add("seed", seed.to_string());
        if !network.is_empty() {
            add("network", network.clone());
        }
        add("data", format!("{data} ({})", &data_checksum[..16.min(data_checksum.len())]));
        add("program", format!("{} {} of sources {code}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));
        add("libraries", libraries.clone());
        Ok(RunIdentity { trial, machine: self.machine() })
    }
}

/// Digits of an id: enough for billions of trials.
const ID_DIGITS: usize = 16;
/// Digits of a machine's: enough for those that share a folder.
const MACHINE_DIGITS: usize = 8;

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The values of a TOML table, each under the path of its keys.
pub(super) fn flatten(path: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        toml::Value::String(text) => drop(into.insert(path.to_owned(), text.clone())),
        _ => drop(into.insert(path.to_owned(), value.to_string())),
    }
}

/// Keys and texts for the PNG.
pub fn text_chunks(run: &Run, title: &str) -> Result<Vec<(String, String)>> {
    let chunk = |key: &str, text: String| (key.to_owned(), text);
    // A picture that is drawn again keeps what says how its points were made.
    if run.flags.redraw
        && let Ok(PngHeader { mut texts, .. }) = PngHeader::read(&run.output(".png"))
    {
        texts.retain(|(key, _)| key != "Title" && key != "Redrawn");
        let redrawn = format!("{}, commit {}: {}", date(), commit(&run.root), command());
        return Ok([chunk("Title", title.to_owned())].into_iter().chain(texts).chain([chunk("Redrawn", redrawn)]).collect());
    }
    let experiment = read_extended(&run.experiment_path()).map_or(String::new(), |experiment| experiment.to_string());
    let mut chunks = vec![
        chunk("Title", title.to_owned()),
        chunk("Software", format!("{} {}, {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), device::libraries())),
        chunk("Creation Time", date()),
        chunk("Commit", commit(&run.root)),
        chunk("Command", command()),
        chunk("Experiment", experiment),
    ];
    // What only draws says nothing of how the networks were trained.
    if !run.flags.redraw && !run.flags.merge {
        let of = |variant: &Variant| format!("{} {}", variant.name, variant.experiment.model.precision.name());
        let precision: Vec<String> = run.variants.iter().map(of).collect();
        let device = [device::describe(run.device), device::drivers(run.device)].join(", ");
        chunks.extend([chunk("Device", device.trim_end_matches(", ").to_owned()), chunk("Precision", precision.join(", "))]);
    }
    Ok(chunks)
}

/// The commit of the checkout, with `-dirty` where files differ from it; what `REPRODUCTION_COMMIT` says where a program was carried away
/// from its checkout.
pub(super) fn commit(root: &Path) -> String {
    if let Some(commit) = std::env::var("REPRODUCTION_COMMIT").ok().filter(|text| !text.is_empty()) {
        return commit;
    }
    let output = Command::new("git").arg("-C").arg(root).args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let text = output.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or("unknown".to_owned(), |text| text.trim().to_owned())
}

/// The command line, with the program by its name: where it lies on this machine says nothing.
pub(super) fn command() -> String {
    let mut words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(program) = words.first_mut() {
        *program = Path::new(program).file_stem().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    }
    words.join(" ")
}

pub(super) fn date() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_versions_wrote_can_be_read() -> Result<()> {
        let older = "is_stacked = true\ncommit = ''\ncommand = ''\ndate = ''\nseconds = 1.5";
        let first =
            "trial = 'abc'\nvariant = 'vgg'\nseed = 3\ndata = ''\ndata_checksum = ''\ncode = ''\ndevice = ''\nthreads = 1\nlibraries = ''";
        let read: Provenance = toml::from_str(&format!("{first}\n{older}"))?;
        assert_eq!((read.name().as_str(), read.seconds), ("vgg seed 3", 1.5));
        // What a GPU's last bits depend on beside its name.
        let others = [Provenance { drivers: "driver 1".to_owned(), ..read.clone() }, Provenance { deterministic: true, ..read.clone() }];
        for other in others {
            assert!(other.machine() != read.machine() && other.machine_id() != read.machine_id() && other.id() == read.id());
        }
        Ok(())
    }
}
