//! MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28 (LeCun, Cortes and Burges).
//!
//! Only files with MNIST's checksums are called MNIST in figures and tables. A folder that the user names is taken as it is or
//! refused, never replaced by something else; only where nobody named one are the files downloaded, and only where that is not possible
//! are drawn digits used, with a notice.

use super::idx::{self, Idx};
use super::location::{Finder, Location, Places};
use super::{DataSet, Examples, Source, embedded};
use crate::files::sha256_of;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};
use walkdir::{DirEntry, WalkDir};

/// The mirrors that the files are downloaded from, in turn.
const MIRRORS: [&str; 2] = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"];

/// The most folders that may be around the files in a folder that somebody names.
const DEEPEST: usize = 3;

/// Height and width of the images, in pixels.
const SIDE: usize = 28;

/// The ten digits.
pub const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The four files, images and labels for training, then for the test: name, and SHA-256 of the uncompressed file.
type Files<'a> = [(&'static str, &'a str); 4];

const FILES: Files = [
    ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

/// Loads the data set from `location`, of MNIST 60,000 and 10,000 images uint8 `[1, 28, 28]` with labels 0 to 9; `root` is the project's folder, with `data/mnist` below it. Says on stderr where the data are not
/// MNIST although nobody asked for that.
///
/// # Errors
/// Where a file is missing from a folder that was named (`location` or the environment variable), where a file is damaged or does not
/// fit the others, where a download breaks off or cannot be written. Each error names the file and what to do.
pub fn load(location: &Location, root: &Path) -> Result<DataSet> {
    let (mnist, remark) = Search::new(root).find(location)?;
    if let Some(remark) = remark {
        tell!("{remark}");
    }
    Ok(mnist)
}

/// One line for each place, in the order in which they are tried: whether it has MNIST, and what to do if not.
pub(crate) fn survey(root: &Path) -> Vec<(bool, String)> {
    Search::new(root).survey()
}

/// The surroundings of [`load`].
struct Search<'a> {
    places: Places<'a>,
    files: Files<'a>,
}

impl Search<'_> {
    fn new(root: &Path) -> Self {
        Search { places: Places::new(root, "mnist", "MNIST_DIR", &MIRRORS), files: FILES }
    }

    /// Those of the four files that are in `folder`; one of the project's own that is not MNIST's is an error.
    fn files_in(&self, folder: &Path, is_own: bool) -> Result<Vec<(PathBuf, Idx)>> {
        let mut read = Vec::new();
        for (name, checksum) in &self.files {
            let Some(path) = find(folder, name) else { continue };
            let decoded = idx::decode(idx::open(&path)?, idx::LIMIT);
            let idx = if is_own { decoded.and_then(|idx| check(idx, checksum)) } else { decoded };
            let wrong = if is_own { "is damaged: remove it, and the next run downloads it again" } else { "is not a usable IDX file" };
            read.push((path.clone(), idx.with_context(|| format!("{} {wrong}", path.display()))?));
        }
        Ok(read)
    }

    fn missing_from(&self, folder: &Path) -> Vec<&'static str> {
        self.files.iter().map(|(name, _)| *name).filter(|name| find(folder, name).is_none()).collect()
    }

    /// `folder` itself if one of the files is in it, else the one folder below that has one, for example torchvision's `MNIST/raw`.
    fn inside(&self, folder: &Path) -> Result<PathBuf> {
        let is_hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
        let below = WalkDir::new(folder).max_depth(DEEPEST).follow_links(true).sort_by_file_name().into_iter();
        // A folder without the right to read it has none of the files that can be read.
        let folders = below.filter_entry(|entry| entry.file_type().is_dir() && !is_hidden(entry)).flatten().map(DirEntry::into_path);
        let found: Vec<PathBuf> = folders.filter(|place| self.missing_from(place).len() < 4).collect();
        match &found[..] {
            [] => Ok(folder.to_owned()),
            [first, others @ ..] if others.is_empty() || first == folder => Ok(first.clone()),
            several => bail!(
                "{}: found MNIST's files in several folders, expected one; name one of them: {}",
                folder.display(),
                several.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

impl Finder for Search<'_> {
    /// With a remark where somebody named a folder that does not hold MNIST.
    type Found = (DataSet, Option<String>);

    const NAME: &'static str = "MNIST";
    const SIZE: &'static str = "11 MB";
    const NOTICE: &'static str = "NOT MNIST, but digits drawn by this program. Results on them are not results on MNIST.";

    fn places(&self) -> &Places<'_> {
        &self.places
    }

    fn own(&self) -> Result<Option<PathBuf>> {
        let folder = &self.places.folder;
        if self.missing_from(folder).is_empty() {
            return Ok(Some(folder.clone()));
        }
        // Damaged files are found before the missing ones are downloaded.
        self.files_in(folder, true).map(|_| None)
    }

    fn read(&self, named: &Path, is_own: bool) -> Result<Self::Found> {
        let shown = named.display();
        ensure!(named.exists(), "{shown}: there is no such folder");
        ensure!(named.is_dir(), "{shown}: found a file, expected the folder with the four MNIST files");
        let folder = &self.inside(named)?;
        let (shown, missing) = (folder.display(), self.missing_from(folder));
        ensure!(
            missing.is_empty(),
            "{shown}: found {} of the four MNIST files; put there, as it is or with .gz: {}",
            4 - missing.len(),
            missing.join(", ")
        );
        let read = self.files_in(folder, is_own)?;
        let is_other = |((path, idx), (_, sum)): (&(PathBuf, Idx), &(_, &str))| (idx.checksum != *sum).then(|| name_of(path));
        let others: Vec<String> = read.iter().zip(&self.files).filter_map(is_other).collect();
        if others.is_empty() {
            return Ok((assemble(&read, "MNIST".to_owned())?, None));
        }
        let advice = if others.len() < 4 { "; the others are, so these may be damaged: get them anew" } else { "" };
        let remark = format!("note: {shown} is used, but its contents are not MNIST's: {}{advice}", others.join(", "));
        Ok((assemble(&read, format!("data set in {}, not MNIST", name_of(named)))?, Some(remark)))
    }

    fn describe(&self, folder: &Path, is_own: bool) -> Result<String> {
        let (mnist, remark) = self.read(folder, is_own)?;
        let complete = || format!("MNIST in {}, complete, checksums right", folder.display());
        Ok(remark.map_or_else(complete, |remark| format!("{}; {remark}", mnist.source.name)))
    }

    fn missing(&self) -> Vec<(String, Option<u64>)> {
        self.missing_from(&self.places.folder).into_iter().map(|name| (format!("{name}.gz"), None)).collect()
    }

    fn verify(&self, name: &str, contents: &File) -> Result<()> {
        let (_, checksum) = self.files.iter().find(|(file, _)| name.starts_with(file)).context("not one of the four files")?;
        check(idx::decode(BufReader::new(contents), idx::LIMIT)?, checksum).map(drop)
    }

    fn drawn(&self) -> Result<Self::Found> {
        let (train, test) = embedded::digits(60_000, 10_000, 0);
        // Their bytes may depend on the machine's arithmetic, so they are hashed, not looked up.
        let checksum = |tensor: &Tensor| -> Result<String> {
            Ok(sha256_of(Vec::<u8>::try_from(tensor.flatten(0, -1).to_kind(Kind::Uint8))?.as_slice())?)
        };
        let checksums = [&train.images, &train.labels, &test.images, &test.labels].into_iter().map(checksum).collect::<Result<String>>()?;
        let source = Source { name: "embedded digits, not MNIST".to_owned(), checksum: sha256_of(checksums.as_bytes())? };
        Ok((data_set(train, test, source), None))
    }
}

fn name_of(path: &Path) -> String {
    // `..` and `/` have no name of their own.
    let whole = || fs::canonicalize(path).unwrap_or_else(|_| path.into()).into_os_string();
    path.file_name().map_or_else(whole, |name| name.to_owned()).to_string_lossy().into_owned()
}

/// The file `name` in the spellings it is found in: mirrors write a dot for the second dash, and unpacking drops `.gz` or leaves it.
/// A file comes before a folder of that name, as some archives have both.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    let spellings = [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")].map(|spelling| folder.join(spelling));
    // One that cannot be looked at is there: reading it will say why.
    let is_there = |path: &&PathBuf| fs::metadata(path).map_or_else(|error| error.kind() != ErrorKind::NotFound, |_| true);
    spellings.iter().find(|path| path.is_file()).or_else(|| spellings.iter().find(is_there)).cloned()
}

fn check(idx: Idx, expected: &str) -> Result<Idx> {
    ensure!(
        idx.checksum == expected,
        "its contents are not MNIST's: found SHA-256 {} of the uncompressed file, expected {expected}",
        idx.checksum
    );
    Ok(idx)
}

/// Makes the data set of the four files, in the order of [`FILES`].
fn assemble(read: &[(PathBuf, Idx)], name: String) -> Result<DataSet> {
    let checksums: String = read.iter().map(|(_, idx)| idx.checksum.as_str()).collect();
    let [train_images, train_labels, test_images, test_labels] = read else { bail!("found {} files, expected 4", read.len()) };
    let (train, test) = (examples(train_images, train_labels)?, examples(test_images, test_labels)?);
    Ok(data_set(train, test, Source { name, checksum: sha256_of(checksums.as_bytes())? }))
}

fn data_set(train: Examples, test: Examples, source: Source) -> DataSet {
    DataSet { train, validation: None, test: Some(test), classes: &CLASSES, source }
}

fn examples((images_path, images): &(PathBuf, Idx), (labels_path, labels): &(PathBuf, Idx)) -> Result<Examples> {
    let (shown, count) = (images_path.display(), images.shape[0]);
    ensure!(
        images.shape.len() == 3 && images.shape[1..] == [SIDE, SIDE] && count > 0,
        "{shown}: found an array of {:?}, expected images, [their number, {SIDE}, {SIDE}]; put the right file there",
        images.shape
    );
    let shown = labels_path.display();
    ensure!(
        labels.shape == [count],
        "{shown}: found an array of {:?}, expected [{count}], a label for each image in {}; take both from the same data set",
        labels.shape,
        images_path.display()
    );
    if let Some(position) = labels.elements.iter().position(|&label| label > 9) {
        bail!("{shown}: label {position} is {}, expected 0 to 9; put a file with ten classes there", labels.elements[position]);
    }
    let pixels = Tensor::from_data_size(&images.elements, &[count as i64, 1, SIDE as i64, SIDE as i64], Kind::Uint8);
    Ok(Examples { images: pixels, labels: Tensor::from_slice(&labels.elements).to_kind(Kind::Int64) })
}

#[cfg(test)]
mod tests {
    use super::super::download::tests::{Answer, HASTY, refusing, server};
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use std::time::Instant;
    use tempfile::TempDir;

    const TRAIN: usize = 20;
    const TEST: usize = 10;

    fn idx_file(shape: &[usize], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|&size| (size as u32).to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory can be written");
        encoder.finish().expect("memory can be written")
    }

    fn images(count: usize) -> Vec<u8> {
        idx_file(&[count, SIDE, SIDE], &(0..count * SIDE * SIDE).map(|position| (position % 251) as u8).collect::<Vec<u8>>())
    }

    fn labels(count: usize) -> Vec<u8> {
        idx_file(&[count], &(0..count).map(|position| (position % 10) as u8).collect::<Vec<u8>>())
    }

    /// The contents of four files that stand for MNIST's, and their checksums under MNIST's names.
    fn small() -> ([Vec<u8>; 4], Files<'static>) {
        let contents = [images(TRAIN), labels(TRAIN), images(TEST), labels(TEST)];
        let mut published = FILES;
        for (file, contents) in published.iter_mut().zip(&contents) {
            file.1 = sha256_of(contents.as_slice()).expect("memory").leak();
        }
        (contents, published)
    }

    fn write(folder: &Path, name: &str, contents: &[u8]) {
        fs::create_dir_all(folder).expect("a temporary folder");
        fs::write(folder.join(name), contents).expect("a temporary file");
    }

    /// A folder that holds the four files, raw.
    fn raw_folder() -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (contents, files) = small();
        for (file, contents) in files.iter().zip(&contents) {
            write(folder.path(), file.0, contents);
        }
        folder
    }

    /// A folder that holds the four files as a mirror does.
    fn mirror_folder() -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (contents, files) = small();
        for (file, contents) in files.iter().zip(&contents) {
            write(folder.path(), &format!("{}.gz", file.0), &gzip(contents));
        }
        folder
    }

    fn search<'a>(root: &'a Path, variable: Option<&Path>, mirrors: &'a [&'a str]) -> Search<'a> {
        let places = Places { named: variable.map(Path::to_owned), patience: HASTY, ..Places::new(root, "mnist", "MNIST_DIR", mirrors) };
        Search { places, files: small().1 }
    }

    impl Search<'_> {
        fn load(&self, location: &Location) -> Result<DataSet> {
            Ok(self.find(location)?.0)
        }
    }

    fn load_folder(folder: &Path) -> Result<DataSet> {
        search(Path::new("nowhere"), None, &[]).load(&Location::Path(folder.to_owned()))
    }

    fn message(result: Result<DataSet>) -> String {
        format!("{:#}", result.expect_err("this data set is faulty"))
    }

    fn assert_contains(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "\"{part}\" in \"{text}\"");
        }
    }

    fn assert_small(mnist: &DataSet) {
        let test = mnist.test.as_ref().expect("with labels");
        assert_eq!(mnist.train.images.size(), [TRAIN as i64, 1, 28, 28]);
        assert_eq!(mnist.train.images.kind(), Kind::Uint8);
        assert_eq!(mnist.train.labels.kind(), Kind::Int64);
        assert_eq!((mnist.train.len(), test.len()), (TRAIN as i64, TEST as i64));
        assert_eq!(test.labels.int64_value(&[7]), 7);
        assert_eq!(mnist.train.images.int64_value(&[1, 0, 2, 3]), (784 + 2 * 28 + 3) % 251);
        let checksums = small().1.map(|file| file.1);
        assert_eq!(mnist.source.checksum, sha256_of(checksums.concat().as_bytes()).expect("memory"));
    }

    #[test]
    fn raw_compressed_and_dotted_files_are_one_data_set() {
        let (contents, files) = small();
        let spellings: [fn(&str) -> String; 4] = [
            |name| name.to_owned(),
            |name| format!("{name}.gz"),
            |name| name.replace("-idx", ".idx"),
            |name| format!("{}.gz", name.replace("-idx", ".idx")),
        ];
        for (number, spelling) in spellings.iter().enumerate() {
            for compressed in [false, true] {
                let folder = tempfile::tempdir().expect("a temporary folder");
                for (file, contents) in files.iter().zip(&contents) {
                    write(folder.path(), &spelling(file.0), &if compressed { gzip(contents) } else { contents.clone() });
                }
                let mnist = load_folder(folder.path()).unwrap_or_else(|error| panic!("spelling {number}: {error:#}"));
                assert_small(&mnist);
                assert_eq!(mnist.source.name, "MNIST");
            }
        }
    }

    #[test]
    fn a_file_comes_before_a_folder_of_its_name() {
        let folder = raw_folder();
        let raw = folder.path().join("train-images-idx3-ubyte");
        fs::rename(&raw, folder.path().join("train-images.idx3-ubyte")).expect("one's own file");
        fs::create_dir(&raw).expect("a temporary folder");
        assert_small(&load_folder(folder.path()).expect("the file with a dot is there"));
    }

    #[test]
    fn another_data_set_is_used_under_its_own_name() {
        let folder = raw_folder();
        let mut contents = images(TRAIN);
        contents[100] ^= 1;
        write(folder.path(), "train-images-idx3-ubyte", &contents);
        let (mnist, remark) = search(Path::new("nowhere"), None, &[]).read(folder.path(), false).expect("a well-formed data set");
        let folder_name = folder.path().file_name().and_then(|name| name.to_str()).expect("a name");
        assert_eq!(mnist.source.name, format!("data set in {folder_name}, not MNIST"));
        assert_contains(&remark.expect("a remark"), &["not MNIST's: train-images-idx3-ubyte; the others are"]);
    }

    #[test]
    fn a_named_folder_is_never_replaced() {
        let files = mirror_folder();
        let mirror = server(Answer::Folder(files.path().into()));
        let empty = tempfile::tempdir().expect("a temporary folder");
        let root = tempfile::tempdir().expect("a temporary folder");
        let good = raw_folder();
        let mirrors = [mirror.as_str()];

        let error = message(search(root.path(), None, &mirrors).load(&Location::Path(empty.path().into())));
        assert_contains(&error, &["--data", "found 0 of the four MNIST files", "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]);
        let error = message(search(root.path(), Some(empty.path()), &mirrors).load(&Location::Search));
        assert_contains(&error, &["MNIST_DIR", "found 0 of the four MNIST files"]);
        assert!(fs::read_dir(root.path()).expect("the folder").next().is_none(), "nothing is downloaded");

        let mnist = search(root.path(), Some(empty.path()), &mirrors).load(&Location::Path(good.path().into()));
        assert_small(&mnist.expect("--data comes before the variable"));
        assert_small(&search(root.path(), Some(good.path()), &mirrors).load(&Location::Search).expect("the variable names good files"));

        assert_contains(&message(load_folder(&empty.path().join("none"))), &["none: there is no such folder"]);
        assert_contains(&message(load_folder(&good.path().join("t10k-labels-idx1-ubyte"))), &["found a file, expected the folder"]);
    }

    #[test]
    fn the_files_are_found_in_folders_inside() {
        let (outer, files) = (tempfile::tempdir().expect("a temporary folder"), small().1);
        let raw = outer.path().join("MNIST").join("raw");
        for (file, contents) in files.iter().zip(small().0) {
            write(&raw, file.0, &contents);
            write(&raw, &format!("{}.gz", file.0), &gzip(&contents));
        }
        write(&outer.path().join(".hidden"), files[0].0, b"");
        assert_small(&load_folder(outer.path()).expect("torchvision's folder"));
        write(&outer.path().join("other"), files[0].0, b"");
        assert_contains(&message(load_folder(outer.path())), &["in several folders", "MNIST/raw", "other"]);
        assert_small(&load_folder(&outer.path().join("MNIST")).expect("the one that is named"));
        write(&raw, files[1].0, &labels(TRAIN).iter().map(|byte| byte ^ u8::from(*byte == 9)).collect::<Vec<u8>>());
        let other = load_folder(&outer.path().join("MNIST")).expect("another data set");
        assert_eq!(other.source.name, "data set in MNIST, not MNIST", "by the name that is given");
        fs::remove_file(raw.join(files[3].0)).and_then(|()| fs::remove_file(raw.join(format!("{}.gz", files[3].0)))).expect("one's own");
        let error = message(load_folder(&outer.path().join("MNIST")));
        assert_contains(&error, &["MNIST/raw: found 3 of the four MNIST files", files[3].0]);
    }

    #[test]
    fn a_file_is_to_be_got_anew_only_where_that_helps() {
        let labels = [&[0, 0, 0x0c, 2, 0, 0, 0, 1, 0, 0, 0, 8][..], &[0; 32]].concat();
        let folder = raw_folder();
        write(folder.path(), "train-labels-idx1-ubyte", &labels);
        let error = message(load_folder(folder.path()));
        assert!(error.contains("type 0c") && error.contains("another data set") && !error.contains("anew"), "{error}");

        let folder = raw_folder();
        let path = folder.path().join("train-labels-idx1-ubyte");
        fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("one's own");
        let error = message(load_folder(folder.path()));
        assert!(error.contains("found a folder") && !error.contains("anew"), "{error}");
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(root.path().join("data/mnist").join("train-labels-idx1-ubyte")).expect("made");
        let error = message(search(root.path(), None, &[]).load(&Location::Search));
        assert!(error.contains("found a folder") && !error.contains("damaged"), "{error}");
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let cases: [(&str, Vec<u8>, &[&str]); 10] = [
            ("train-images-idx3-ubyte", labels(TRAIN), &["found an array of [20], expected images, [their number, 28, 28]"]),
            ("train-images-idx3-ubyte", idx_file(&[TRAIN, 32, 32], &[0; TRAIN * 1024]), &["found an array of [20, 32, 32]"]),
            ("t10k-images-idx3-ubyte", idx_file(&[0, 28, 28], &[]), &["found an array of [0, 28, 28]"]),
            ("t10k-labels-idx1-ubyte", images(TEST), &["found an array of [10, 28, 28], expected [10]"]),
            ("train-labels-idx1-ubyte", labels(TRAIN - 1), &["found an array of [19], expected [20]", "train-images-idx3-ubyte"]),
            ("train-labels-idx1-ubyte", idx_file(&[TRAIN], &[10; TRAIN]), &["label 0 is 10, expected 0 to 9"]),
            ("t10k-images-idx3-ubyte", images(TEST)[..100].to_vec(), &["ends too early", "get this file anew"]),
            ("t10k-images-idx3-ubyte", gzip(&images(TEST))[..100].to_vec(), &["breaks off", "get this file anew"]),
            ("t10k-images-idx3-ubyte", b"<html>".to_vec(), &["web page, not gzip"]),
            ("t10k-images-idx3-ubyte", b"\x00\x00\x08\x02".to_vec(), &["ends within its header"]),
        ];
        for (name, contents, parts) in cases {
            let folder = raw_folder();
            write(folder.path(), name, &contents);
            let error = message(load_folder(folder.path()));
            assert_contains(&error, parts);
            assert_contains(&error, &[name]);
        }
    }

    #[test]
    fn missing_files_are_downloaded_once() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mirror = mirror_folder();
        let (good, refusing) = (server(Answer::Folder(mirror.path().into())), refusing());
        let own = root.path().join("data/mnist");
        // One is there already, in another spelling, and stays.
        write(&own, "t10k-labels.idx1-ubyte", &labels(TEST));
        let mnist = search(root.path(), None, &[&refusing, &good]).load(&Location::Search).expect("the second mirror is good");
        assert_small(&mnist);
        assert_eq!(mnist.source.name, "MNIST");
        let mut names: Vec<_> = fs::read_dir(&own).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        let expected = ["t10k-images-idx3-ubyte.gz", "t10k-labels.idx1-ubyte", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"];
        assert_eq!(names, expected);
        assert_small(&search(root.path(), None, &[&refusing]).load(&Location::Search).expect("everything is there"));
    }

    #[test]
    fn a_download_with_another_checksum_is_an_error() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mirror = mirror_folder();
        write(mirror.path(), "train-labels-idx1-ubyte.gz", &gzip(&labels(TRAIN + 1)));
        let good = server(Answer::Folder(mirror.path().into()));
        let error = message(search(root.path(), None, &[&good]).load(&Location::Search));
        assert_contains(&error, &["train-labels-idx1-ubyte.gz came, but", "found SHA-256", "to do it by hand", "data/mnist", "MNIST_DIR"]);
        let names: Vec<_> =
            fs::read_dir(root.path().join("data/mnist")).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["train-images-idx3-ubyte.gz"], "what was good is kept");
    }

    #[test]
    fn a_damaged_file_of_ones_own_is_an_error() {
        let (contents, files) = small();
        let mut flipped = contents[0].clone();
        flipped[500] ^= 4;
        for damaged in [flipped, contents[0][..600].to_vec(), gzip(&contents[0])[..80].to_vec()] {
            let root = tempfile::tempdir().expect("a temporary folder");
            let own = root.path().join("data/mnist");
            write(&own, files[0].0, &damaged);
            // It is found before the network is asked for the other three.
            let error = message(search(root.path(), None, &[&refusing()]).load(&Location::Search));
            assert_contains(&error, &["train-images-idx3-ubyte is damaged: remove it, and the next run downloads it again"]);
        }
    }

    #[test]
    fn without_a_network_the_embedded_digits_come_with_a_notice() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let refusing = refusing();
        let mirrors = [refusing.as_str()];
        let search = search(root.path(), None, &mirrors);
        let started = Instant::now();
        let mnist = search.load(&Location::Search).expect("the embedded digits need nothing");
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
        assert_eq!(mnist.source.name, "embedded digits, not MNIST");
        assert_eq!((mnist.train.len(), mnist.test.map(|test| test.len())), (60_000, Some(10_000)));
        assert_eq!(mnist.source.checksum.len(), 64);
        assert!(!root.path().join("data").exists(), "nothing is written");

        let notice = search.notice(&["the reason".to_owned()]);
        assert_contains(
            &notice,
            &["NOT MNIST", "not results on MNIST", "train-images-idx3-ubyte.gz", &refusing, "MNIST_DIR", "--data", "the reason"],
        );
        assert_contains(&notice, &[&root.path().join("data/mnist").display().to_string()]);
    }

    #[test]
    fn a_survey_says_what_is_there_and_what_to_do() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let lines = search(root.path(), None, &[]).survey();
        assert_eq!(lines.iter().map(|(is_there, _)| *is_there).collect::<Vec<_>>(), [false, true]);
        assert_contains(&lines[0].1, &["files missing: 4; the first run downloads them (11 MB, of which 0 MB", "MNIST_DIR"]);

        let good = raw_folder();
        let lines = search(root.path(), Some(good.path()), &[]).survey();
        assert!(lines[0].0);
        assert_contains(&lines[0].1, &["MNIST_DIR: MNIST in"]);

        let lines = search(root.path(), Some(root.path()), &[]).survey();
        assert!(!lines[0].0);
        assert_contains(&lines[0].1, &["found 0 of the four", "or unset MNIST_DIR"]);

        let (contents, files) = small();
        for (file, contents) in files.iter().zip(&contents) {
            write(&root.path().join("data/mnist"), file.0, contents);
        }
        let lines = search(root.path(), None, &[]).survey();
        assert!(lines[0].0);
        assert_contains(&lines[0].1, &["data/mnist, complete"]);

        write(&root.path().join("data/mnist"), "train-images-idx3-ubyte", &images(1));
        let lines = search(root.path(), None, &[]).survey();
        assert!(!lines[0].0);
        assert_contains(&lines[0].1, &["is damaged: remove it"]);
    }

    #[test]
    fn the_real_files_are_mnist() {
        let Some(folder) = Search::new(Path::new("nowhere")).places.named else {
            say!("skipped: MNIST_DIR does not name a folder with MNIST");
            return;
        };
        let mnist = load(&Location::Path(folder), Path::new("nowhere")).expect("MNIST");
        assert_eq!(mnist.source.name, "MNIST");
        assert_eq!(mnist.source.checksum, sha256_of(FILES.map(|file| file.1).concat().as_bytes()).expect("memory"));
        assert_eq!(mnist.train.images.size(), [60_000, 1, 28, 28]);
        let test = mnist.test.expect("with labels");
        assert_eq!(test.images.size(), [10_000, 1, 28, 28]);
        // The first labels and the class counts as published.
        assert_eq!(Vec::<i64>::try_from(mnist.train.labels.narrow(0, 0, 5)).expect("labels"), [5, 0, 4, 1, 9]);
        let counts = Vec::<i64>::try_from(test.labels.bincount::<Tensor>(None, 10)).expect("counts");
        assert_eq!(counts, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
        let mean = mnist.train.images.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]) / 255.0;
        assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
    }
}
