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

use anyhow::Result;
use image::RgbImage;

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
