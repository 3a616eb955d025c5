//! Reading an archive of any of the layouts.

use super::layout::{Layout, Part};
use super::{Asked, CHALLENGE, CLASSES, CatsDogs, Corrupt};
use crate::data::archive::Archive;
use crate::data::photographs::{Decoded, SIDE, decode, decode_all};
use crate::data::{DataSet, Examples, Source};
use crate::files::sha256_of;
use crate::seed::{Purpose, draw};
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Reads the folder or zip `path`; every image is decoded.
///
/// # Errors
/// If it holds none of the layouts, if no image of a class is left to train on, or an image cannot be read and `corrupt` says so.
pub fn read(path: &Path, corrupt: Corrupt) -> Result<CatsDogs> {
    let shown = path.display();
    let archive = Archive::open_nested(path)?;
    let layout = Layout::of(&archive).and_then(Layout::with_both_classes).with_context(|| format!("in {shown}"))?;
    let Layout { labelled, numbered, unlisted, competition, unread: mut left_out, notes } = layout;
    let names: Vec<&str> = archive.names().collect();
    let mut decode = |places: Vec<usize>| -> (Tensor, Vec<usize>) {
        let Decoded { images, good, bad } = decode_all(&archive, &places, [3, SIDE, SIDE], decode);
        left_out.extend(bad.into_iter().map(|(index, reason)| (names[places[index]].to_owned(), reason)));
        (images, good)
    };
    let (images, good) = decode(labelled.iter().map(|(.., place)| *place).collect());
    let (asked_images, good_asked) = decode(numbered.iter().map(|(_, place)| *place).collect());
    if let (Corrupt::Refuse, [(name, reason), others @ ..]) = (corrupt, &left_out[..]) {
        let others = if others.is_empty() { String::new() } else { format!(" (and {} more)", others.len()) };
        bail!("{shown}: {name} cannot be used: {reason}{others}; remove it, or leave such images out with --skip-corrupt");
    }

    let labelled: Vec<_> = good.into_iter().map(|index| labelled[index]).collect();
    let all = Examples { images, labels: Tensor::from_slice(&labelled.iter().map(|(_, label, _)| *label).collect::<Vec<_>>()) };
    let counts = [Part::Train, Part::Validation, Part::Test].map(|part| labelled.iter().filter(|image| image.0 == part).count() as i64);
    let [train, validation, test] = counts;
    let is_split = validation + test > 0;
    let is_own = !is_split && numbered.is_empty();
    let (kept, held_out) = if is_own { own_split(train) } else { given_split(counts) };
    let names_at = |index: &Tensor| -> Result<Vec<String>> {
        Ok(Vec::<i64>::try_from(index)?.into_iter().map(|index| names[labelled[index as usize].2].to_owned()).collect())
    };
    let (kept_names, mut test_names) = (names_at(&kept)?, names_at(&held_out)?);
    let (kept, held_out) = (all.select(&kept), all.select(&held_out));
    let training = kept.len() - validation;
    ensure_both_classes(path, &kept.labels.narrow(0, 0, training), &left_out, held_out.len())?;

    let mut checksum = checksum(&all, &asked_images)?;
    if is_split {
        // The same images may be split in several ways.
        checksum = sha256_of(format!("{checksum}{counts:?}").as_bytes())?;
    }
    let (parts, remark) = (if is_split { format!(" + {validation}") } else { String::new() }, if is_own { ", own test split" } else { "" });
    let name = format!("cats and dogs, {training}{parts} + {} images{remark}", held_out.len() + asked_images.size()[0]);
    let test = (!held_out.is_empty()).then(|| held_out.share());
    let mut test_images = held_out.images;
    let asked = competition.map(|competition| {
        let ids: Vec<i64> = good_asked.iter().map(|index| numbered[*index].0).collect();
        let unreadable = numbered.iter().map(|(id, _)| *id).chain(unlisted).filter(|id| ids.binary_search(id).is_err()).collect();
        test_names = good_asked.iter().map(|index| names[numbered[*index].1].to_owned()).collect();
        test_images = asked_images;
        Asked { competition, ids, unreadable }
    });
    let validation = (validation > 0).then_some(validation);
    let data = DataSet { train: kept, validation, test, classes: &CLASSES, source: Source { name, checksum } };
    Ok(CatsDogs { data, names: kept_names, test_images, test_names, asked, left_out, notes })
}

/// # Errors
/// If no image of a class is left to train on.
fn ensure_both_classes(path: &Path, labels: &Tensor, left_out: &[(String, String)], held_out: i64) -> Result<()> {
    let [cats, dogs] = class_counts(labels);
    let first = left_out.first().map_or(String::new(), |(name, reason)| format!(" (the first is {name}: {reason})"));
    ensure!(
        cats > 0 && dogs > 0,
        "{}: {cats} cats and {dogs} dogs are left to train on, expected at least one of each: {} images cannot be read{first}, {held_out} are \
         held out for the test; add images, or fix those",
        path.display(),
        left_out.len()
    );
    Ok(())
}

/// The numbers of cats and of dogs among `labels`.
pub(super) fn class_counts(labels: &Tensor) -> [i64; 2] {
    [0, 1].map(|label| labels.eq(label).sum(Kind::Int64).int64_value(&[]))
}

/// Of the pixels and labels as they are used, so the same from a folder and a zip.
pub(super) fn checksum(train: &Examples, test: &Tensor) -> Result<String> {
    let bytes = |tensor: &Tensor| Vec::<u8>::try_from(tensor.flatten(0, -1).to_kind(Kind::Uint8)).context("uint8 values");
    let (images, labels, test) = (bytes(&train.images)?, bytes(&train.labels)?, bytes(test)?);
    Ok(sha256_of(images.as_slice().chain(&labels[..]).chain(&test[..]))?)
}

/// The places of `n` images that are for training, and of those held out for the test: the same for everybody.
fn own_split(n: i64) -> (Tensor, Tensor) {
    let (train, test) = CHALLENGE;
    let test = if n >= train + test { test } else { n * test / (train + test) };
    let order = shuffled(n);
    (order.narrow(0, 0, (n - test).min(train)), order.narrow(0, n - test, test))
}

/// The same for images that come in so many of each part: those for validation are the last of the former.
fn given_split([train, validation, test]: [i64; 3]) -> (Tensor, Tensor) {
    let range = |start: i64, count: i64| Tensor::arange_start(start, start + count, (Kind::Int64, Device::Cpu));
    // Where the first of them are taken, they are to be of both classes.
    let first = if validation > 0 { shuffled(train) } else { range(0, train) };
    (Tensor::cat(&[first, range(train, validation)], 0), range(train + validation, test))
}

fn shuffled(n: i64) -> Tensor {
    draw(0, Purpose::Split, 0, || Tensor::randperm(n, (Kind::Int64, Device::Cpu)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::Competition;
    use super::*;
    use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
    use std::fs;
    use std::io::{Cursor, Write};
    use zip::{ZipWriter, write::SimpleFileOptions};

    /// A JPEG of one color.
    pub fn jpeg(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
        let mut file = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 100);
        let picture = RgbImage::from_pixel(width, height, Rgb(color));
        encoder.write_image(&picture, width, height, ExtendedColorType::Rgb8).expect("encoded");
        file
    }

    /// The color of each image, to the nearest ten.
    fn colors(images: &Tensor) -> Vec<[i64; 3]> {
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

    fn unpacked(files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
        folder(&files.iter().map(|(name, contents)| (name.as_str(), contents.clone())).collect::<Vec<_>>())
    }

    pub fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, contents) in files {
            writer.start_file(name.as_str(), SimpleFileOptions::default()).expect("memory can be written");
            writer.write_all(contents).expect("memory can be written");
        }
        writer.finish().expect("memory can be written").into_inner()
    }

    /// Three images of each class as Kaggle names them.
    fn train_images() -> Vec<(String, Vec<u8>)> {
        let both =
            |n: u8| [("cat", [n, 0, 0]), ("dog", [0, 0, n])].map(|(class, color)| (format!("train/{class}.{n}.jpg"), jpeg(64, 64, color)));
        (1..=3).flat_map(both).collect()
    }

    fn names_by_color(images: &Tensor, names: &[String]) -> Vec<([i64; 3], String)> {
        colors(images).into_iter().zip(names.iter().cloned()).collect()
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
        assert_eq!(read.data.train.images.size(), [3, 3, 64, 64]);
        assert_eq!(colors(&read.data.train.images), [[50, 0, 0], [100, 0, 0], [0, 0, 200]], "2 before 10, cats before dogs");
        assert_eq!(Vec::<i64>::try_from(&read.data.train.labels)?, [0, 0, 1]);
        let asked = read.asked.context("a competition's")?;
        assert_eq!((asked.competition, asked.unreadable), (Competition::Course, Vec::new()));
        assert_eq!((asked.ids, colors(&read.test_images)), (vec![9, 10], vec![[0, 50, 0], [0, 100, 0]]));
        assert!(read.data.test.is_none() && read.names[0].ends_with("2.Cat.jpg"));
        assert_eq!(read.data.source.name, "cats and dogs, 3 + 2 images");
        Ok(())
    }

    #[test]
    fn layouts_without_a_test_set_get_one_that_overlaps_nothing() -> Result<()> {
        let kaggle = |index: u8| [(format!("train/cat.{index}.jpg"), [index, 0, 0]), (format!("train/dog.{index}.jpg"), [0, 0, index])];
        let microsoft =
            |index: u8| [(format!("PetImages/Cat/{index}.jpg"), [index, 0, 0]), (format!("PetImages/Dog/{index}.jpg"), [0, 0, index])];
        for layout in [&kaggle as &dyn Fn(u8) -> [(String, [u8; 3]); 2], &microsoft] {
            let files: Vec<(String, Vec<u8>)> =
                (1..=10).flat_map(|index| layout(index * 20)).map(|(name, color)| (name, jpeg(80, 50, color))).collect();
            let named: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, contents)| (name.as_str(), contents.clone())).collect();
            let scratch = folder(&named);
            let (first, again) = (read(scratch.path(), Corrupt::Refuse)?, read(scratch.path(), Corrupt::Refuse)?);
            assert_eq!((first.data.train.len(), first.test_images.size()[0]), (17, 3), "19,998 to 4,999");
            assert_eq!(first.data.source.name, "cats and dogs, 17 + 3 images, own test split");
            let mut all = [colors(&first.data.train.images), colors(&first.test_images)].concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 20, "none twice, none lost");
            let labels = Vec::<i64>::try_from(&first.data.test.as_ref().context("own labels")?.labels)?;
            for (color, label) in colors(&first.test_images).iter().zip(labels) {
                assert_eq!(label, i64::from(color[2] > 0));
            }
            assert_eq!(first.test_images, again.test_images, "the same for everybody");
            assert!(first.asked.is_none() && first.data.validation.is_none(), "they are no competition's");
            let files = names_by_color(&first.test_images, &first.test_names);
            assert!(files.iter().all(|(color, name)| name.contains(&format!("{}.jpg", color[0].max(color[2])))), "{files:?}");
        }
        Ok(())
    }

    #[test]
    fn gray_and_other_formats_become_rgb() -> Result<()> {
        let mut gray = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut gray, 100);
        encoder.write_image(&[120; 64 * 64], 64, 64, ExtendedColorType::L8)?;
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.write_image(&[200_u8; 30 * 20 * 4], 30, 20, ExtendedColorType::Rgba8)?;
        let files =
            folder(&[("trainset/Cat/1.Cat.jpg", gray), ("trainset/Dog/1.Dog.jpg", png), ("testset/test/1.jpg", jpeg(9, 9, [0; 3]))]);
        assert_eq!(colors(&read(files.path(), Corrupt::Refuse)?.data.train.images), [[120; 3], [200; 3]]);
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
            assert_eq!((others.data.train.len() + others.test_images.size()[0], others.left_out.len()), (3, 1), "{what}");
            assert!(others.left_out[0].0.ends_with("Cat/2.jpg") && others.left_out[0].1.contains(reason));
        }
        Ok(())
    }

    #[test]
    fn what_is_no_data_set_is_refused_with_what_is_expected() {
        let refused = |files: &[(&str, Vec<u8>)]| format!("{:#}", read(folder(files).path(), Corrupt::Refuse).expect_err("refused"));
        let image = || jpeg(64, 64, [0; 3]);
        assert!(refused(&[("notes.txt", Vec::new())]).contains("holds no image of a Cat to train on, expected trainset/Cat/1.Cat.jpg"));
        assert!(refused(&[("train/cat.1.jpg", image())]).contains("holds no image of a Dog"));
        let error = refused(&[("train.zip", Vec::new())]);
        assert!(
            error.contains("holds no image of a Cat") && error.contains("train.zip (it is neither a folder nor a whole zip"),
            "{error}"
        );
        let twice = [("Cat/1.jpg", image()), ("Dog/1.jpg", image()), ("testset/test/1.jpg", image()), ("testset/test/01.jpg", image())];
        assert!(refused(&twice).contains("two test images have the number 1"));
    }

    #[test]
    fn as_many_are_held_out_as_the_challenge_has() {
        let counts = |images: i64| -> (i64, i64) {
            let (kept, held_out) = own_split(images);
            (kept.size()[0], held_out.size()[0])
        };
        assert_eq!(counts(24_997), (19_998, 4_999));
        assert_eq!(counts(24_998), (19_998, 4_999));
        assert_eq!(counts(24_996), (19_998, 4_998));
    }

    #[test]
    fn the_test_images_of_kaggles_competitions_are_those_to_be_predicted() -> Result<()> {
        for (folder_name, competition) in [("test1", Competition::DogsVsCats), ("test", Competition::Redux)] {
            let mut files = train_images();
            files.extend([10, 9, 2].map(|number| (format!("{folder_name}/{number}.jpg"), jpeg(64, 64, [0, number * 10, 0]))));
            let read = read(unpacked(&files).path(), Corrupt::Refuse)?;
            let asked = Asked { competition, ids: vec![2, 9, 10], unreadable: Vec::new() };
            assert_eq!((read.asked, colors(&read.test_images)), (Some(asked), vec![[0, 20, 0], [0, 90, 0], [0, 100, 0]]));
            assert_eq!((read.data.train.len(), read.data.test.is_none()), (6, true), "none is held out");
        }
        let mut both = train_images();
        both.extend(["test/1.jpg", "test1/2.jpg"].map(|name| (name.to_owned(), jpeg(64, 64, [0; 3]))));
        let error = format!("{:#}", read(unpacked(&both).path(), Corrupt::Refuse).expect_err("two competitions"));
        assert!(error.contains("(test)") && error.contains("(test1)"), "{error}");
        Ok(())
    }

    #[test]
    fn a_test_image_that_cannot_be_read_keeps_its_number() -> Result<()> {
        let mut files = train_images();
        files.extend([1, 2, 3].map(|number| (format!("test1/{number}.jpg"), jpeg(64, 64, [0; 3]))));
        files[7].1.clear();
        let scratch = unpacked(&files);
        let error = format!("{:#}", read(scratch.path(), Corrupt::Refuse).expect_err("an empty file"));
        assert!(error.contains("test1/2.jpg") && error.contains("--skip-corrupt"), "{error}");
        let others = read(scratch.path(), Corrupt::LeaveOut)?;
        let asked = others.asked.context("a competition's")?;
        assert_eq!((asked.ids, asked.unreadable, others.test_images.size()[0]), (vec![1, 3], vec![2], 2));
        assert_eq!(others.test_names, ["test1/1.jpg", "test1/3.jpg"]);
        // One that cannot even be listed.
        std::os::unix::fs::symlink("nowhere", scratch.path().join("test1/4.jpg"))?;
        assert_eq!(read(scratch.path(), Corrupt::LeaveOut)?.asked.context("a competition's")?.unreadable, [2, 4]);
        Ok(())
    }

    #[test]
    fn what_lies_in_zips_inside_is_read_as_if_it_were_unpacked() -> Result<()> {
        let with_folder = |folder: &str| -> Vec<(String, Vec<u8>)> {
            let name = |class: &str, number: u8| format!("{folder}trainset/{class}/{number}.{class}.jpg");
            [1, 2].iter().flat_map(|n| [(name("Cat", *n), jpeg(64, 64, [*n, 0, 0])), (name("Dog", *n), jpeg(64, 64, [0, 0, *n]))]).collect()
        };
        let test =
            |folder: &str| [1, 2].map(|number| (format!("{folder}testset/test/{number}.jpg"), jpeg(64, 64, [0, number, 0]))).to_vec();
        let zips = vec![
            ("trainset.zip".to_owned(), zipped(&with_folder(""))),
            ("testset.zip".to_owned(), zipped(&test(""))),
            ("sample_submission.csv".to_owned(), b"id,label".to_vec()),
        ];
        let in_one = vec![("data.zip".to_owned(), zipped(&zips))];
        let half = [&with_folder("trainset/")[..], &zips[1..2]].concat();
        let plain = [with_folder("trainset/"), test("testset/")].concat();
        let zip_of_all = unpacked(&[("all.zip".to_owned(), zipped(&in_one))]);
        let folders = [unpacked(&plain), unpacked(&zips), unpacked(&half)];
        let read = |path: &Path| read(path, Corrupt::Refuse);
        let expected = read(folders[0].path())?;
        assert_eq!((expected.data.train.len(), expected.test_images.size()[0]), (4, 2));
        for (folder, prefix) in
            folders.iter().map(tempfile::TempDir::path).zip(["", "", ""]).chain([(&*zip_of_all.path().join("all.zip"), "data/")])
        {
            let found = read(folder)?;
            assert_eq!(found.data.source, expected.data.source, "{}", folder.display());
            assert_eq!(found.names, expected.names.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>());
            assert_eq!(found.asked, expected.asked);
        }
        Ok(())
    }

    #[test]
    fn images_in_a_zip_give_way_to_those_outside_of_it() -> Result<()> {
        let mut files = train_images();
        let more = [train_images(), vec![("train/cat.7.jpg".to_owned(), jpeg(64, 64, [0; 3]))]].concat();
        files.push(("train.zip".to_owned(), zipped(&more)));
        let scratch = unpacked(&files);
        let found = read(scratch.path(), Corrupt::Refuse)?;
        assert_eq!(found.data.train.len() + found.test_images.size()[0], 6);
        assert!(found.notes[0].contains("training images of a Cat in train.zip (4)"), "{:?}", found.notes);
        let two = unpacked(&["a.zip", "b.zip"].map(|name| (name.to_owned(), zipped(&more))));
        let error = format!("{:#}", read(two.path(), Corrupt::Refuse).expect_err("which of the two?"));
        assert!(error.contains("found a.zip, b.zip") && error.contains("--data"), "{error}");
        Ok(())
    }

    #[test]
    fn a_data_set_with_its_own_parts_is_split_as_it_came() -> Result<()> {
        for (train, validation, test) in
            [("train", "val", "test"), ("training_set", "validation", "test_set"), ("Train", "valid", "testing")]
        {
            let mut files = Vec::new();
            for (part, folder, classes) in [(1, train, ["Cat", "Dog"]), (2, validation, ["cats", "dogs"]), (3, test, ["Cat", "Dog"])] {
                for number in 0..4 - part {
                    files.push((format!("outer/{folder}/{}/{number}.jpg", classes[0]), jpeg(64, 64, [part * 50, 0, number * 10])));
                    files.push((format!("outer/{folder}/{}/{number}.jpg", classes[1]), jpeg(64, 64, [0, part * 50, number * 10])));
                }
            }
            files.push((format!("outer/{train}/Bird/1.jpg"), jpeg(64, 64, [9; 3])));
            let found = read(unpacked(&files).path(), Corrupt::Refuse)?;
            let part = |images: &Tensor| colors(images).iter().map(|color| color[0].max(color[1]) / 50).collect::<Vec<i64>>();
            assert_eq!((part(&found.data.train.images), part(&found.test_images)), (vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2], vec![3, 3]));
            assert_eq!((found.data.validation, found.asked), (Some(4), None));
            assert_eq!(Vec::<i64>::try_from(&found.data.test.context("labels")?.labels)?, [0, 1]);
            assert_eq!(found.data.source.name, "cats and dogs, 6 + 4 + 2 images");
            let first = Vec::<i64>::try_from(found.data.train.labels.narrow(0, 0, 6))?;
            assert!(!first.is_sorted(), "the first few are of both classes: {first:?}");
            assert_eq!(found.notes.len(), 1);
            assert!(found.notes[0].contains(&format!("1 in outer/{train}/Bird")), "{:?}", found.notes);

            // The same images in other parts are another data set.
            let (from, to) = (format!("outer/{validation}/cats/1.jpg"), format!("outer/{train}/Cat/9.jpg"));
            files.iter_mut().filter(|(name, _)| *name == from).for_each(|(name, _)| *name = to.clone());
            assert_ne!(read(unpacked(&files).path(), Corrupt::Refuse)?.data.source.checksum, found.data.source.checksum);
        }
        Ok(())
    }

    #[test]
    fn an_outer_folder_that_is_named_like_a_part_is_none() -> Result<()> {
        let files: Vec<(String, Vec<u8>)> =
            train_images().into_iter().map(|(name, contents)| (format!("test/pets/{name}"), contents)).collect();
        let renamed: Vec<(String, Vec<u8>)> =
            files.into_iter().map(|(name, contents)| (name.replace("/train/", "/all/"), contents)).collect();
        let found = read(unpacked(&renamed).path(), Corrupt::Refuse)?;
        assert_eq!((found.data.train.len(), found.test_images.size()[0]), (5, 1));
        Ok(())
    }

    #[test]
    fn what_is_left_after_decoding_must_be_enough() {
        let left = |cats: usize, dogs: usize| {
            let mut files = Vec::new();
            for (class, good) in [("Cat", cats), ("Dog", dogs)] {
                files.extend(
                    (0..6).map(|n| (format!("PetImages/{class}/{n}.jpg"), if n < good { jpeg(64, 64, [n as u8; 3]) } else { Vec::new() })),
                );
            }
            format!("{:#}", read(unpacked(&files).path(), Corrupt::LeaveOut).expect_err("too few"))
        };
        for (cats, dogs) in [(6, 0), (0, 6), (0, 0)] {
            let error = left(cats, dogs);
            assert!(error.contains("are left to train on") && error.contains("images cannot be read"), "{error}");
        }
    }

    #[test]
    fn what_is_not_used_is_counted_and_named() -> Result<()> {
        let mut files = train_images();
        files.extend((0..7).map(|number| (format!("train/{number}.txt"), Vec::new())));
        files.extend(["Cat/Thumbs.db", "readme.txt", "Bird/1.jpg", "Bird/2.jpg", "cover.png"].map(|name| (name.to_owned(), Vec::new())));
        let notes = read(unpacked(&files).path(), Corrupt::Refuse)?.notes;
        assert_eq!(
            notes,
            [
                "not used: files whose names are no image's (8): Cat/Thumbs.db, train/0.txt, train/1.txt, train/2.txt, train/3.txt and 3 more",
                "not used: images that are named as neither a cat, a dog nor a numbered test image (3): 1 in ., 2 in Bird",
            ]
        );
        Ok(())
    }

    #[test]
    #[cfg(unix)]
    fn what_cannot_be_looked_at_matters_where_images_are() -> Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let scratch = unpacked(&train_images());
        let inside = |name: &[u8]| scratch.path().join(std::ffi::OsStr::from_bytes(name));
        let dangling = |name: &[u8]| std::os::unix::fs::symlink("nothing", inside(name));
        dangling(b"latest")?;
        fs::create_dir(inside(b"caf\xe9"))?;
        fs::write(inside(b"caf\xe9/notes.txt"), b"")?;
        fs::create_dir(inside(b".hidden"))?;
        dangling(b".hidden/link")?;
        dangling(b"train/.link")?;
        let found = read(scratch.path(), Corrupt::Refuse)?;
        assert_eq!(found.data.train.len() + found.test_images.size()[0], 6);
        assert_eq!(found.notes.len(), 1);
        let told =
            ["what cannot be read (2)", "latest (it is a link to something that is not there)", "caf\u{fffd} (its name is not UTF-8)"];
        assert!(told.iter().all(|part| found.notes[0].contains(part)), "{:?}", found.notes);

        for (name, reason) in [
            (&b"train/cat.9.jpg"[..], "not there"),
            (b"train/caf\xe9.jpg", "not UTF-8"),
            (b"cat.9.jpg", "not there"),
            (b"Dog", "not there"),
        ] {
            let made = if reason == "not there" { dangling(name) } else { fs::write(inside(name), b"") };
            made?;
            let error = format!("{:#}", read(scratch.path(), Corrupt::Refuse).expect_err("it could be an image"));
            assert!(error.contains(reason) && error.contains("--skip-corrupt"), "{error}");
            assert_eq!(read(scratch.path(), Corrupt::LeaveOut)?.left_out.len(), 1);
            fs::remove_file(inside(name))?;
        }
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
        let ids = read.asked.map_or(Vec::new(), |asked| asked.ids);
        if (read.data.train.len(), ids.len()) == (19_998, 4_999) {
            let cats = read.data.train.labels.eq(0).sum(Kind::Int64).int64_value(&[]);
            assert_eq!((cats, ids.first(), ids.last()), (9_999, Some(&1), Some(&4_999)));
            assert_eq!(read.data.source.name, "cats and dogs, 19998 + 4999 images");
        }
        Ok(())
    }
}
