//! Pictures from points: nothing here knows a tensor.
//!
//! Everything is drawn at twice its size and reduced, which smooths lines that the drawing library would leave jagged. The font comes
//! with the crate, so text renders on a machine without any.

mod architecture;
mod canvas;
mod curves;
mod image_grid;
mod ruler;
mod search;
mod style;

pub use architecture::{draw_architecture, thousands};
pub use curves::{Axes, Figure, draw};
pub use image_grid::{Section, Tile, draw_grid, signed_picture};
pub use search::{Hyperparameter, Tried, draw_search};

use anyhow::{Context, Result};
use image::RgbImage;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// `picture` as PNG with texts (key, value) that say where it comes from.
pub fn to_png(picture: &RgbImage, texts: &[(String, String)]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (key, text) in texts {
        // International text chunks: captions hold characters that Latin-1 lacks.
        encoder.add_itxt_chunk(key.clone(), text.clone())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.as_raw())?;
    writer.finish()?;
    Ok(bytes)
}

/// The header of a PNG: its size in pixels, and its texts (key, value).
pub(crate) struct PngHeader {
    pub width: u32,
    pub height: u32,
    pub texts: Vec<(String, String)>,
}

impl PngHeader {
    pub fn read(path: &Path) -> Result<PngHeader> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let reader = png::Decoder::new(BufReader::new(file)).read_info();
        let reader = reader.with_context(|| format!("{} is no PNG; remove it, or make it again", path.display()))?;
        let info = reader.info();
        let texts = info.utf8_text.iter().filter_map(|chunk| Some((chunk.keyword.clone(), chunk.get_text().ok()?))).collect();
        Ok(PngHeader { width: info.width, height: info.height, texts })
    }
}
