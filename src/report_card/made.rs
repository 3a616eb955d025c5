//! What an example has made: its picture, the curves of its CSV, and where they come from.

use super::Results;
use super::charts::{self, Chart, Names};
use crate::points::{Origin, Point};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

#[derive(Debug, Serialize)]
pub(super) struct Made {
    pub charts: Vec<Chart>,
    pub picture: Option<Picture>,
    pub device: String,
    data: String,
    seeds: String,
}

/// A PNG beside the page, and what its text chunks say.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    /// Its name in the folder of results.
    file: String,
    title: String,
    date: String,
    pub commit: String,
    command: String,
    width: u32,
    height: u32,
    /// TOML.
    #[serde(skip)]
    pub experiment: String,
}

impl Made {
    pub fn read(example: &str, points: &[Point], names: &Names, results: &Results) -> Result<Made> {
        Ok(Made {
            charts: charts::of(points, names),
            picture: Picture::read(&results.path(example, "png"))?,
            device: distinct(points, |point| point.device.clone()),
            data: distinct(points, |point| point.data.clone()),
            seeds: distinct(points, |point| point.seeds.map_or(String::new(), |seeds| seeds.to_string())),
        })
    }
}

/// What `field` says of our points, each answer once.
fn distinct(points: &[Point], field: fn(&Point) -> String) -> String {
    let mut all: Vec<String> = points.iter().filter(|point| point.origin == Origin::Reproduced).map(field).collect();
    all.sort();
    all.dedup();
    all.join(" / ")
}

impl Picture {
    /// None where there is no such file.
    fn read(path: &Path) -> Result<Option<Picture>> {
        if !path.exists() {
            return Ok(None);
        }
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let reader = png::Decoder::new(BufReader::new(file)).read_info();
        let reader = reader.with_context(|| format!("{} is no PNG; remove it, or make it again", path.display()))?;
        let info = reader.info();
        let text = |key: &str| {
            let chunk = info.utf8_text.iter().find(|chunk| chunk.keyword == key);
            chunk.and_then(|chunk| chunk.get_text().ok()).unwrap_or_default()
        };
        Ok(Some(Picture {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            title: text("Title"),
            date: text("Creation Time").chars().take(10).collect(),
            commit: text("Commit"),
            command: without_folders(&text("Command")),
            width: info.width,
            height: info.height,
            experiment: text("Experiment"),
        }))
    }
}

/// A command without the flags that name folders of the machine it ran on.
fn without_folders(command: &str) -> String {
    let mut words = command.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--out" | "--runs" => drop(words.next()),
            _ if word.starts_with("--out=") || word.starts_with("--runs=") => {}
            _ => kept.push(word),
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_no_folder_of_its_machine() {
        let command = "kaggle_vgg --cuda --runs /tmp/a/runs --out=/tmp/a/plots --precision bf16 --out plots";
        assert_eq!(without_folders(command), "kaggle_vgg --cuda --precision bf16");
    }
}
