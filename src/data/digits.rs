//! Pictures of one handwritten digit, as MNIST has them.

use super::photographs::read;
use anyhow::{Result, ensure};
use image::{DynamicImage, GrayImage, Luma, imageops};

/// Height and width of an MNIST image, and of the box that its digit fills, in pixels.
pub(crate) const SIDE: u32 = 28;
const BOX: u32 = 20;

/// Larger pictures are reduced to this side first: a digit has no finer details.
const LARGEST: u32 = 512;
/// Brightness by which ink and paper differ at least, of 255.
const LEAST_CONTRAST: u8 = 24;
/// How dark paper may be, as a share of the ink: grain, shadows and what JPEG leaves around a stroke.
const PAPER: f32 = 0.15;
/// Ink at least as dark as this, of 255, is of the digit, not a speck beside it.
const STROKE: u8 = 64;

/// Decodes a picture of one digit on a plain background, of any size and colors, into `target`, `28 x 28` row by row, in MNIST's form:
/// ink up to 255 on 0, scaled with its proportions to a box of 20 x 20 and placed so that its center of mass is in the middle
/// (LeCun, Cortes and Burges, <http://yann.lecun.com/exdb/mnist/>).
///
/// # Errors
/// If the file is no image that can be read, or all of one color.
pub(crate) fn decode_digit(file: &[u8], target: &mut [u8]) -> Result<()> {
    let ink = ink(&read(file, true)?)?;
    let drawn = |(x, y, pixel): (u32, u32, &Luma<u8>)| (pixel.0[0] >= STROKE).then_some((x, y));
    let (columns, rows): (Vec<u32>, Vec<u32>) = ink.enumerate_pixels().filter_map(drawn).unzip();
    let span = |places: &[u32]| places.iter().min().zip(places.iter().max()).map_or((0, 1), |(least, most)| (*least, most - least + 1));
    let ((left, width), (top, height)) = (span(&columns), span(&rows));
    let longer = width.max(height);
    let scaled = |side: u32| ((side * BOX + longer / 2) / longer).max(1);
    let digit = imageops::crop_imm(&ink, left, top, width, height).to_image();
    let digit = imageops::resize(&digit, scaled(width), scaled(height), imageops::FilterType::Triangle);
    let (shift_x, shift_y) = (to_middle(&digit, |x, _| x), to_middle(&digit, |_, y| y));
    target.fill(0);
    for (x, y, pixel) in digit.enumerate_pixels() {
        let (x, y) = (i64::from(x) + shift_x, i64::from(y) + shift_y);
        if [x, y].iter().all(|place| (0..i64::from(SIDE)).contains(place)) {
            target[(y * i64::from(SIDE) + x) as usize] = pixel.0[0];
        }
    }
    Ok(())
}

/// Ink of each pixel, 0 to 255: the distance of its color from that of most of the border, whichever of the two is darker.
fn ink(picture: &DynamicImage) -> Result<GrayImage> {
    let is_large = picture.width().max(picture.height()) > LARGEST;
    let colors = if is_large { picture.thumbnail(LARGEST, LARGEST).into_rgba8() } else { picture.to_rgba8() };
    let (width, height) = colors.dimensions();
    // Transparent pixels are gray: black and white show on it.
    let channel = |x, y, channel: usize| {
        let [.., opacity] = colors.get_pixel(x, y).0.map(u32::from);
        ((u32::from(colors.get_pixel(x, y).0[channel]) * opacity + 128 * (255 - opacity)) / 255) as u8
    };
    let columns = (0..width).flat_map(|x| [(x, 0), (x, height - 1)]);
    let border: Vec<(u32, u32)> = columns.chain((0..height).flat_map(|y| [(0, y), (width - 1, y)])).collect();
    let paper = [0, 1, 2].map(|index| {
        let mut values: Vec<u8> = border.iter().map(|(x, y)| channel(*x, *y, index)).collect();
        values.sort_unstable();
        values[values.len() / 2]
    });
    let mut ink = GrayImage::from_fn(width, height, |x, y| {
        Luma([[0, 1, 2].map(|index| channel(x, y, index).abs_diff(paper[index])).into_iter().max().unwrap_or(0)])
    });
    let darkest = ink.pixels().map(|pixel| pixel.0[0]).max().unwrap_or(0);
    ensure!(darkest >= LEAST_CONTRAST, "no digit is to be seen: the picture is nearly all of one color");
    for Luma([value]) in ink.pixels_mut() {
        let share = f32::from(*value) / f32::from(darkest);
        *value = (255.0 * (share - PAPER).max(0.0) / (1.0 - PAPER)).round() as u8;
    }
    Ok(ink)
}

/// By how many pixels `digit` is to be moved so that the mean place of its ink is that of MNIST's digits: 14, where pixels count from 0.
fn to_middle(digit: &GrayImage, place: fn(u32, u32) -> u32) -> i64 {
    let sums = digit.enumerate_pixels().fold((0, 0), |(ink, moment), (x, y, pixel)| {
        let value = u64::from(pixel.0[0]);
        (ink + value, moment + value * u64::from(place(x, y)))
    });
    (f64::from(SIDE / 2) - sums.1 as f64 / sums.0.max(1) as f64).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::embedded;
    use image::{ImageFormat, Rgba, RgbaImage};
    use std::io::Cursor;

    fn decoded(picture: impl Into<DynamicImage>) -> Result<Vec<u8>> {
        let (mut file, mut target) = (Cursor::new(Vec::new()), vec![0; (SIDE * SIDE) as usize]);
        picture.into().write_to(&mut file, ImageFormat::Png)?;
        decode_digit(&file.into_inner(), &mut target)?;
        Ok(target)
    }

    /// A drawn digit, four times as large and with a margin, its ink and its paper of these colors.
    fn picture(digit: &[u8], ink: [u8; 4], paper: [u8; 4]) -> RgbaImage {
        let small = RgbaImage::from_fn(SIDE, SIDE, |x, y| {
            let share = f32::from(digit[(y * SIDE + x) as usize]) / 255.0;
            Rgba([0, 1, 2, 3].map(|channel| (share * f32::from(ink[channel]) + (1.0 - share) * f32::from(paper[channel])) as u8))
        });
        let large = imageops::resize(&small, 112, 112, imageops::FilterType::Triangle);
        let mut picture = RgbaImage::from_pixel(160, 140, Rgba(paper));
        imageops::overlay(&mut picture, &large, 13, 20);
        picture
    }

    #[test]
    fn a_digit_is_the_same_whatever_its_size_place_and_colors() -> Result<()> {
        let images = embedded::digits(20, 0, 3).0.images;
        let (black, white) = ([0, 0, 0, 255], [255; 4]);
        let others = [(black, white), ([30, 40, 160, 255], [230, 220, 200, 255]), (black, [0; 4]), (white, [255, 255, 255, 0])];
        let mut differing = [0; 4];
        for index in 0..20 {
            let digit = Vec::<u8>::try_from(images.get(index).flatten(0, -1))?;
            let expected = decoded(picture(&digit, white, black))?;
            for ((ink, paper), differing) in others.into_iter().zip(&mut differing) {
                let difference: u32 =
                    expected.iter().zip(decoded(picture(&digit, ink, paper))?).map(|(a, b)| u32::from(a.abs_diff(b))).sum();
                *differing += u32::from(difference > 4 * SIDE * SIDE);
            }
            let spans = [28, 1].map(|step| {
                let places = || expected.iter().enumerate().filter(|(_, ink)| **ink > 0).map(|(at, _)| at / step % 28);
                places().max().unwrap_or(0) + 1 - places().min().unwrap_or(0)
            });
            // The faintest row or column may be lost.
            assert!(spans.into_iter().max().is_some_and(|span| (18..=20).contains(&span)), "{spans:?}");
        }
        // A center of mass between two pixels may be rounded to the one or the other.
        assert!(differing.iter().all(|count| *count <= 1), "{differing:?}");
        Ok(())
    }

    #[test]
    fn without_a_digit_it_is_said_so() {
        let error = decoded(RgbaImage::from_pixel(40, 30, Rgba([200, 210, 220, 255]))).expect_err("all of one color").to_string();
        assert!(error.contains("no digit is to be seen"), "{error}");
        assert!(decoded(RgbaImage::from_fn(1, 3, |_, y| Rgba([if y == 1 { 255 } else { 0 }; 4]))).is_ok());
    }
}
