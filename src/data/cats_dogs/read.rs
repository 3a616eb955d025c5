//! Reading an archive of any of the three layouts.

use super::{CHALLENGE, CLASSES, CatsDogs, Corrupt};
use crate::data::archive::Archive;
use crate::data::photographs::{Decoded, decode_all, is_image};
use crate::data::{Examples, Source, sha256};
use crate::seed::{Purpose, draw};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Labelled(i64),
    /// To be predicted; its number.
    Unlabelled(i64),
    Other,
}

/// Reads the folder or zip `path`; every image is decoded.
///
/// # Errors
/// If it holds none of the three layouts, a class without images, or an image that cannot be decoded and `corrupt` says so.
pub fn read(path: &Path, corrupt: Corrupt) -> Result<CatsDogs> {
    let archive = Archive::open(path)?;
    let names: Vec<&str> = archive.names().collect();
    let roles: Vec<Role> = names.iter().map(|name| role(name)).collect();
    let of = |wanted: fn(&Role) -> Option<i64>| roles.iter().enumerate().filter_map(move |(place, role)| Some((place, wanted(role)?)));
    let mut labelled: Vec<(usize, i64)> = of(|role| if let Role::Labelled(label) = role { Some(*label) } else { None }).collect();
    let mut unlabelled: Vec<(usize, i64)> = of(|role| if let Role::Unlabelled(id) = role { Some(*id) } else { None }).collect();
    labelled.sort_by_key(|(place, label)| (*label, number(names[*place]), *place));
    unlabelled.sort_by_key(|(_, id)| *id);
    for (label, class) in (0..).zip(CLASSES) {
        let count = labelled.iter().filter(|(_, found)| *found == label).count();
        ensure!(
            count > 0,
            "{} holds no image of a {class}, expected trainset/{class}/1.{class}.jpg, train/{}.1.jpg or PetImages/{class}/1.jpg{}",
            path.display(),
            class.to_lowercase(),
            inner_archives(&names)
        );
    }
    for pair in unlabelled.windows(2) {
        ensure!(pair[0].1 != pair[1].1, "in {}: two test images have the number {}", path.display(), pair[0].1);
    }

    let mut left_out = Vec::new();
    let mut decode = |files: &mut Vec<(usize, i64)>| -> Result<Tensor> {
        let places: Vec<usize> = files.iter().map(|(place, _)| *place).collect();
        let Decoded { images, good, bad } = decode_all(&archive, &places)?;
        left_out.extend(bad.into_iter().map(|(index, reason)| (names[places[index]].to_owned(), reason)));
        *files = good.into_iter().map(|index| files[index]).collect();
        Ok(images)
    };
    let images = decode(&mut labelled)?;
    let test = decode(&mut unlabelled)?;
    if corrupt == Corrupt::Refuse
        && let Some((name, reason)) = left_out.first()
    {
        let others = left_out.len() - 1;
        let others = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        bail!("{}: {name} cannot be used: {reason}{others}; remove it, or leave such images out with --skip-corrupt", path.display());
    }

    let labels: Vec<i64> = labelled.iter().map(|(_, label)| *label).collect();
    let all = Examples { images, labels: Tensor::from_slice(&labels) };
    let files: Vec<String> = labelled.iter().map(|(place, _)| names[*place].to_owned()).collect();
    let name = format!("cats and dogs, {} + {} images", all.len(), test.size()[0]);
    let ids: Vec<i64> = unlabelled.iter().map(|(_, id)| *id).collect();
    let source = Source { name, checksum: checksum(&all, &test)? };
    let whole = CatsDogs { train: all, names: files, test, ids, test_labels: None, left_out, source };
    if whole.ids.is_empty() { with_own_test(whole) } else { Ok(whole) }
}

/// Of the pixels and labels as they are used, so the same from a folder and a zip.
pub(super) fn checksum(train: &Examples, test: &Tensor) -> Result<String> {
    Ok(sha256([&bytes(&train.images)?[..], &bytes(&train.labels.to_kind(Kind::Uint8))?, &bytes(test)?]))
}

/// How many images of each class `archive` lists, and how many to be predicted; none is decoded.
pub(super) fn count(archive: &Archive) -> ([usize; 2], usize) {
    let (mut labelled, mut unlabelled) = ([0; 2], 0);
    for name in archive.names() {
        match role(name) {
            Role::Labelled(label) => labelled[label as usize] += 1,
            Role::Unlabelled(_) => unlabelled += 1,
            Role::Other => {}
        }
    }
    (labelled, unlabelled)
}

/// Takes a share of the training images for the test, the same for everybody.
fn with_own_test(whole: CatsDogs) -> Result<CatsDogs> {
    let CatsDogs { train: all, names, left_out, source, .. } = whole;
    let n = all.len();
    let (train, test) = CHALLENGE;
    let test = if n >= train + test { test } else { n * test / (train + test) };
    let order = draw(0, Purpose::Split, 0, || Tensor::randperm(n, (Kind::Int64, Device::Cpu)));
    let kept = order.narrow(0, 0, (n - test).min(train));
    let taken = all.select(&order.narrow(0, n - test, test));
    let place = |index: &i64| names[*index as usize].clone();
    let name = format!("cats and dogs, {} + {test} images, own test split", kept.size()[0]);
    Ok(CatsDogs {
        train: all.select(&kept),
        names: Vec::<i64>::try_from(&kept)?.iter().map(place).collect(),
        ids: (1..=test).collect(),
        test: taken.images,
        test_labels: Some(taken.labels),
        left_out,
        source: Source { name, ..source },
    })
}

/// The names of the three layouts, in any letters' case.
fn role(name: &str) -> Role {
    let lower = name.to_lowercase();
    let mut parts = lower.rsplit('/');
    let file = parts.next().unwrap_or_default();
    let Some((stem, _)) = file.rsplit_once('.').filter(|_| is_image(file)) else { return Role::Other };
    let folder = parts.next().unwrap_or_default();
    let class = |text: &str| (0..).zip(CLASSES).find(|(_, class)| class.to_lowercase() == text).map(|(label, _)| label);
    let by_folder = class(folder);
    let by_name = stem.split_once('.').and_then(|(class_name, _)| class(class_name));
    match (by_folder.or(by_name), folder, stem.parse()) {
        (Some(label), ..) => Role::Labelled(label),
        (None, "test", Ok(id)) if parts.next() == Some("testset") => Role::Unlabelled(id),
        _ => Role::Other,
    }
}

/// The first number in a file's name, so that 2 comes before 10.
fn number(name: &str) -> u64 {
    let file = name.rsplit('/').next().unwrap_or(name);
    let digits: String = file.chars().skip_while(|letter| !letter.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// A hint for those who have Kaggle's archive of archives.
fn inner_archives(names: &[&str]) -> String {
    let inner: Vec<&str> = names.iter().copied().filter(|name| name.ends_with(".zip")).collect();
    if inner.is_empty() { String::new() } else { format!("; it holds {}: unpack it, and name what is in it", inner.join(", ")) }
}

fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    Vec::try_from(tensor.flatten(0, -1)).context("uint8 values")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
    use std::fs;

    /// A JPEG of one colour.
    pub fn jpeg(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        let mut file = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 100);
        let picture = RgbImage::from_pixel(width, height, Rgb(colour));
        encoder.write_image(&picture, width, height, ExtendedColorType::Rgb8).expect("encoded");
        file
    }

    /// The colour of each image, to the nearest ten.
    fn colours(images: &Tensor) -> Vec<[i64; 3]> {
        let means = images.to_kind(Kind::Double).mean_dim([2_i64, 3].as_slice(), false, Kind::Double);
        let rows = Vec::<Vec<f64>>::try_from(means).expect("rows");
        rows.iter().map(|row| [0, 1, 2].map(|channel| (row[channel] / 10.0).round() as i64 * 10)).collect()
    }

    pub fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let scratch = tempfile::tempdir().expect("a folder");
        for (name, contents) in files {
            let path = scratch.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, contents).expect("written");
        }
        scratch
    }

    #[test]
    fn the_challenges_layout_has_a_test_set_in_the_order_of_its_numbers() -> Result<()> {
        let files = folder(&[
            ("outer/trainset/Cat/10.Cat.jpg", jpeg(64, 64, [100, 0, 0])),
            ("outer/trainset/Cat/2.Cat.jpg", jpeg(64, 64, [50, 0, 0])),
            ("outer/trainset/Dog/1.Dog.jpg", jpeg(64, 64, [0, 0, 200])),
            ("outer/testset/test/10.jpg", jpeg(64, 64, [0, 100, 0])),
            ("outer/testset/test/9.jpg", jpeg(64, 64, [0, 50, 0])),
            ("outer/sample_submission.csv", b"id,label".to_vec()),
        ]);
        let read = read(files.path(), Corrupt::Refuse)?;
        assert_eq!(read.train.images.size(), [3, 3, 64, 64]);
        assert_eq!(colours(&read.train.images), [[50, 0, 0], [100, 0, 0], [0, 0, 200]], "2 before 10, cats before dogs");
        assert_eq!(Vec::<i64>::try_from(&read.train.labels)?, [0, 0, 1]);
        assert_eq!((read.ids, colours(&read.test)), (vec![9, 10], vec![[0, 50, 0], [0, 100, 0]]));
        assert!(read.test_labels.is_none() && read.names[0].ends_with("2.Cat.jpg"));
        assert_eq!(read.source.name, "cats and dogs, 3 + 2 images");
        Ok(())
    }

    #[test]
    fn layouts_without_a_test_set_get_one_that_overlaps_nothing() -> Result<()> {
        let kaggle = |index: u8| [(format!("train/cat.{index}.jpg"), [index, 0, 0]), (format!("train/dog.{index}.jpg"), [0, 0, index])];
        let microsoft =
            |index: u8| [(format!("PetImages/Cat/{index}.jpg"), [index, 0, 0]), (format!("PetImages/Dog/{index}.jpg"), [0, 0, index])];
        for layout in [&kaggle as &dyn Fn(u8) -> [(String, [u8; 3]); 2], &microsoft] {
            let files: Vec<(String, Vec<u8>)> =
                (1..=10).flat_map(|index| layout(index * 20)).map(|(name, colour)| (name, jpeg(80, 50, colour))).collect();
            let named: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, contents)| (name.as_str(), contents.clone())).collect();
            let scratch = folder(&named);
            let (first, again) = (read(scratch.path(), Corrupt::Refuse)?, read(scratch.path(), Corrupt::Refuse)?);
            assert_eq!((first.train.len(), first.ids.len()), (17, 3), "19,998 to 4,999");
            assert_eq!(first.source.name, "cats and dogs, 17 + 3 images, own test split");
            let mut all = [colours(&first.train.images), colours(&first.test)].concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 20, "none twice, none lost");
            let labels = Vec::<i64>::try_from(first.test_labels.as_ref().context("own labels")?)?;
            for (colour, label) in colours(&first.test).iter().zip(labels) {
                assert_eq!(label, i64::from(colour[2] > 0));
            }
            assert_eq!(first.test, again.test, "the same for everybody");
        }
        Ok(())
    }

    #[test]
    fn grey_and_other_formats_become_rgb() -> Result<()> {
        let mut grey = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut grey, 100);
        encoder.write_image(&[120; 64 * 64], 64, 64, ExtendedColorType::L8)?;
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.write_image(&[200_u8; 30 * 20 * 4], 30, 20, ExtendedColorType::Rgba8)?;
        let files =
            folder(&[("trainset/Cat/1.Cat.jpg", grey), ("trainset/Dog/1.Dog.jpg", png), ("testset/test/1.jpg", jpeg(9, 9, [0; 3]))]);
        assert_eq!(colours(&read(files.path(), Corrupt::Refuse)?.train.images), [[120; 3], [200; 3]]);
        Ok(())
    }

    #[test]
    fn a_bad_image_is_named_with_the_reason_or_left_out() -> Result<()> {
        let good = jpeg(64, 64, [50, 60, 70]);
        let mut huge = good.clone();
        let frame = huge.windows(2).position(|pair| pair == [0xff, 0xc0]).context("a frame header")?;
        huge[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
        let cases: [(&str, Vec<u8>, &str); 4] = [
            ("empty", Vec::new(), "the file is empty"),
            ("text", b"<html>not an image</html>".to_vec(), "no image"),
            ("broken off", good[..good.len() / 2].to_vec(), "broken off"),
            ("60,000 x 60,000", huge, "limit"),
        ];
        for (what, bad, reason) in cases {
            let files =
                folder(&[("Cat/1.jpg", good.clone()), ("Cat/2.jpg", bad), ("Dog/1.jpg", good.clone()), ("Dog/2.jpg", good.clone())]);
            let error = format!("{:#}", read(files.path(), Corrupt::Refuse).expect_err(what));
            assert!(error.contains("Cat/2.jpg") && error.contains(reason) && error.contains("--skip-corrupt"), "{what}: {error}");
            let others = read(files.path(), Corrupt::LeaveOut)?;
            assert_eq!((others.train.len() + others.ids.len() as i64, others.left_out.len()), (3, 1), "{what}");
            assert!(others.left_out[0].0.ends_with("Cat/2.jpg") && others.left_out[0].1.contains(reason));
        }
        Ok(())
    }

    #[test]
    fn what_is_no_data_set_is_refused_with_what_is_expected() {
        let refused = |files: &[(&str, Vec<u8>)]| format!("{:#}", read(folder(files).path(), Corrupt::Refuse).expect_err("refused"));
        let image = || jpeg(64, 64, [0; 3]);
        assert!(refused(&[("notes.txt", Vec::new())]).contains("holds no image of a Cat, expected trainset/Cat/1.Cat.jpg"));
        assert!(refused(&[("train/cat.1.jpg", image())]).contains("holds no image of a Dog"));
        assert!(refused(&[("train.zip", Vec::new())]).contains("it holds train.zip: unpack it"));
        let twice = [("Cat/1.jpg", image()), ("Dog/1.jpg", image()), ("testset/test/1.jpg", image()), ("testset/test/01.jpg", image())];
        assert!(refused(&twice).contains("two test images have the number 1"));
    }

    /// Images of one value, as many as the challenge and Microsoft have.
    #[test]
    fn the_name_tells_the_challenges_numbers_from_others() -> Result<()> {
        let named = |images: i64| -> Result<String> {
            let all = Examples {
                images: Tensor::zeros([images, 1], (Kind::Uint8, Device::Cpu)),
                labels: Tensor::zeros([images], (Kind::Int64, Device::Cpu)),
            };
            let source = Source { name: String::new(), checksum: "unchanged".to_owned() };
            let names = vec![String::new(); images as usize];
            let test = Tensor::zeros([0, 1], (Kind::Uint8, Device::Cpu));
            let whole = CatsDogs { train: all, names, test, ids: Vec::new(), test_labels: None, left_out: Vec::new(), source };
            Ok(with_own_test(whole)?.source.name)
        };
        assert_eq!(named(24_997)?, "cats and dogs, 19998 + 4999 images, own test split");
        assert_eq!(named(24_998)?, "cats and dogs, 19998 + 4999 images, own test split");
        assert_eq!(named(24_996)?, "cats and dogs, 19998 + 4998 images, own test split");
        Ok(())
    }

    /// The archive that the challenge is known by here, where there is one.
    #[test]
    fn the_challenges_archive_is_read_whole() -> Result<()> {
        let Some(path) = std::env::var_os("CATS_DOGS") else {
            tell!("skipped: CATS_DOGS names no archive");
            return Ok(());
        };
        let read = read(Path::new(&path), Corrupt::Refuse)?;
        if (read.train.len(), read.ids.len()) == (19_998, 4_999) {
            let cats = read.train.labels.eq(0).sum(Kind::Int64).int64_value(&[]);
            assert_eq!((cats, read.ids.first(), read.ids.last()), (9_999, Some(&1), Some(&4_999)));
            assert_eq!(read.source.name, "cats and dogs, 19998 + 4999 images");
        }
        Ok(())
    }
}
