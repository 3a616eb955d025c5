//! The outputs of an example: its picture, the curves of its CSV, and where they come from.

use super::Results;
use super::charts::{self, Chart};
use crate::plot::PngHeader;
use crate::points::{Origin, Point};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Debug, Serialize)]
pub(super) struct Made {
    pub example: String,
    pub charts: Vec<Chart>,
    pub picture: Option<Picture>,
    tables: String,
    device: String,
    data: String,
    seeds: String,
}

/// A PNG beside the page.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    /// Its name in the folder of results.
    file: String,
    width: u32,
    height: u32,
    /// Its text chunks by keyword: title, commit, command and so on.
    pub text: BTreeMap<String, String>,
}

impl Made {
    pub fn read(example: &str, has_tables: bool, results: &Results) -> Result<Made> {
        let (points, tables) = (results.points(example), results.path(example, "md"));
        let read = || std::fs::read_to_string(&tables).with_context(|| format!("cannot read {}", tables.display()));
        Ok(Made {
            example: example.to_owned(),
            charts: charts::of(points, &results.names(example)),
            picture: Picture::read(&results.path(example, "png"))?,
            tables: if has_tables && tables.exists() { read()? } else { String::new() },
            device: distinct(points, |point| point.device.clone()),
            data: distinct(points, |point| point.data.clone()),
            seeds: distinct(points, |point| point.seeds.map_or(String::new(), |seeds| seeds.to_string())),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.picture.is_none() && self.charts.is_empty() && self.tables.is_empty()
    }
}

/// The distinct values of `field` over our points.
fn distinct(points: &[Point], field: fn(&Point) -> String) -> String {
    let all: BTreeSet<String> = points.iter().filter(|point| point.origin == Origin::Reproduced).map(field).collect();
    all.into_iter().collect::<Vec<_>>().join(" / ")
}

impl Picture {
    fn read(path: &Path) -> Result<Option<Picture>> {
        if !path.exists() {
            return Ok(None);
        }
        let PngHeader { width, height, texts } = PngHeader::read(path)?;
        let mut text: BTreeMap<String, String> = texts.into_iter().collect();
        text.entry("Command".to_owned()).and_modify(|command| *command = without_folders(command));
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Some(Picture { file, width, height, text }))
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
        let command = "kaggle_vgg --cuda --runs /a/runs --out=/a/plots --precision bf16 --out plots";
        assert_eq!(without_folders(command), "kaggle_vgg --cuda --precision bf16");
    }
}
