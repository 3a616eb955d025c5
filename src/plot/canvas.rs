//! An empty picture to draw on, larger than it is written.

use super::style::{OVERSAMPLING, SMALL, at, bold, load_font, scaled, text};
use anyhow::{Context, Result, anyhow};
use image::{RgbImage, imageops};
use plotters::coord::Shift;
use plotters::prelude::*;

pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A white picture of this size, in pixels of the written picture.
pub struct Canvas {
    width: u32,
    height: u32,
}

impl Canvas {
    pub fn new(width: u32, height: u32) -> Canvas {
        Canvas { width, height }
    }

    /// What `paint` draws; `title` is for messages.
    pub fn paint(&self, title: &str, paint: impl FnOnce(&Area) -> Result<()>) -> Result<RgbImage> {
        load_font();
        let (width, height) = (scaled(self.width), scaled(self.height));
        let mut buffer = vec![0; (width * height * 3) as usize];
        {
            let area = BitMapBackend::with_buffer(&mut buffer, (width, height)).into_drawing_area();
            area.fill(&WHITE).map_err(|error| anyhow!("cannot draw {title}: {error}"))?;
            paint(&area).map_err(|error| anyhow!("cannot draw {title}: {error:#}"))?;
            area.present().map_err(|error| anyhow!("cannot draw {title}: {error}"))?;
        }
        let large = RgbImage::from_raw(width, height, buffer).context("a picture of the size asked for")?;
        Ok(imageops::thumbnail(&large, width / OVERSAMPLING, height / OVERSAMPLING))
    }
}

/// The title of a picture, and a line below it.
pub fn paint_title(area: &Area, title: &str, line: &str) -> Result<()> {
    area.draw(&Text::new(title, at(20, 10), bold(22)))?;
    Ok(area.draw(&Text::new(line, at(20, 42), text(SMALL)))?)
}
