//! Small images in rows under headings.

use super::canvas::{Area, paint_title, picture};
use super::style::{BODY, INK, OVERSAMPLING, at, bold, centered, scaled, text};
use anyhow::Result;
use image::{Rgb, RgbImage, imageops};
use plotters::prelude::*;

/// An image with what is written under it.
#[derive(Clone, Debug)]
pub struct Tile {
    pub image: RgbImage,
    pub caption: String,
}

#[derive(Clone, Debug)]
pub struct Section {
    pub heading: String,
    pub tiles: Vec<Tile>,
}

const TILE: u32 = 112;
const GAP: u32 = 8;
const CAPTION: u32 = 20;
const TITLE: u32 = 66;
const HEADING: u32 = 34;

/// Draws `sections` below each other, with so many tiles in a row. Each image fills its place; its pixels stay sharp.
pub fn draw_grid(title: &str, subtitle: &str, sections: &[Section], columns: u32) -> Result<RgbImage> {
    let rows = |section: &Section| (section.tiles.len() as u32).div_ceil(columns);
    let row_height = TILE + CAPTION + GAP;
    let height: u32 = sections.iter().map(|section| HEADING + rows(section) * row_height).sum();
    picture(title, [columns * (TILE + GAP) + GAP + 20, TITLE + height + GAP], |area| {
        paint_title(area, title, subtitle)?;
        let mut top = TITLE;
        for section in sections {
            area.draw(&Text::new(section.heading.as_str(), at(20, top + 8), bold(BODY)))?;
            top += HEADING;
            for (index, tile) in section.tiles.iter().enumerate() {
                let (row, column) = (index as u32 / columns, index as u32 % columns);
                paint_tile(area, tile, 20 + column * (TILE + GAP), top + row * row_height)?;
            }
            top += rows(section) * row_height;
        }
        Ok(())
    })
}

/// Values, row by row, from blue for `-largest` by white for 0 to red for `largest`: a picture with a pixel for each.
pub fn signed_picture(values: &[f32], width: u32, largest: f32) -> RgbImage {
    let color = |value: f32| {
        let faded = (255.0 * (1.0 - (value / largest).abs())) as u8;
        if value < 0.0 { Rgb([faded, faded, 255]) } else { Rgb([255, faded, faded]) }
    };
    RgbImage::from_fn(width, values.len() as u32 / width, |x, y| color(values[(y * width + x) as usize]))
}

fn paint_tile(area: &Area, tile: &Tile, left: u32, top: u32) -> Result<()> {
    let side = scaled(TILE);
    let place = at(left, top);
    let large = imageops::resize(&tile.image, side, side, imageops::FilterType::Nearest);
    BitMapElement::with_owned_buffer(place, (side, side), large.into_raw()).map_or(Ok(()), |image| area.draw(&image))?;
    let corners = [place, (place.0 + side as i32, place.1 + side as i32)];
    area.draw(&Rectangle::new(corners, INK.mix(0.3).stroke_width(OVERSAMPLING)))?;
    Ok(area.draw(&Text::new(tile.caption.as_str(), at(left + TILE / 2, top + TILE + 4), centered(text(13))))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_is_in_its_place() -> Result<()> {
        let tile = |red| Tile { image: RgbImage::from_pixel(3, 3, Rgb([red, 10, 20])), caption: "x".to_owned() };
        let section = |reds: &[u8]| Section { heading: "h".to_owned(), tiles: reds.iter().map(|red| tile(*red)).collect() };
        let picture = draw_grid("t", "s", &[section(&[40, 80, 120]), section(&[160])], 2)?;
        let middle = |column: u32, top: u32| picture.get_pixel(20 + column * (TILE + GAP) + TILE / 2, top + TILE / 2).0[0];
        let (first, row) = (TITLE + HEADING, TILE + CAPTION + GAP);
        let second = first + 2 * row + HEADING;
        assert_eq!([middle(0, first), middle(1, first), middle(0, first + row), middle(0, second)], [40, 80, 120, 160]);
        assert_eq!(middle(1, first + row), 255, "no fourth tile");
        Ok(())
    }

    #[test]
    fn signed_values_are_on_one_scale_with_white_at_zero() {
        let pixels = |values: &[f32]| signed_picture(values, 2, 2.0).pixels().map(|pixel| pixel.0).collect::<Vec<_>>();
        assert_eq!(pixels(&[0.0, 2.0, -1.0, 1.0]), [[255; 3], [255, 0, 0], [127, 127, 255], [255, 127, 127]]);
    }
}
