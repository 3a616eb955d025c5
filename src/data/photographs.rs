//! Image files as tensors of one size.

use super::archive::Archive;
use anyhow::{Context, Result, ensure};
use image::{DynamicImage, ImageFormat, ImageReader, Limits, RgbImage, imageops};
use rayon::prelude::*;
use std::io::Cursor;
use tch::{Kind, Tensor};

/// Height and width that every image is brought to, in pixels.
pub const SIDE: u32 = 64;

/// The most that an image may claim for itself: a file of a few bytes can claim 65,535 x 65,535 pixels.
const LARGEST_SIDE: u32 = 12_000;
const LARGEST_MEMORY: u64 = 512 << 20;

/// What became of some image files.
#[derive(Debug)]
pub struct Decoded {
    /// uint8, `[n, 3, 64, 64]`: the good ones, in the order asked for.
    pub images: Tensor,
    /// The places, in the order asked for, of the good ones.
    pub good: Vec<usize>,
    /// The places of the others, with the reason.
    pub bad: Vec<(usize, String)>,
}

/// Decodes the files in the places `wanted` of `archive`, on all cores.
///
/// # Errors
/// If the archive itself cannot be read. An image that cannot be decoded is told of, not an error.
pub fn decode_all(archive: &Archive, wanted: &[usize]) -> Result<Decoded> {
    let size = (3 * SIDE * SIDE) as usize;
    let mut pixels = vec![0_u8; wanted.len() * size];
    // A reader for each share of the files: opening a zip reads its whole list.
    let share = wanted.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let results: Vec<Vec<Result<()>>> = pixels
        .par_chunks_mut(share * size)
        .zip(wanted.par_chunks(share))
        .map(|(pixels, places)| {
            let mut reader = archive.reader()?;
            let one = |(target, place): (&mut [u8], &usize)| decode(&reader.read(*place)?, target);
            Ok(pixels.chunks_mut(size).zip(places).map(one).collect())
        })
        .collect::<Result<_>>()?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (index, result) in results.into_iter().flatten().enumerate() {
        match result {
            Ok(()) => good.push(index),
            Err(error) => bad.push((index, format!("{error:#}"))),
        }
    }
    let side = i64::from(SIDE);
    let images = Tensor::from_slice(&pixels).view([-1, 3, side, side]);
    let images = if bad.is_empty() {
        images
    } else {
        images.index_select(0, &Tensor::from_slice(&good.iter().map(|index| *index as i64).collect::<Vec<_>>()))
    };
    debug_assert_eq!(images.kind(), Kind::Uint8);
    Ok(Decoded { images, good, bad })
}

/// Decodes one image file into `target`: red, then green, then blue, each 64 x 64, row by row.
///
/// # Errors
/// If the file is no JPEG, PNG, BMP or GIF image, is broken off or damaged, or claims more than any photograph has.
pub fn decode(file: &[u8], target: &mut [u8]) -> Result<()> {
    ensure!(!file.is_empty(), "the file is empty");
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    let format = reader.format().context("this is no image: its first bytes are those of no JPEG, PNG, BMP or GIF")?;
    if format == ImageFormat::Jpeg {
        // The decoder fills in what is missing with grey, and says nothing.
        ensure!(file.windows(2).any(|pair| pair == [0xff, 0xd9]), "the JPEG is broken off: it has no end");
    }
    let mut limits = Limits::no_limits();
    (limits.max_image_width, limits.max_image_height, limits.max_alloc) = (Some(LARGEST_SIDE), Some(LARGEST_SIDE), Some(LARGEST_MEMORY));
    reader.limits(limits);
    let picture = reader.decode()?;
    let picture = match picture {
        picture if (picture.width(), picture.height()) == (SIDE, SIDE) => picture,
        picture => DynamicImage::ImageRgb8(imageops::resize(&picture.to_rgb8(), SIDE, SIDE, imageops::FilterType::Triangle)),
    };
    let picture = picture.into_rgb8();
    let plane = (SIDE * SIDE) as usize;
    let (red, rest) = target.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for (index, pixel) in picture.pixels().enumerate() {
        [red[index], green[index], blue[index]] = pixel.0;
    }
    Ok(())
}

/// Whether a file is an image, by its name.
pub fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_lowercase());
    ["jpg", "jpeg", "png", "bmp", "gif"].contains(&extension.as_str())
}

/// An image, uint8 `[3, height, width]`, as a picture to draw.
pub fn to_picture(image: &Tensor) -> Result<RgbImage> {
    let (_, height, width) = image.size3()?;
    let pixels = Vec::<u8>::try_from(image.permute([1, 2, 0]).flatten(0, -1))?;
    RgbImage::from_raw(width as u32, height as u32, pixels).context("three values a pixel")
}
