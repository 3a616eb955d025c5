//! Image files as tensors of one size.

use super::archive::Archive;
use super::jpeg;
use anyhow::{Context, Result, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, imageops};
use rayon::prelude::*;
use std::io::Cursor;
use tch::Tensor;

/// Height and width that every image is brought to, in pixels.
pub(crate) const SIDE: u32 = 64;

/// The most that an image may claim for itself: a file of a few bytes can claim 65,535 x 65,535 pixels.
const LARGEST_SIDE: u32 = 20_000;
const LARGEST_MEMORY: u64 = 1 << 30;

/// Decoded image files, and those that could not be decoded.
#[derive(Debug)]
pub struct Decoded {
    /// uint8, `[n, channels, height, width]`: the good ones, in the order asked for.
    pub images: Tensor,
    /// The places, in the order asked for, of the good ones.
    pub good: Vec<usize>,
    /// The places of the others, with the reason.
    pub bad: Vec<(usize, String)>,
}

/// The formats that are read, for messages.
const FORMATS: &str = "JPEG, PNG, BMP, GIF or WebP";

/// Decodes the files in the places `wanted` of `archive`, on all cores, into images of `shape`, `[channels, height, width]`.
pub fn decode_all(archive: &Archive, wanted: &[usize], shape: [u32; 3], decode: fn(&[u8], &mut [u8]) -> Result<()>) -> Decoded {
    let size = shape.iter().product::<u32>() as usize;
    let mut pixels = vec![0_u8; wanted.len() * size];
    let decode_one = |(target, place): (&mut [u8], &usize)| decode(&archive.read(*place)?, target);
    let results: Vec<Result<()>> = pixels.par_chunks_mut(size).zip(wanted).map(decode_one).collect();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(()) => good.push(index),
            Err(error) => bad.push((index, format!("{error:#}"))),
        }
    }
    let [channels, height, width] = shape.map(i64::from);
    let mut images = Tensor::from_slice(&pixels).view([-1, channels, height, width]);
    if !bad.is_empty() {
        images = images.index_select(0, &Tensor::from_slice(&good.iter().map(|index| *index as i64).collect::<Vec<_>>()));
    }
    Decoded { images, good, bad }
}

/// Decodes one image file into `target`: red, then green, then blue, each 64 x 64, row by row; of an animation the first image.
///
/// The image stays as it is stored: an orientation in its EXIF data is ignored, as PIL and torchvision do, by which data sets like these
/// are read elsewhere.
///
/// # Errors
/// If the file is no JPEG, PNG, BMP, GIF or WebP image, is broken off or damaged, is of a kind that cannot be decoded rightly, or claims
/// more than any photograph has.
pub fn decode(file: &[u8], target: &mut [u8]) -> Result<()> {
    write(read(file, false)?, target);
    Ok(())
}

/// As [`decode`], but turned as the orientation in its EXIF data says: phones and cameras store photos as the sensor lies.
pub(crate) fn decode_upright(file: &[u8], target: &mut [u8]) -> Result<()> {
    write(read(file, true)?, target);
    Ok(())
}

/// The image in a file, as it is stored or turned upright.
pub(crate) fn read(file: &[u8], is_upright: bool) -> Result<DynamicImage> {
    ensure!(!file.is_empty(), "the file is empty");
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    match reader.format() {
        Some(ImageFormat::Jpeg) => jpeg::check(file)?,
        Some(format) if format.reading_enabled() => {}
        _ => bail!(not_read(file)),
    }
    let mut limits = Limits::no_limits();
    (limits.max_image_width, limits.max_image_height, limits.max_alloc) = (Some(LARGEST_SIDE), Some(LARGEST_SIDE), Some(LARGEST_MEMORY));
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    // Damaged metadata do not make an image unreadable.
    let orientation = if is_upright { decoder.orientation().ok() } else { None };
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(picture)
}

/// Writes `picture` as 64 x 64 pixels into `target`: red, then green, then blue.
fn write(picture: DynamicImage, target: &mut [u8]) {
    let mut picture = picture.into_rgb8();
    if picture.dimensions() != (SIDE, SIDE) {
        picture = imageops::resize(&picture, SIDE, SIDE, imageops::FilterType::Triangle);
    }
    for (channel, plane) in target.chunks_exact_mut((SIDE * SIDE) as usize).enumerate() {
        plane.iter_mut().zip(picture.pixels()).for_each(|(value, pixel)| *value = pixel.0[channel]);
    }
}

/// Why a file of another format is not read, and what to do about it.
fn not_read(file: &[u8]) -> String {
    let Some(kind) = infer::get(file) else { return format!("this is no image: its first bytes are those of no {FORMATS}") };
    let found = kind.extension().to_uppercase();
    match kind.matcher_type() {
        infer::MatcherType::Image => format!("not read: {found}, expected {FORMATS}; convert it to JPEG or PNG"),
        _ => format!("this is no image but {found}, expected {FORMATS}"),
    }
}

/// Whether a file is an image that is read, by its name.
pub(crate) fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_lowercase());
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp"].contains(&extension.as_str())
}

/// An image, uint8 `[3, height, width]`, or gray `[1, height, width]`, as a picture to draw.
pub fn to_picture(image: &Tensor) -> Result<RgbImage> {
    let (_, height, width) = image.size3()?;
    let pixels = Vec::<u8>::try_from(image.expand([3, height, width], false).permute([1, 2, 0]).flatten(0, -1))?;
    RgbImage::from_raw(width as u32, height as u32, pixels).context("three values a pixel")
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    const PLANE: usize = (SIDE * SIDE) as usize;

    /// A picture whose quarters have different colors, row by row.
    const QUARTERS: [[u8; 3]; 4] = [[200, 60, 60], [60, 200, 60], [60, 60, 200], [180, 180, 180]];

    fn quarters(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb(QUARTERS[(2 * (2 * y / height) + 2 * x / width) as usize]))
    }

    fn written(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).expect("encoded");
        file.into_inner()
    }

    fn jpeg(options: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 95);
        options(&mut encoder);
        encoder.encode(quarters(96, 80).as_raw(), 96, 80, ColorType::Rgb).expect("encoded");
        file
    }

    /// `jpeg` with a segment behind its first two bytes.
    fn with_segment(jpeg: &[u8], marker: u8, contents: &[u8]) -> Vec<u8> {
        let length = (contents.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, marker], &length, contents, &jpeg[2..]].concat()
    }

    /// The color in the middle of each quarter, to the nearest twenty.
    fn middles(decode: fn(&[u8], &mut [u8]) -> Result<()>, file: &[u8]) -> Result<[[u8; 3]; 4]> {
        let mut pixels = vec![0; 3 * PLANE];
        decode(file, &mut pixels)?;
        let side = SIDE as usize;
        let near = |value: u8| (u16::from(value) + 10) / 20 * 20;
        let at = |row: usize, column: usize| [0, 1, 2].map(|plane| near(pixels[plane * PLANE + row * side + column]) as u8);
        Ok([at(16, 16), at(16, 48), at(48, 16), at(48, 48)])
    }

    fn refused(file: &[u8]) -> String {
        format!("{:#}", middles(decode, file).expect_err("refused"))
    }

    #[test]
    fn a_jpeg_that_is_broken_off_is_refused_whatever_images_its_segments_hold() -> Result<()> {
        let thumbnail = jpeg(|_| {});
        let prefixes: [(u8, &[u8]); 5] =
            [(0xe0, b"JFXX\0\x10"), (0xe1, b"Exif\0\0"), (0xe2, b"MPF\0"), (0xe2, b"ICC_PROFILE\0\x01\x01"), (0xed, b"Photoshop 3.0\0")];
        let others = (0xe0..=0xef).chain([0xfe]).map(|marker| (marker, &b""[..]));
        for progressive in [false, true] {
            let image = jpeg(|encoder| encoder.set_progressive(progressive));
            for (marker, prefix) in prefixes.into_iter().chain(others.clone()) {
                let file = with_segment(&image, marker, &[prefix, &thumbnail].concat());
                let header = file.len() - image.len();
                for kept in [file.len() - 150, header / 2, header + 40, file.len() - 2] {
                    let reason = refused(&file[..kept]);
                    assert!(reason.contains("broken off"), "{marker:x}, {kept} of {}: {reason}", file.len());
                }
                for after in [&b""[..], &[0; 9], &thumbnail, &thumbnail[..99]] {
                    assert_eq!(middles(decode, &[&file, after].concat())?, QUARTERS, "{marker:x}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn files_of_other_formats_that_are_broken_off_are_refused() -> Result<()> {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::WebP] {
            let file = written(&quarters(96, 80), format);
            assert_eq!(middles(decode, &file)?, QUARTERS, "{format:?}");
            refused(&file[..file.len() / 2]);
        }
        Ok(())
    }

    #[test]
    fn a_jpeg_is_decoded_rightly_or_refused() -> Result<()> {
        use SamplingFactor::*;
        let all = [F_1_1, F_2_1, F_1_2, F_2_2, F_4_1, F_4_2, F_1_4, F_2_4];
        for sampling in all {
            let file = jpeg(|encoder| {
                encoder.set_sampling_factor(sampling);
                encoder.set_progressive(true);
            });
            assert_eq!(middles(decode, &file)?, QUARTERS, "{sampling:?}, progressive");
        }
        for sampling in [F_1_1, F_2_1, F_1_2, F_2_2] {
            let file = jpeg(|encoder| {
                encoder.set_sampling_factor(sampling);
                encoder.set_restart_interval(5);
            });
            assert_eq!(middles(decode, &file)?, QUARTERS, "{sampling:?}");
        }
        // Where it optimizes tables, and for factors of 4, the encoder writes a scan for each component.
        let scans = |sampling| {
            jpeg(|encoder| {
                encoder.set_sampling_factor(sampling);
                encoder.set_optimized_huffman_tables(true);
            })
        };
        for sampling in all {
            match sampling {
                F_1_1 | F_2_1 => assert_eq!(middles(decode, &scans(sampling))?, QUARTERS, "{sampling:?}"),
                _ => assert!(refused(&scans(sampling)).contains("a scan for each component"), "{sampling:?}"),
            }
        }
        let restarts = with_segment(&scans(F_1_1), 0xdd, &[0, 3]);
        assert!(refused(&restarts).contains("a scan for each component"));
        Ok(())
    }

    #[test]
    fn a_jpeg_whose_first_component_is_not_the_finest_is_refused() -> Result<()> {
        let file = jpeg(|encoder| encoder.set_sampling_factor(SamplingFactor::F_1_1));
        let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).context("a frame")? + 2;
        let sampled = |factors: [u8; 3]| {
            let mut file = file.clone();
            (0..3).for_each(|component| file[frame + 9 + 3 * component] = factors[component]);
            file
        };
        assert_eq!(middles(decode, &sampled([0x11, 0x11, 0x11]))?, QUARTERS);
        for factors in [[0x11, 0x21, 0x21], [0x11, 0x12, 0x12], [0x21, 0x22, 0x11], [0x32, 0x21, 0x21], [0x13, 0x12, 0x11]] {
            assert!(refused(&sampled(factors)).contains("finest"), "{factors:x?}");
        }
        let mut two = file[..frame + 14].to_vec();
        (two[frame + 1], two[frame + 7]) = (14, 2);
        two.extend(&file[frame + 17..]);
        assert!(refused(&two).contains("2 components"));
        Ok(())
    }

    #[test]
    fn a_format_is_told_by_the_contents_and_named_where_it_is_not_read() -> Result<()> {
        let cases: [(&[u8], &str); 5] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
            (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "AVIF"),
            (b"II*\0\x08\0\0\0\x01\0", "TIF"),
            (b"%PDF-1.7", "no image but PDF"),
            (b"words", "no image"),
        ];
        for (file, named) in cases {
            let reason = refused(file);
            assert!(reason.contains(named) && reason.contains("JPEG, PNG, BMP, GIF or WebP"), "{reason}");
        }
        Ok(())
    }

    #[test]
    fn names_of_images_have_an_ending_of_a_format_that_is_read() {
        for name in ["a.jpg", "a/b.JPEG", "a.jpe", "a.JFIF", "a.png", "a.bmp", "a.gif", "a.b.webp"] {
            assert!(is_image(name), "{name}");
        }
        for name in ["a.heic", "jpg", "a.jpg/b", "a.jpg.txt", ""] {
            assert!(!is_image(name), "{name}");
        }
    }

    #[test]
    fn an_orientation_is_undone_for_upright_images_alone() -> Result<()> {
        let [a, b, c, d] = QUARTERS;
        // As EXIF 2.3 defines them: where the first row and the first column of what is stored lie.
        let upright = [[a, b, c, d], [b, a, d, c], [d, c, b, a], [c, d, a, b], [a, c, b, d], [c, a, d, b], [d, b, c, a], [b, d, a, c]];
        let stored = jpeg(|_| {});
        for (orientation, expected) in (1..).zip(upright) {
            let exif = [&b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[orientation, 0, 0, 0, 0, 0, 0]].concat();
            let file = with_segment(&stored, 0xe1, &exif);
            assert_eq!(middles(decode_upright, &file)?, expected, "{orientation}");
            assert_eq!(middles(decode, &file)?, QUARTERS, "{orientation}");
        }
        let damaged = with_segment(&stored, 0xe1, b"Exif\0\0MM\0*\xff\xff\xff\xff");
        assert_eq!(middles(decode_upright, &damaged)?, QUARTERS);
        Ok(())
    }
}
