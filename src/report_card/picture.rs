//! A run's PNG: the picture itself, and what its text chunks say of where it comes from.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::io::Cursor;
use std::path::Path;

#[derive(Debug, Serialize)]
pub struct Picture {
    /// Its name in the folder of results.
    file: String,
    title: String,
    date: String,
    commit: String,
    command: String,
    width: u32,
    height: u32,
    /// As a `data:` address.
    address: String,
}

impl Picture {
    /// None where there is no such file.
    pub fn read(path: &Path) -> Result<Option<Picture>> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let reader = png::Decoder::new(Cursor::new(&bytes)).read_info();
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
            command: text("Command"),
            width: info.width,
            height: info.height,
            address: format!("data:image/png;base64,{}", STANDARD.encode(&bytes)),
        }))
    }
}
