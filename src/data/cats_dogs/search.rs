//! Finding the archive: named, in the project, downloaded, or drawn.

use super::layout::{Layout, Part};
use super::{Asked, CLASSES, CatsDogs, Competition, Corrupt, read};
use crate::data::archive::{Archive, is_zip};
use crate::data::location::{Finder, Location, Places};
use crate::data::{DataSet, Source, embedded};
use crate::files::sha256_of;
use anyhow::{Result, anyhow, ensure};
use indicatif::HumanCount;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tch::Tensor;

/// Microsoft's archive: its name, length in bytes and SHA-256, as other projects which download it give them.
const ARCHIVE: &str = "kagglecatsanddogs_5340.zip";
const LENGTH: u64 = 824_887_076;
const CHECKSUM: &str = "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9";
const MIRROR: &str = "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/";

/// Numbers of drawn pictures, for training and for the test.
const DRAWN: (i64, i64) = (2_000, 500);

/// The most images left out that are listed.
const LISTED: usize = 20;

/// Loads the data set from `location`; `root` is the project's folder, with `data/cats-vs-dogs` below it. Says on stderr what is there,
/// and which images were left out.
///
/// A path that somebody named (`location` or the environment variable `CATS_DOGS`), or put below `data`, is read as `corrupt` says. In
/// Microsoft's archive, which is known to hold a few images that cannot be decoded, these are left out.
///
/// # Errors
/// Where what was named is missing or holds none of the layouts, where an image cannot be decoded and is not to be left out, where a
/// download breaks off or cannot be written. Each error says what to do.
pub fn load(location: &Location, corrupt: Corrupt, root: &Path) -> Result<CatsDogs> {
    let found = Search::new(root, corrupt).find(location)?;
    tell!("{}", report(&found));
    Ok(found)
}

/// One line for each place, in the order in which they are tried: whether it has the data set, and what to do if not. The images are
/// counted, not decoded.
pub(crate) fn survey(root: &Path) -> Vec<(bool, String)> {
    Search::new(root, Corrupt::Refuse).survey()
}

/// The surroundings of [`load`].
struct Search<'a> {
    places: Places<'a>,
    length: u64,
    checksum: &'a str,
    corrupt: Corrupt,
}

impl Search<'_> {
    fn new(root: &Path, corrupt: Corrupt) -> Self {
        let places = Places::new(root, "cats-vs-dogs", "CATS_DOGS", &[MIRROR]);
        Search { places, length: LENGTH, checksum: CHECKSUM, corrupt }
    }

    /// The place of Microsoft's archive in the project.
    fn archive(&self) -> PathBuf {
        self.places.folder.join(ARCHIVE)
    }
}

impl Finder for Search<'_> {
    type Found = CatsDogs;

    const NAME: &'static str = "the photographs of cats and dogs";
    const SIZE: &'static str = "Microsoft's archive, 825 MB";
    const NOTICE: &'static str = "NOT PHOTOGRAPHS, but pictures drawn by this program. Results on them are not results on cats and dogs.";

    fn places(&self) -> &Places<'_> {
        &self.places
    }

    fn own(&self) -> Result<Option<PathBuf>> {
        let (folder, archive, expected) = (&self.places.folder, self.archive(), self.length);
        // First of all, since it is whole: what is unpacked beside it may not be.
        let Ok(found) = fs::metadata(&archive) else { return if folder.exists() { inside(folder) } else { Ok(None) } };
        let (shown, found) = (archive.display(), found.len());
        ensure!(found == expected, "{shown}: found {found} bytes, expected {expected}; remove it, and the next run downloads it again");
        Ok(Some(archive))
    }

    fn read(&self, path: &Path, is_own: bool) -> Result<CatsDogs> {
        let corrupt = if is_own && path == self.archive() { Corrupt::LeaveOut } else { self.corrupt };
        read(&resolved(path)?, corrupt)
    }

    /// The number of images by class and part; none is decoded.
    fn describe(&self, path: &Path, _: bool) -> Result<String> {
        let path = resolved(path)?;
        let layout = Layout::of(&Archive::open_nested(&path)?)
            .and_then(Layout::with_both_classes)
            .map_err(|error| anyhow!("{}: {error:#}; name a folder or zip with cats and dogs", path.display()))?;
        let of = |part, what: &str| match layout.count(part) {
            [0, 0] => String::new(),
            counts => format!(", {} {what}", classes(counts)),
        };
        let asked = layout.numbered.len();
        let asked = if asked > 0 { format!(", {} images to predict", HumanCount(asked as u64)) } else { String::new() };
        let (validation, test) = (of(Part::Validation, "for validation"), of(Part::Test, "for the test"));
        Ok(format!("{}{validation}{test}{asked} in {}", classes(layout.count(Part::Train)), path.display()))
    }

    fn missing(&self) -> Vec<(String, Option<u64>)> {
        vec![(ARCHIVE.to_owned(), Some(self.length))]
    }

    fn verify(&self, _: &str, contents: &File) -> Result<()> {
        let (found, expected) = (sha256_of(contents)?, self.checksum);
        ensure!(found == expected, "found SHA-256 {found}, expected {expected}");
        Ok(())
    }

    /// Pictures that stand in for the challenge's.
    fn drawn(&self) -> Result<CatsDogs> {
        let (train, test) = embedded::cats_dogs(DRAWN.0, DRAWN.1, 0);
        let source = Source { name: "drawn cats and dogs".to_owned(), checksum: read::checksum(&train, &test.images)? };
        Ok(CatsDogs {
            names: (1..=train.len()).map(|number| format!("drawn/{number}")).collect(),
            test_names: (1..=test.len()).map(|number| format!("drawn/test/{number}")).collect(),
            asked: Some(Asked { competition: Competition::Course, ids: (1..=test.len()).collect(), unreadable: Vec::new() }),
            test_images: test.images.shallow_clone(),
            data: DataSet { train, validation: None, test: Some(test), classes: &CLASSES, source },
            left_out: Vec::new(),
            notes: Vec::new(),
        })
    }
}

/// `path`, or the one zip in that folder if there is nothing else of a data set.
fn resolved(path: &Path) -> Result<PathBuf> {
    ensure!(path.exists(), "{}: there is no such folder or zip; check the path", path.display());
    // An empty folder is for the reader to refuse: it says what it expects.
    Ok(if path.is_dir() { inside(path)? } else { None }.unwrap_or_else(|| path.to_owned()))
}

/// The one zip in `folder`, if there is nothing else of a data set; else `folder` itself, if there is anything.
fn inside(folder: &Path) -> Result<Option<PathBuf>> {
    let archive = Archive::open(folder)?;
    let zips: Vec<&str> = archive.names().filter(|name| is_zip(name)).collect();
    let is_bare = Layout::of(&archive).is_ok_and(|layout| layout.is_empty());
    Ok(match zips[..] {
        [] if is_bare => None,
        [zip] if is_bare => Some(folder.join(zip)),
        _ => Some(folder.to_owned()),
    })
}

/// The numbers of images, and those that were left out.
fn report(found: &CatsDogs) -> String {
    let of = |labels: &Tensor| classes(read::class_counts(labels));
    let DataSet { train, validation, test, source, .. } = &found.data;
    let train = of(&train.labels.narrow(0, 0, train.len() - validation.unwrap_or(0)));
    let validation = validation.map_or(String::new(), |count| format!("{} for validation, ", HumanCount(count as u64)));
    let test = match (test, &found.asked) {
        (Some(test), _) => format!(" ({})", of(&test.labels)),
        (None, Some(asked)) => format!(", those of {}", asked.competition),
        (None, None) => String::new(),
    };
    let count = HumanCount(found.test_images.size()[0] as u64);
    let mut text = format!("{}: {train} to train on, {validation}{count} images to predict{test}\n", source.name);
    text.extend(found.notes.iter().map(|note| format!("{note}\n")));
    let left_out = &found.left_out;
    if !left_out.is_empty() {
        text += &format!("left out, for they cannot be read ({}):\n", left_out.len());
        text.extend(left_out.iter().take(LISTED).map(|(name, reason)| format!("  {name}: {reason}\n")));
        if left_out.len() > LISTED {
            text += &format!("  and {} more\n", left_out.len() - LISTED);
        }
    }
    text
}

fn classes([cats, dogs]: [i64; 2]) -> String {
    format!("{} cats and {} dogs", HumanCount(cats as u64), HumanCount(dogs as u64))
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::{folder, jpeg, zipped};
    use super::*;
    use crate::data::Examples;
    use crate::data::download::tests::{Answer, HASTY, refusing, server};
    use tempfile::TempDir;

    /// `count` good images of each class in Microsoft's layout, and an empty file.
    fn pictures(each: u8) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![("PetImages/Cat/666.jpg".to_owned(), Vec::new())];
        for number in 1..=each {
            files.push((format!("PetImages/Cat/{number}.jpg"), jpeg(64, 64, [number, 0, 0])));
            files.push((format!("PetImages/Dog/{number}.jpg"), jpeg(64, 64, [0, 0, number])));
        }
        files
    }

    fn unpacked(files: &[(String, Vec<u8>)]) -> TempDir {
        folder(&files.iter().map(|(name, contents)| (name.as_str(), contents.clone())).collect::<Vec<_>>())
    }

    /// A folder with some more files than [`pictures`] of this number, all good: told apart by their count.
    fn good(each: u8) -> TempDir {
        unpacked(&pictures(each)[1..])
    }

    fn write(folder: &Path, name: &str, contents: &[u8]) {
        fs::create_dir_all(folder).expect("a temporary folder");
        fs::write(folder.join(name), contents).expect("a temporary file");
    }

    /// A server that has Microsoft's archive: six images of each class, one bad.
    struct Server {
        mirrors: [&'static str; 1],
        contents: Vec<u8>,
        checksum: String,
        _folder: TempDir,
    }

    impl Server {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let contents = zipped(&pictures(6));
            write(folder.path(), ARCHIVE, &contents);
            let mirrors = [&*server(Answer::Folder(folder.path().into())).leak()];
            Server { mirrors, checksum: sha256_of(contents.as_slice()).expect("memory"), contents, _folder: folder }
        }

        fn search<'a>(&'a self, root: &Path, variable: Option<&Path>) -> Search<'a> {
            let places = Places {
                named: variable.map(Path::to_owned),
                patience: HASTY,
                ..Places::new(root, "cats-vs-dogs", "CATS_DOGS", &self.mirrors)
            };
            Search { places, length: self.contents.len() as u64, checksum: &self.checksum, corrupt: Corrupt::Refuse }
        }
    }

    fn load(search: &Search, location: &Location, corrupt: Corrupt) -> Result<CatsDogs> {
        Search { places: search.places.clone(), corrupt, ..*search }.find(location)
    }

    /// All images there are.
    fn total(result: Result<CatsDogs>) -> i64 {
        let found = result.unwrap_or_else(|error| panic!("{error:#}"));
        found.data.train.len() + found.test_images.size()[0]
    }

    fn message(result: Result<CatsDogs>) -> String {
        format!("{:#}", result.expect_err("this data set is faulty"))
    }

    fn assert_contains(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "\"{part}\" in \"{text}\"");
        }
    }

    #[test]
    fn the_places_are_tried_in_their_order() {
        let published = Server::new();
        let (first, second, third, root) = (good(1), good(2), good(3), tempfile::tempdir().expect("a temporary folder"));
        let all = published.search(root.path(), Some(second.path()));
        let load = |search: &Search, location: &Location| load(search, location, Corrupt::Refuse);
        assert_eq!(total(load(&all, &Location::Path(first.path().into()))), 2, "--data");
        assert_eq!(total(load(&all, &Location::Search)), 4, "the variable");
        assert_eq!(total(load(&all, &Location::Embedded)), DRAWN.0 + DRAWN.1);
        assert!(fs::read_dir(root.path()).expect("the folder").next().is_none(), "nothing is downloaded");

        let own = root.path().join("data/cats-vs-dogs");
        fs::create_dir_all(own.parent().expect("a folder")).expect("a temporary folder");
        fs::rename(third.path(), &own).expect("one's own folder");
        let unset = published.search(root.path(), None);
        assert_eq!(total(load(&unset, &Location::Search)), 6, "a layout in the project's folder");
        write(&own, "other.zip", &zipped(&pictures(4)[1..]));
        assert_eq!(total(load(&unset, &Location::Search)), 6, "before a zip there");
        fs::remove_dir_all(own.join("PetImages")).expect("one's own folder");
        assert_eq!(total(load(&unset, &Location::Search)), 8, "a zip in the project's folder");
        write(&own, "another.zip", b"");
        assert_contains(&message(load(&unset, &Location::Search)), &["another.zip cannot be used", "--skip-corrupt"]);
        write(&own, "another.zip", &zipped(&pictures(4)[1..]));
        let error = message(load(&unset, &Location::Search));
        assert_contains(&error, &["found another.zip, other.zip with training images of a Cat, expected one", "--data"]);
        write(&own, ARCHIVE, &published.contents);
        assert_eq!(total(load(&unset, &Location::Search)), 12, "before all others Microsoft's");
        fs::remove_dir_all(&own).expect("one's own folder");
        assert_eq!(total(load(&unset, &Location::Search)), 12, "downloaded");
        let names: Vec<_> = fs::read_dir(&own).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, [ARCHIVE]);
    }

    #[test]
    fn what_is_named_is_never_replaced() {
        let published = Server::new();
        let (root, empty) = (tempfile::tempdir().expect("a temporary folder"), tempfile::tempdir().expect("a temporary folder"));
        let none = empty.path().join("none");
        let search = published.search(root.path(), Some(&none));
        let load = |location: &Location| load(&search, location, Corrupt::LeaveOut);
        assert_contains(&message(load(&Location::Search)), &["CATS_DOGS", "none: there is no such folder or zip"]);
        assert_contains(&message(load(&Location::Path(none.clone()))), &["--data", "none: there is no such folder or zip"]);
        assert_contains(&message(load(&Location::Path(empty.path().into()))), &["--data", "holds no image of a Cat to train on, expected"]);
        write(empty.path(), "notes.zip", b"no zip");
        assert_contains(&message(load(&Location::Path(empty.path().into()))), &["notes.zip: it is neither a folder nor a whole zip"]);
        assert!(fs::read_dir(root.path()).expect("the folder").next().is_none(), "nothing is downloaded");
        write(empty.path(), "notes.zip", &zipped(&pictures(2)));
        assert_eq!(total(load(&Location::Path(empty.path().into()))), 4, "the one zip in a folder");
        assert_eq!(total(load(&Location::Path(empty.path().join("notes.zip")))), 4);
    }

    #[test]
    fn bad_images_are_left_out_of_microsofts_archive_and_else_as_one_says() {
        let published = Server::new();
        let root = tempfile::tempdir().expect("a temporary folder");
        let search = published.search(root.path(), None);
        let found = load(&search, &Location::Search, Corrupt::Refuse).expect("Microsoft's has bad images");
        assert_eq!(found.left_out, [("PetImages/Cat/666.jpg".to_owned(), "the file is empty".to_owned())]);

        let named = Location::Path(search.archive());
        assert_contains(&message(load(&search, &named, Corrupt::Refuse)), &["Cat/666.jpg", "--skip-corrupt"]);
        assert_eq!(total(load(&search, &named, Corrupt::LeaveOut)), 12);
        let other = search.archive().with_file_name("other.zip");
        fs::rename(search.archive(), other).expect("one's own file");
        assert_contains(&message(load(&search, &Location::Search, Corrupt::Refuse)), &["Cat/666.jpg", "--skip-corrupt"]);
    }

    #[test]
    fn a_damaged_download_is_an_error() {
        let published = Server::new();
        let root = tempfile::tempdir().expect("a temporary folder");
        let search = published.search(root.path(), None);
        write(&search.places.folder, ARCHIVE, &published.contents[1..]);
        assert_contains(&message(load(&search, &Location::Search, Corrupt::LeaveOut)), &["bytes, expected", "remove it"]);
        assert!(!search.survey()[0].0);

        fs::remove_file(search.archive()).expect("one's own file");
        let other = Search { checksum: "other", ..published.search(root.path(), None) };
        let error = message(load(&other, &Location::Search, Corrupt::LeaveOut));
        assert_contains(&error, &["is not the file it should be", "expected other", "to do it by hand", "CATS_DOGS", "--data"]);
        assert!(!search.archive().exists());
    }

    #[test]
    fn without_a_network_the_drawn_pictures_come_with_a_notice() {
        let published = Server { mirrors: [&*refusing().leak()], ..Server::new() };
        let root = tempfile::tempdir().expect("a temporary folder");
        let search = published.search(root.path(), None);
        let found = load(&search, &Location::Search, Corrupt::Refuse).expect("the drawn pictures need nothing");
        assert_eq!(found.data.source.name, "drawn cats and dogs");
        assert_eq!(found.data.source.checksum.len(), 64);
        assert_eq!((found.data.train.images.size(), found.test_images.size()), (vec![2_000, 3, 64, 64], vec![500, 3, 64, 64]));
        assert_eq!((found.names.len(), &*found.names[0], found.names[1_999].as_str()), (2_000, "drawn/1", "drawn/2000"));
        let ids = found.asked.expect("they stand in for the challenge's").ids;
        assert_eq!((ids.first(), ids.last(), found.test_names.len()), (Some(&1), Some(&500), 500));
        assert_eq!(found.data.test.map(|test| test.labels.size()), Some(vec![500]));
        assert!(!root.path().join("data").exists(), "nothing is written");

        let notice = search.notice(&["the reason".to_owned()]);
        let own = root.path().join("data/cats-vs-dogs").display().to_string();
        assert_contains(&notice, &["NOT PHOTOGRAPHS", "not results", ARCHIVE, published.mirrors[0], &own, "CATS_DOGS", "the reason"]);
    }

    #[test]
    fn what_is_there_is_counted_and_what_is_not_is_listed() {
        let tensor = |labels: &[i64]| Tensor::from_slice(labels);
        let blank = |images: i64| Tensor::zeros([images, 3, 64, 64], (tch::Kind::Uint8, tch::Device::Cpu));
        let mut found = CatsDogs {
            data: DataSet {
                train: Examples { images: blank(1_003), labels: tensor(&[vec![0; 1_001], vec![1; 2]].concat()) },
                validation: None,
                test: None,
                classes: &CLASSES,
                source: Source { name: "cats and dogs".to_owned(), checksum: String::new() },
            },
            names: Vec::new(),
            test_images: blank(3),
            test_names: Vec::new(),
            asked: None,
            left_out: Vec::new(),
            notes: Vec::new(),
        };
        assert_eq!(report(&found), "cats and dogs: 1,001 cats and 2 dogs to train on, 3 images to predict\n");
        found.asked = Some(Asked { competition: Competition::DogsVsCats, ids: vec![1, 2, 3], unreadable: Vec::new() });
        assert!(report(&found).ends_with("3 images to predict, those of Kaggle's Dogs vs. Cats (test1)\n"), "{}", report(&found));
        found.data.test = Some(Examples { images: blank(3), labels: tensor(&[0, 1, 1]) });
        assert!(report(&found).ends_with("3 images to predict (1 cats and 2 dogs)\n"), "{}", report(&found));
        (found.data.validation, found.notes) = (Some(3), vec!["a note".to_owned()]);
        let text = report(&found);
        assert!(text.contains(": 1,000 cats and 0 dogs to train on, 3 for validation, 3 images") && text.ends_with("\na note\n"), "{text}");
        found.notes.clear();
        found.left_out = (0..22).map(|number| (format!("Cat/{number}.jpg"), "empty".to_owned())).collect();
        let text = report(&found);
        assert_contains(&text, &["left out, for they cannot be read (22):\n  Cat/0.jpg: empty\n", "  Cat/19.jpg: empty\n  and 2 more\n"]);
        assert_eq!(text.lines().count(), 23);
    }

    #[test]
    fn a_survey_counts_without_decoding() {
        let published = Server::new();
        let (root, two) = (tempfile::tempdir().expect("a temporary folder"), good(2));
        let search = published.search(root.path(), None);
        let lines = search.survey();
        assert_eq!(lines.iter().map(|(is_there, _)| *is_there).collect::<Vec<_>>(), [false, true]);
        assert_contains(
            &lines[0].1,
            &[
                "cats-vs-dogs: files missing: 1; the first run downloads them (Microsoft's archive, 825 MB, of which 0 MB are here)",
                "CATS_DOGS",
            ],
        );
        write(&search.places.folder, &format!(".resumable-{}", ARCHIVE), b"some");
        assert_contains(&search.survey()[0].1, &["of which 0 MB are here"]);

        // Also what is no image counts: nothing is decoded.
        write(&two.path().join("PetImages/Cat"), "3.jpg", b"no image");
        write(&two.path().join("testset/test"), "1.jpg", b"no image");
        let lines = published.search(root.path(), Some(two.path())).survey();
        assert!(lines[0].0);
        assert_contains(&lines[0].1, &["CATS_DOGS: 3 cats and 2 dogs, 1 images to predict in"]);
        let lines = published.search(root.path(), Some(root.path())).survey();
        assert!(!lines[0].0);
        assert_contains(&lines[0].1, &["CATS_DOGS: ", "no image of a Cat", "; or unset CATS_DOGS"]);

        // Zips and parts are counted, too.
        let split = tempfile::tempdir().expect("a temporary folder");
        let parts = ["train/Cat/1.jpg", "train/Dog/1.jpg", "val/Cat/1.jpg", "test/Dog/1.jpg"];
        write(split.path(), "split.zip", &zipped(&[("parts.zip".to_owned(), zipped(&parts.map(|name| (name.to_owned(), Vec::new()))))]));
        let lines = published.search(root.path(), Some(split.path())).survey();
        let expected = ["1 cats and 1 dogs, 1 cats and 0 dogs for validation, 0 cats and 1 dogs for the test in"];
        assert_contains(&lines[0].1, &expected);

        write(&search.places.folder, ARCHIVE, &published.contents);
        assert_eq!(search.survey()[0], (true, format!("7 cats and 6 dogs in {}", search.archive().display())));
    }
}
