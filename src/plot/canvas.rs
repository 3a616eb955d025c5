//! An empty picture to draw on, larger than it is written.

use super::style::{SMALL, at, bold, load_font, scaled, text};
use anyhow::{Context, Result, anyhow};
use image::{RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;

pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// The picture that `paint` draws on white, `width` and `height` in pixels of the written picture; `title` is for messages.
pub fn picture(title: &str, [width, height]: [u32; 2], paint: impl FnOnce(&Area) -> Result<()>) -> Result<RgbImage> {
    load_font();
    let (large_width, large_height) = (scaled(width), scaled(height));
    let mut buffer = vec![0; (large_width * large_height * 3) as usize];
    let draw = |buffer: &mut [u8]| -> Result<()> {
        let area = BitMapBackend::with_buffer(buffer, (large_width, large_height)).into_drawing_area();
        area.fill(&WHITE)?;
        paint(&area)?;
        Ok(area.present()?)
    };
    draw(&mut buffer).map_err(|error| anyhow!("cannot draw {title}: {error:#}"))?;
    let large = RgbImage::from_raw(large_width, large_height, buffer).context("a picture of the size asked for")?;
    Ok(imageops::thumbnail(&large, width, height))
}

/// The title of a picture, and a line below it.
pub fn paint_title(area: &Area, title: &str, line: &str) -> Result<()> {
    area.draw(&Text::new(title, at(20, 10), bold(22)))?;
    Ok(area.draw(&Text::new(line, at(20, 42), text(SMALL)))?)
}
