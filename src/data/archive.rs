//! A folder or a zip file as a list of files, to be read by several threads at once. Nothing is ever unpacked to disk.
//!
//! An archive may be anything that somebody downloaded: names that lead out of it, files that unpack without end and lists without end
//! are refused before they cost more than a look.

use anyhow::{Context, Result, bail, ensure};
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sync_file::{Adapter, RandomAccessFile, ReadAt, Size};
use walkdir::WalkDir;
use zip::{CompressionMethod, ZipArchive};

/// The most files, the largest one, and all of them together in bytes: several times what Microsoft's archive of 25,000 photographs has.
const MOST_FILES: usize = 200_000;
const LARGEST_FILE: u64 = 64 << 20;
const LARGEST_TOTAL: u64 = 8 << 30;
/// Zips within a zip are held in memory: all of them together in bytes. Those in Kaggle's archive of 25,000 + 12,500 photographs have 0.8 GB.
const LARGEST_INNER: u64 = 1 << 30;
/// The depth to which folders, and zips within zips, may be nested.
const DEEPEST: usize = 8;
const DEEPEST_ZIP: usize = 2;

/// The files of a folder or a zip file. Limits hold for all of it, whatever is nested in what.
#[derive(Debug, Default)]
pub struct Archive {
    files: Vec<Listed>,
    unread: Vec<(String, String)>,
    /// The depth to which zips may be nested in each other.
    nested: usize,
    /// So far: entries listed, bytes that all files claim to unpack to, and bytes of the zips within zips.
    seen: usize,
    total: u64,
    held: u64,
}

#[derive(Debug)]
struct Listed {
    /// The path inside the archive, with `/` between its parts.
    name: String,
    /// The zip inside the archive that it is from.
    zip: Option<String>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Entry(Zip, usize),
}

/// A zip, in a file or in memory, whose clones are read independently of each other.
type Zip = ZipArchive<Adapter<Arc<dyn Bytes>>>;

trait Bytes: ReadAt + Size + fmt::Debug + Send + Sync {}
impl<T: ReadAt + Size + fmt::Debug + Send + Sync> Bytes for T {}

impl Archive {
    /// Lists the files of `path`, ordered by name. Hidden ones, and what macOS adds to zips, are left out. A zip inside is one of the files.
    ///
    /// # Errors
    /// If `path` is neither a folder nor a zip, or holds names that lead out of it, links, encrypted files or more than any data set would.
    pub fn open(path: &Path) -> Result<Archive> {
        Archive::default().listed(path)
    }

    /// As [`Archive::open`], but lists the files of the zips inside in place of these, named as if `x.zip` were a folder `x`; zips within
    /// those too, and no deeper.
    pub fn open_nested(path: &Path) -> Result<Archive> {
        Archive { nested: DEEPEST_ZIP, ..Archive::default() }.listed(path)
    }

    fn listed(mut self, path: &Path) -> Result<Archive> {
        let shown = path.display();
        let found = fs::metadata(path).with_context(|| format!("cannot read {shown}"))?;
        let listed = if found.is_dir() { self.folder(path) } else { open_file(path).and_then(|zip| self.zip(zip, None, 0)) };
        listed.with_context(|| shown.to_string())?;
        self.files.sort_by(|a, b| (&a.name, &a.zip).cmp(&(&b.name, &b.zip)));
        self.unread.sort();
        Ok(self)
    }

    /// The file `path` alone, whatever is in it.
    ///
    /// # Errors
    /// If its name is not UTF-8.
    pub(crate) fn single(path: &Path) -> Result<Archive> {
        let name = path.file_name().and_then(|name| name.to_str()).with_context(|| format!("the name {} is not UTF-8", path.display()))?;
        Ok(Archive { files: vec![Listed { name: name.to_owned(), zip: None, place: Place::File(path.to_owned()) }], ..Archive::default() })
    }

    /// The names of the files, by which they are read in this order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Entries that cannot be listed as files, with the reason: links to nothing, folders without the right to read them, names that
    /// are not UTF-8, zips that are damaged or nested too deep.
    pub(crate) fn unread(&self) -> &[(String, String)] {
        &self.unread
    }

    /// The zip inside the archive that the file in place `index` is from, none for the archive's own.
    pub(crate) fn inner_zip(&self, index: usize) -> Option<&str> {
        self.files[index].zip.as_deref()
    }

    /// The contents of the file in place `index` of [`Archive::names`].
    ///
    /// # Errors
    /// If it cannot be read, or has more than 64 MiB.
    pub fn read(&self, index: usize) -> Result<Vec<u8>> {
        let mut contents = Vec::new();
        match &self.files[index].place {
            Place::File(path) => File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut contents)?,
            Place::Entry(zip, place) => zip.clone().by_index(*place)?.take(LARGEST_FILE + 1).read_to_end(&mut contents)?,
        };
        ensure!(contents.len() as u64 <= LARGEST_FILE, "it has more than {} MiB", LARGEST_FILE >> 20);
        Ok(contents)
    }

    fn count(&mut self, entries: usize) -> Result<()> {
        self.seen += entries;
        ensure!(self.seen <= MOST_FILES, "it holds more than {MOST_FILES} files");
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<()> {
        let is_visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !is_hidden(&entry.file_name().to_string_lossy());
        let mut entries = WalkDir::new(path).max_depth(DEEPEST).follow_links(true).into_iter().filter_entry(is_visible);
        while let Some(entry) = entries.next() {
            self.count(1)?;
            let place = entry.as_ref().map_or_else(|error| error.path().unwrap_or(path), walkdir::DirEntry::path);
            let inside = place.strip_prefix(path).unwrap_or(place);
            let (name, is_utf8) = (inside.to_string_lossy().into_owned(), inside.to_str().is_some());
            let reason = match entry {
                Err(error) if name.is_empty() => bail!(error),
                Err(_) if name.split('/').any(is_hidden) => continue,
                Err(error) => reason(&error),
                Ok(entry) if !is_utf8 => {
                    if entry.file_type().is_dir() {
                        entries.skip_current_dir();
                    }
                    "its name is not UTF-8".to_owned()
                }
                Ok(entry) if entry.file_type().is_dir() && entry.depth() < DEEPEST => continue,
                Ok(entry) if entry.file_type().is_dir() => format!("it is nested in more than {} folders", DEEPEST - 1),
                Ok(entry) if !entry.file_type().is_file() => "it is neither a file nor a folder".to_owned(),
                Ok(entry) if self.nested > 0 && is_zip(&name) => {
                    self.inner(name, open_file(entry.path()), 1)?;
                    continue;
                }
                Ok(entry) => {
                    self.files.push(Listed { name, zip: None, place: Place::File(entry.into_path()) });
                    continue;
                }
            };
            self.unread.push((name, reason));
        }
        Ok(())
    }

    /// Lists the files of `zip`, which is called `outer` where it is inside another, with so many others `around` it.
    fn zip(&mut self, mut zip: Zip, outer: Option<&str>, around: usize) -> Result<()> {
        self.count(zip.len())?;
        let prefix = outer.map_or(String::new(), |outer| format!("{}/", &outer[..outer.len() - ".zip".len()]));
        for place in 0..zip.len() {
            let entry = zip.by_index_raw(place)?;
            let Ok(name) = entry.name().map(|name| name.replace('\\', "/")) else {
                let name = format!("{prefix}{}", String::from_utf8_lossy(entry.name_raw()));
                self.unread.push((name, "its name is not UTF-8".to_owned()));
                continue;
            };
            ensure!(entry.enclosed_name().is_some(), "the name {name:?} leads out of the archive");
            ensure!(!entry.is_symlink(), "{name} is a link, expected files and folders only");
            if entry.is_dir() || name.split('/').any(is_hidden) {
                continue;
            }
            ensure!(!entry.encrypted(), "{name} is encrypted");
            check_method(entry.compression()).with_context(|| name.clone())?;
            self.total = self.total.saturating_add(entry.size());
            ensure!(self.total <= LARGEST_TOTAL, "its files claim to unpack to more than {} GiB", LARGEST_TOTAL >> 30);
            let (name, size) = (format!("{prefix}{name}"), entry.size());
            drop(entry);
            if self.nested == 0 || !is_zip(&name) {
                self.files.push(Listed { name, zip: outer.map(str::to_owned), place: Place::Entry(zip.clone(), place) });
            } else if around == self.nested {
                self.unread.push((name, format!("it is nested in more than {around} zips")));
            } else {
                self.held = self.held.saturating_add(size);
                let most = LARGEST_INNER >> 30;
                ensure!(self.held <= LARGEST_INNER, "the zips inside have more than {most} GiB: unpack it, and name the folder");
                let mut contents = Vec::new();
                // A zip that has more than it claims is damaged.
                let read = zip.by_index(place).map_err(anyhow::Error::from);
                let read = read.and_then(|entry| Ok(entry.take(size + 1).read_to_end(&mut contents)?));
                self.inner(name, read.and_then(|_| open_zip(Arc::new(contents))), around + 1)?;
            }
        }
        Ok(())
    }

    /// Lists a zip inside the archive, if it is one.
    fn inner(&mut self, name: String, zip: Result<Zip>, around: usize) -> Result<()> {
        match zip {
            Ok(zip) => self.zip(zip, Some(&name), around).with_context(|| name.clone())?,
            Err(error) => self.unread.push((name, format!("{error:#}"))),
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> Result<Zip> {
    open_zip(Arc::new(RandomAccessFile::open(path)?))
}

fn open_zip(bytes: Arc<dyn Bytes>) -> Result<Zip> {
    ZipArchive::new(Adapter::new(bytes)).context("it is neither a folder nor a whole zip file")
}

/// Whether a part of a path is hidden, or added by macOS.
fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || part == "__MACOSX"
}

/// Whether a file is a zip, by its name.
pub(crate) fn is_zip(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// Why an entry of a folder cannot be listed.
fn reason(error: &walkdir::Error) -> String {
    match error.io_error() {
        Some(error) if error.kind() == ErrorKind::NotFound => "it is a link to something that is not there".to_owned(),
        Some(error) => error.to_string(),
        None => "it is a link to a folder around it".to_owned(),
    }
}

fn check_method(method: CompressionMethod) -> Result<()> {
    let name = match method {
        CompressionMethod::Stored | CompressionMethod::Deflated => return Ok(()),
        CompressionMethod::DEFLATE64 => "Deflate64",
        CompressionMethod::BZIP2 => "bzip2",
        CompressionMethod::LZMA => "LZMA",
        CompressionMethod::ZSTD => "Zstandard",
        CompressionMethod::XZ => "xz",
        CompressionMethod::PPMD => "PPMd",
        other => &format!("{other:?}"),
    };
    bail!("it is compressed with {name}, and only deflate is read: pack the zip anew with the method deflate, or store")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn zip(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("archive.zip");
        let mut writer = ZipWriter::new(File::create(&path).expect("created"));
        for (name, contents) in files {
            writer.start_file(*name, SimpleFileOptions::default()).expect("started");
            writer.write_all(contents).expect("written");
        }
        writer.finish().expect("finished");
        path
    }

    fn contents(path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        all(&Archive::open(path)?)
    }

    fn all(archive: &Archive) -> Result<Vec<(String, Vec<u8>)>> {
        archive.names().enumerate().map(|(index, name)| Ok((name.to_owned(), archive.read(index)?))).collect()
    }

    #[test]
    fn a_folder_and_its_zip_hold_the_same_files() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let files: [(&str, &[u8]); 5] =
            [("b/2.jpg", b"two"), ("a/1.jpg", b"one"), ("__MACOSX/a/1.jpg", b"x"), ("a/.DS_Store", b"x"), ("c.txt", b"")];
        let folder = scratch.path().join("folder");
        for (name, contents) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(path, contents)?;
        }
        let expected = [("a/1.jpg", "one"), ("b/2.jpg", "two"), ("c.txt", "")];
        let expected = expected.map(|(name, contents)| (name.to_owned(), contents.as_bytes().to_vec()));
        assert_eq!(contents(&folder)?, expected);
        assert_eq!(contents(&zip(scratch.path(), &files))?, expected);
        Ok(())
    }

    #[test]
    fn what_would_harm_is_refused() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let refused = |path: &Path| format!("{:#}", contents(path).expect_err("refused"));
        let outside = zip(scratch.path(), &[("../../evil.jpg", b"x")]);
        assert!(refused(&outside).contains("leads out of the archive"), "{}", refused(&outside));
        let bomb = zip(scratch.path(), &[("1.jpg", &vec![0; (LARGEST_FILE + 1) as usize])]);
        assert!(fs::metadata(&bomb)?.len() < 1 << 20, "a bomb is small");
        assert!(refused(&bomb).contains("more than 64 MiB"));
        let whole = fs::read(zip(scratch.path(), &[("1.jpg", b"one"), ("2.jpg", b"two")]))?;
        let broken = scratch.path().join("broken.zip");
        fs::write(&broken, &whole[..whole.len() / 2])?;
        assert!(refused(&broken).contains("neither a folder nor a whole zip file"));
        assert!(refused(&scratch.path().join("missing")).contains("cannot read"));
        Ok(())
    }

    #[test]
    fn zips_inside_are_listed_as_if_they_were_unpacked() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let packed = |files: &[(&str, &[u8])]| -> Result<Vec<u8>> { Ok(fs::read(zip(scratch.path(), files))?) };
        let deepest = packed(&[("4.jpg", b"four")])?;
        let third = packed(&[("3.jpg", b"three"), ("deepest.zip", &deepest)])?;
        let second = packed(&[("a/2.jpg", b"two"), ("third.ZIP", &third)])?;
        let whole = zip(scratch.path(), &[("1.jpg", b"one"), ("x/second.zip", &second), ("damaged.zip", &second[..9])]);
        let expected = [("1.jpg", "one"), ("x/second/a/2.jpg", "two"), ("x/second/third/3.jpg", "three")];
        let expected = expected.map(|(name, contents)| (name.to_owned(), contents.as_bytes().to_vec()));
        let archive = Archive::open_nested(&whole)?;
        assert_eq!(all(&archive)?, expected);
        assert_eq!([0, 1, 2].map(|index| archive.inner_zip(index)), [None, Some("x/second.zip"), Some("x/second/third.ZIP")]);
        let unread: Vec<&str> = archive.unread().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(unread, ["damaged.zip", "x/second/third/deepest.zip"]);
        assert_eq!(Archive::open(&whole)?.names().collect::<Vec<_>>(), ["1.jpg", "damaged.zip", "x/second.zip"]);

        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("1.jpg"), b"one")?;
        fs::create_dir(folder.path().join("x"))?;
        fs::write(folder.path().join("x/second.zip"), &second)?;
        assert_eq!(all(&Archive::open_nested(folder.path())?)?, expected);
        Ok(())
    }

    #[test]
    fn limits_hold_for_all_that_is_nested_together() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let inner = fs::read(zip(scratch.path(), &[("1.jpg", b"one"), ("2.jpg", b"two")]))?;
        let (size, path) = (inner.len() as u64, zip(scratch.path(), &[("inner.zip", &inner)]));
        let list = |seen, total, held| -> Result<String> {
            let listed = Archive { nested: 1, seen, total, held, ..Archive::default() }.listed(&path);
            Ok(listed.err().map_or(String::new(), |error| format!("{error:#}")))
        };
        assert_eq!(list(0, 0, 0)?, "");
        assert!(list(MOST_FILES - 2, 0, 0)?.contains("more than 200000 files"));
        assert_eq!(list(MOST_FILES - 3, LARGEST_TOTAL - size - 6, LARGEST_INNER - size)?, "");
        assert!(list(0, LARGEST_TOTAL - size - 5, 0)?.contains("more than 8 GiB"), "the files inside count as well");
        assert!(list(0, 0, LARGEST_INNER - size + 1)?.contains("more than 1 GiB"));
        Ok(())
    }

    #[test]
    fn a_method_that_is_not_read_is_named() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let mut bytes = fs::read(zip(scratch.path(), &[("1.jpg", b"one")]))?;
        let entry = bytes.windows(4).position(|bytes| bytes == b"PK\x01\x02").context("an entry")?;
        for (method, name) in [(9, "Deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (97, "97")] {
            bytes[8] = method;
            bytes[entry + 10] = method;
            let path = scratch.path().join("other.zip");
            fs::write(&path, &bytes)?;
            let error = format!("{:#}", contents(&path).expect_err("an unknown method"));
            assert!(["1.jpg", name, "pack the zip anew"].iter().all(|part| error.contains(part)), "{error}");
        }
        Ok(())
    }

    #[test]
    #[cfg(unix)]
    fn what_cannot_be_listed_is_named_and_the_rest_is_read() -> Result<()> {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;
        let scratch = tempfile::tempdir()?;
        let named = |name: &[u8]| scratch.path().join(std::ffi::OsStr::from_bytes(name));
        // Nor does it matter what the folder itself is called.
        let root = named(b"caf\xe9");
        let inside = |name: &[u8]| root.join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(inside(b"1/2/3/4/5/6/7/8"))?;
        fs::create_dir(inside(b".git"))?;
        symlink("nothing", inside(b".git/link"))?;
        symlink("nothing", inside(b"a-link"))?;
        symlink("..", inside(b"b-loop"))?;
        fs::write(inside(b"c\xff.jpg"), b"")?;
        fs::write(inside(b"d.jpg"), b"four")?;
        let archive = Archive::open(&root)?;
        assert_eq!(archive.names().collect::<Vec<_>>(), ["d.jpg"]);
        let unread: Vec<&str> = archive.unread().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(unread, ["1/2/3/4/5/6/7/8", "a-link", "b-loop/caf\u{fffd}", "c\u{fffd}.jpg"]);
        assert_eq!(archive.read(0)?, b"four");
        Ok(())
    }
}
