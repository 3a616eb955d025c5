//! Predictions for a user's own images.

use super::Run;
use super::flags::reads_photographs;
use super::progress::Progress;
use super::weights;
use crate::data::archive::Archive;
use crate::data::digits::{self, decode_digit};
use crate::data::photographs::{self, Decoded, decode_all, decode_upright, to_picture};
use crate::data::splits::Inputs;
use crate::data::{Examples, cats_dogs, mnist};
use crate::experiment::Experiment;
use crate::plot::{Section, Tile, draw_grid, thousands, to_png};
use crate::table;
use crate::train::{logits, predictions};
use alphanumeric_sort::compare_str;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Image shape, classes and decoder for one kind of network.
struct Images {
    /// `[channels, height, width]`.
    shape: [u32; 3],
    classes: &'static [&'static str],
    decode: fn(&[u8], &mut [u8]) -> Result<()>,
}

const PHOTOGRAPHS: Images =
    Images { shape: [3, photographs::SIDE, photographs::SIDE], classes: &cats_dogs::CLASSES, decode: decode_upright };
const DIGITS: Images = Images { shape: [1, digits::SIDE, digits::SIDE], classes: &mnist::CLASSES, decode: decode_digit };

/// Number of images decoded and classified at a time.
const AT_A_TIME: usize = 256;
/// Number of images in the picture, each with the evidence for its class.
const DRAWN: usize = 52;
const COLUMNS: u32 = 8;
/// Number of files that an error names.
const NAMED: usize = 10;

/// A file with its class and the probability of that; or with the reason why it cannot be read.
type Row = (String, Result<(&'static str, f64), String>);

/// The predicted class of each image, as a number, with its probability; and the evidence for it (see [`crate::model::Model::explain`]) in
/// the first ones, as many as are drawn.
type Predictions = (Vec<(i64, f64)>, Tensor);

/// Classifies the image `path`, or each file in the folder or zip `path`, with the network of this example that was trained last, else with
/// the committed one; prints a table and writes `<out>/<name>_predictions.csv` and `<out>/<name>_predictions.png`.
///
/// The CSV has a line `file,prediction,probability,reason` for each file, in the natural order of their names (2 before 10). Where a file
/// cannot be read as an image, `prediction` and `probability` are empty and `reason` says why. Files are read by their contents, whatever
/// their names, and turned upright as their EXIF data say. The picture shows the first fifty or so, and beside each in red
/// what speaks for its class.
pub(super) fn write_predictions(run: &Run, path: &Path) -> Result<()> {
    let images = if reads_photographs(run.name) { PHOTOGRAPHS } else { DIGITS };
    let archive = open(path)?;
    let (model, experiment, what) = weights::find(run, images.shape.map(i64::from), images.classes.len() as i64)?;
    let predict = |pixels: &Tensor, drawn: usize| -> Result<Predictions> {
        let inputs = inputs(pixels, &experiment, run.device)?;
        let predicted = predictions(&logits(&*model, &inputs))?;
        let classes: Vec<i64> = predicted.iter().take(drawn).map(|(class, _)| *class).collect();
        let first = inputs.range(0, classes.len() as i64).images;
        Ok((predicted, model.explain(&first, &Tensor::from_slice(&classes).to_device(run.device))))
    };
    let (rows, tiles) = classify(&archive, &images, run.flags.quiet, predict)?;
    let good = count_readable(path, &rows)?;
    run.write_output("_predictions.csv", &to_csv(&rows)?)?;

    let title = format!("Predictions for {}", path.display());
    let heading = heading(tiles.len() / 2, good);
    let picture = draw_grid(&title, &what, &[Section { heading: heading.clone(), tiles }], COLUMNS)?;
    let png = to_png(&picture, &super::provenance::text_chunks(run, &title)?)?;
    run.write_output("_predictions.png", &png)?;
    run.show_picture(&format!("{}_predictions", run.name), &picture, &png)?;

    let mut table = table::new(["file", "prediction", "probability"]);
    for (file, result) in &rows {
        match result {
            Ok((class, probability)) => table.add_row([file, *class, &percent(*probability)]),
            Err(reason) => table.add_row([file, "cannot be read", reason]),
        };
    }
    say!("{table}");
    let bad = rows.len() - good;
    let bad = if bad == 0 { String::new() } else { format!(" Files that cannot be read: {}.", thousands(bad as i64)) };
    say!("The picture shows {heading}.{bad}");
    Ok(())
}

/// Images, uint8 `[n, channels, height, width]`, as the network of `experiment` takes them.
pub(super) fn inputs(images: &Tensor, experiment: &Experiment, device: Device) -> Result<Inputs> {
    let labels = Tensor::zeros([images.size()[0]], (Kind::Int64, Device::Cpu));
    Inputs::new(&Examples { images: images.shallow_clone(), labels }, experiment.normalization.as_ref(), None, device)
}

/// A folder, a zip, or any other file alone.
fn open(path: &Path) -> Result<Archive> {
    let mut first = Vec::new();
    if path.is_file() {
        File::open(path)
            .and_then(|file| file.take(2).read_to_end(&mut first))
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    let is_called_zip = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
    if path.is_file() && !is_called_zip && first != b"PK" { Archive::single(path) } else { Archive::open(path) }
}

/// A row for every file of `archive`, in the natural order of their names, and two tiles for each of the first images: the image, and what
/// speaks for its class. `predict` is asked about some images, uint8 `[n, channels, height, width]`, of which so many are drawn.
fn classify(
    archive: &Archive,
    images: &Images,
    quiet: bool,
    predict: impl Fn(&Tensor, usize) -> Result<Predictions>,
) -> Result<(Vec<Row>, Vec<Tile>)> {
    let names: Vec<&str> = archive.names().collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|one, other| compare_str(names[*one], names[*other]));
    let progress = Progress::new(names.len() as u64, quiet);
    let (mut rows, mut tiles): (Vec<Row>, Vec<Tile>) = (Vec::new(), Vec::new());
    for places in order.chunks(AT_A_TIME) {
        let Decoded { images: pixels, good, bad } = decode_all(archive, places, images.shape, images.decode);
        let drawn = (DRAWN - tiles.len() / 2).min(good.len());
        let (predicted, evidence) = if good.is_empty() { (Vec::new(), pixels.shallow_clone()) } else { predict(&pixels, drawn)? };
        for (index, (class, probability)) in (0..).zip(&predicted) {
            let class = images.classes[*class as usize];
            rows.push((names[places[good[index]]].to_owned(), Ok((class, *probability))));
            if index < drawn {
                let (image, evidence) = (pixels.get(index as i64), evidence.get(index as i64));
                tiles.push(Tile { image: to_picture(&image)?, caption: format!("{class}, {}", percent(*probability)) });
                let caption = if evidence.size() == image.size()[1..] { "saliency" } else { "class activation" };
                tiles.push(Tile { image: to_picture(&reddened(&image, &evidence)?)?, caption: caption.to_owned() });
            }
        }
        rows.extend(bad.into_iter().map(|(index, reason)| (names[places[index]].to_owned(), Err(reason))));
        progress.advance(places.len() as u64);
        progress.say(format!("{} of {} files", thousands(rows.len() as i64), thousands(names.len() as i64)), rows.len() == names.len());
    }
    rows.extend(archive.unread().iter().map(|(name, reason)| (name.clone(), Err(reason.clone()))));
    rows.sort_by(|(one, _), (other, _)| compare_str(one, other));
    Ok((rows, tiles))
}

/// The number of images that can be read; none is an error that says what is there instead.
fn count_readable(path: &Path, rows: &[Row]) -> Result<usize> {
    let good = rows.iter().filter(|(_, result)| result.is_ok()).count();
    if good == 0 {
        let named = rows.iter().filter_map(|(file, result)| Some(format!("{file} ({})", result.as_ref().err()?)));
        let named = named.take(NAMED).collect::<Vec<_>>().join(", ");
        let others = rows.len().saturating_sub(NAMED);
        let others = if others == 0 { String::new() } else { format!(" and {} more", thousands(others as i64)) };
        let found = if rows.is_empty() { "there are no files in it" } else { &named };
        bail!("found no image that can be read in {}: {found}{others}", path.display());
    }
    Ok(good)
}

fn to_csv(rows: &[Row]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["file", "prediction", "probability", "reason"])?;
    for (file, result) in rows {
        match result {
            Ok((class, probability)) => writer.write_record([file, *class, &probability.to_string(), ""])?,
            Err(reason) => writer.write_record([file, "", "", reason])?,
        }
    }
    Ok(writer.into_inner()?)
}

/// `image`, uint8 `[channels, height, width]`, in gray, and in red where `evidence`, `[rows, columns]`, is large.
fn reddened(image: &Tensor, evidence: &Tensor) -> Result<Tensor> {
    let (_, height, width) = image.size3()?;
    let above = evidence.to_device(image.device()).to_kind(Kind::Float) - evidence.min().double_value(&[]);
    let share = &above / above.max().clamp_min(1e-12);
    let share = share.unsqueeze(0).unsqueeze(0).upsample_bilinear2d([height, width], false, None, None).squeeze_dim(0) * 0.7;
    let gray = image.to_kind(Kind::Float).mean_dim(0, true, None::<Kind>);
    let red = Tensor::from_slice(&[255.0_f32, 0.0, 0.0]).view([3, 1, 1]);
    Ok(gray.lerp_tensor(&red, &share).to_kind(Kind::Uint8))
}

fn heading(drawn: usize, good: usize) -> String {
    let all = format!("{} {}", thousands(good as i64), if good == 1 { "image" } else { "images" });
    if drawn == good { all } else { format!("{drawn} of {all} (the first)") }
}

fn percent(probability: f64) -> String {
    format!("{:.1} %", 100.0 * probability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};
    use std::io::{Cursor, Write};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// An image of a brightness, darker in its upper half.
    fn image(brightness: u8, format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(48, 48, |_, y| Rgb([if y < 24 { brightness - 40 } else { brightness }; 3]));
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).expect("encoded");
        file.into_inner()
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let scratch = tempfile::tempdir().expect("a folder");
        for (name, contents) in files {
            let path = scratch.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, contents).expect("written");
        }
        scratch
    }

    /// Light images are of cats; the probability is the brightness to the nearest tenth.
    fn by_brightness(images: &Tensor, drawn: usize) -> Result<Predictions> {
        let means = images.to_kind(tch::Kind::Double).mean_dim([1_i64, 2, 3].as_slice(), false, tch::Kind::Double) / 255.0;
        let means = Vec::<f64>::try_from(means)?;
        let predicted = means.into_iter().map(|mean| (i64::from(mean <= 0.5), (10.0 * mean).round() / 10.0)).collect();
        Ok((predicted, images.narrow(0, 0, drawn as i64).mean_dim(1, false, Kind::Float)))
    }

    #[test]
    fn every_file_has_a_line_in_the_natural_order_of_the_names() -> Result<()> {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
        let scratch = folder(&[
            ("10.png", image(225, ImageFormat::Png)),
            ("2.jpe", image(122, ImageFormat::Jpeg)),
            ("3.jfif", image(122, ImageFormat::Jpeg)),
            ("4.webp", image(225, ImageFormat::WebP)),
            ("5.jpg", image(225, ImageFormat::WebP)),
            ("6.heic", heic),
            ("7.jpg", b"\xff\xd8\xff\xe0".to_vec()),
            ("more/1", image(122, ImageFormat::Gif)),
            ("notes.txt", b"words".to_vec()),
        ]);
        let (rows, tiles) = classify(&open(scratch.path())?, &PHOTOGRAPHS, true, by_brightness)?;
        let csv = String::from_utf8(to_csv(&rows)?)?;
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "file,prediction,probability,reason");
        assert_eq!(lines[1..5], ["2.jpe,Dog,0.4,", "3.jfif,Dog,0.4,", "4.webp,Cat,0.8,", "5.jpg,Cat,0.8,"]);
        assert!(lines[5].starts_with("6.heic,,,") && lines[5].contains("HEIF") && lines[5].contains("convert"), "{csv}");
        assert!(lines[6].starts_with("7.jpg,,,") && lines[6].contains("broken off"), "{csv}");
        assert_eq!(lines[7..9], ["10.png,Cat,0.8,", "more/1,Dog,0.4,"]);
        assert!(lines[9].starts_with("notes.txt,,,") && lines.len() == 10, "{csv}");
        assert_eq!((tiles.len(), count_readable(scratch.path(), &rows)?), (12, 6));
        assert_eq!(tiles[10].caption, "Dog, 40.0 %");
        Ok(())
    }

    #[test]
    fn a_photo_is_upright_in_the_picture() -> Result<()> {
        let jpeg = image(200, ImageFormat::Jpeg);
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let scratch = folder(&[("photo.jpg", [&jpeg[..2], exif, &jpeg[2..]].concat())]);
        let (_, tiles) = classify(&open(scratch.path())?, &PHOTOGRAPHS, true, by_brightness)?;
        let at = |x, y| tiles[0].image.get_pixel(x, y).0[0] > 180;
        assert_eq!([at(10, 10), at(50, 10), at(10, 50), at(50, 50)], [true, false, true, false], "its top is on the right");
        Ok(())
    }

    #[test]
    fn a_file_a_folder_and_a_zip_are_taken_by_what_they_are() -> Result<()> {
        let png = image(225, ImageFormat::Png);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("in.png", SimpleFileOptions::default())?;
        writer.write_all(&png)?;
        let zip = writer.finish()?.into_inner();
        let scratch =
            folder(&[("one.png", png.clone()), ("two/2.png", png), ("zip", zip.clone()), ("a.zip", zip), ("cut.zip", b"?".to_vec())]);
        for (path, file) in [("one.png", "one.png"), ("two", "2.png"), ("zip", "in.png"), ("a.zip", "in.png")] {
            let (rows, _) = classify(&open(&scratch.path().join(path))?, &PHOTOGRAPHS, true, by_brightness)?;
            assert_eq!(rows, [(file.to_owned(), Ok(("Cat", 0.8)))], "{path}");
        }
        let refused = |path: &str| format!("{:#}", open(&scratch.path().join(path)).expect_err("refused"));
        assert!(refused("cut.zip").contains("whole zip") && refused("missing").contains("cannot read"));
        Ok(())
    }

    #[test]
    fn a_picture_shows_some_of_many_images_and_says_so() -> Result<()> {
        let (light, dark) = (image(225, ImageFormat::Png), image(122, ImageFormat::Png));
        let names: Vec<String> = (1..=300).map(|index| format!("{index}.png")).collect();
        let one = |(index, name)| (name, if index < 290 { light.clone() } else { dark.clone() });
        let files: Vec<(&str, Vec<u8>)> = names.iter().map(String::as_str).enumerate().map(one).collect();
        let scratch = folder(&files);
        let (rows, tiles) = classify(&open(scratch.path())?, &PHOTOGRAPHS, true, by_brightness)?;
        assert!(rows.iter().map(|(file, _)| file).eq(&names));
        let cats = rows.iter().filter(|(_, result)| *result == Ok(("Cat", 0.8))).count();
        assert_eq!((cats, tiles.len()), (290, 2 * DRAWN));
        assert_eq!([heading(DRAWN, 1_500), heading(12, 12), heading(1, 1)], ["52 of 1,500 images (the first)", "12 images", "1 image"]);
        Ok(())
    }

    #[test]
    fn without_an_image_it_is_said_what_is_there() -> Result<()> {
        let names: Vec<String> = (1..=12).map(|index| format!("{index}.txt")).collect();
        let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), b"words".to_vec())).collect();
        for (files, expected) in [(&files[..], "1.txt (this is no image"), (&files[..0], "no files")] {
            let scratch = folder(files);
            let (rows, _) = classify(&open(scratch.path())?, &PHOTOGRAPHS, true, by_brightness)?;
            let error = count_readable(scratch.path(), &rows).expect_err("refused").to_string();
            assert!(error.contains(expected) && error.contains("and 2 more") != files.is_empty(), "{error}");
        }
        Ok(())
    }
}
