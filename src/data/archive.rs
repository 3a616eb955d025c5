//! A folder or a zip file as a list of files, to be read by several threads at once. Nothing is ever unpacked to disk.
//!
//! An archive may be anything that somebody downloaded: names that lead out of it, files that unpack without end and lists without end
//! are refused before they cost more than a look.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{BufReader, Cursor, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;
use zip::{CompressionMethod, ZipArchive};

/// The most files, the largest one, and all of them together in bytes: several times what Microsoft's archive of 25,000 photographs has.
const MOST_FILES: usize = 200_000;
const LARGEST_FILE: u64 = 64 << 20;
const LARGEST_TOTAL: u64 = 8 << 30;
/// Zips within a zip are held in memory: all of them together in bytes. Those in Kaggle's archive of 25,000 + 12,500 photographs have 0.8 GB.
const LARGEST_INNER: u64 = 1 << 30;
/// How deep folders, and zips within zips, may be nested.
const DEEPEST: usize = 8;
const DEEPEST_ZIP: usize = 2;

/// The files of a folder or a zip file.
#[derive(Debug)]
pub struct Archive {
    containers: Vec<Container>,
    files: Vec<Listed>,
    unread: Vec<(String, String)>,
}

/// A folder, a zip or a single file.
#[derive(Debug)]
struct Container {
    /// Its path inside the archive without `.zip`, with a `/` at its end; empty for the archive itself.
    prefix: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Zip(PathBuf),
    /// A zip within a zip.
    Memory(Vec<u8>),
}

#[derive(Debug)]
struct Listed {
    /// The path inside the archive, with `/` between its parts.
    name: String,
    container: usize,
    /// The place in a zip's own list.
    place: usize,
}

trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}
type OpenZip<'a> = ZipArchive<Box<dyn ReadSeek + 'a>>;

/// One thread's way to the contents.
pub struct Reader<'a> {
    archive: &'a Archive,
    /// The containers that are zips.
    zips: Vec<Option<OpenZip<'a>>>,
}

impl Archive {
    /// Lists the files of `path`, ordered by name. Hidden ones, and what macOS adds to zips, are left out. A zip inside is one of the files.
    ///
    /// # Errors
    /// If `path` is neither a folder nor a zip, or holds names that lead out of it, links, encrypted files or more than any data set would.
    pub fn open(path: &Path) -> Result<Archive> {
        Archive::list(path, 0)
    }

    /// As [`Archive::open`], but lists the files of the zips inside in place of these, named as if `x.zip` were a folder `x`; zips within
    /// those too, and no deeper.
    pub fn open_nested(path: &Path) -> Result<Archive> {
        Archive::list(path, DEEPEST_ZIP)
    }

    fn list(path: &Path, nested: usize) -> Result<Archive> {
        let found = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let archive = Archive { containers: Vec::new(), files: Vec::new(), unread: Vec::new() };
        let mut lister = Lister { archive, nested, seen: 0, total: 0, held: 0 };
        let zip = || Container { prefix: String::new(), place: Place::Zip(path.to_owned()) };
        let listed = if found.is_dir() { lister.folder(path) } else { lister.zip(zip(), 0) };
        listed.with_context(|| format!("in {}", path.display()))?;
        let mut archive = lister.archive;
        archive.files.sort_by(|a, b| a.name.cmp(&b.name));
        archive.unread.sort();
        Ok(archive)
    }

    /// The file `path` alone, whatever is in it.
    ///
    /// # Errors
    /// If its name is not UTF-8.
    pub(crate) fn single(path: &Path) -> Result<Archive> {
        let name = path.file_name().and_then(|name| name.to_str()).with_context(|| format!("the name {} is not UTF-8", path.display()))?;
        let folder = Container { prefix: String::new(), place: Place::Folder(path.with_file_name("")) };
        let file = Listed { name: name.to_owned(), container: 0, place: 0 };
        Ok(Archive { containers: vec![folder], files: vec![file], unread: Vec::new() })
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
    pub(crate) fn inner_zip(&self, index: usize) -> Option<String> {
        let container = &self.containers[self.files[index].container];
        (!container.prefix.is_empty()).then(|| container.name())
    }

    /// A reader for one thread.
    pub fn reader(&self) -> Result<Reader<'_>> {
        Ok(Reader { archive: self, zips: self.containers.iter().map(Container::open).collect::<Result<_>>()? })
    }
}

impl Reader<'_> {
    /// The contents of the file in place `index` of [`Archive::names`].
    ///
    /// # Errors
    /// If it cannot be read, or has more than 64 MiB.
    pub fn read(&mut self, index: usize) -> Result<Vec<u8>> {
        let Listed { name, container, place } = &self.archive.files[index];
        let mut contents = Vec::new();
        match (&mut self.zips[*container], &self.archive.containers[*container].place) {
            (Some(zip), _) => zip.by_index(*place)?.take(LARGEST_FILE + 1).read_to_end(&mut contents)?,
            (None, Place::Folder(path)) => File::open(path.join(name))?.take(LARGEST_FILE + 1).read_to_end(&mut contents)?,
            (None, _) => bail!("its zip is not open"),
        };
        ensure!(contents.len() as u64 <= LARGEST_FILE, "it has more than {} MiB", LARGEST_FILE >> 20);
        Ok(contents)
    }
}

impl Container {
    /// The zip that it is; none for a folder.
    fn open(&self) -> Result<Option<OpenZip<'_>>> {
        let (input, name): (Box<dyn ReadSeek>, _) = match &self.place {
            Place::Folder(_) => return Ok(None),
            Place::Zip(path) => (Box::new(BufReader::new(File::open(path)?)), path.display().to_string()),
            Place::Memory(contents) => (Box::new(Cursor::new(contents.as_slice())), self.name()),
        };
        Ok(Some(ZipArchive::new(input).with_context(|| format!("{name} is neither a folder nor a whole zip file"))?))
    }

    /// The name of a zip inside the archive.
    fn name(&self) -> String {
        format!("{}.zip", self.prefix.trim_end_matches('/'))
    }
}

/// Lists an archive within limits that hold for all of it, whatever is nested in what.
struct Lister {
    archive: Archive,
    /// How many zips may be nested in each other.
    nested: usize,
    /// How many entries were listed.
    seen: usize,
    /// How many bytes all files claim to unpack to.
    total: u64,
    /// How many bytes the zips within zips take.
    held: u64,
}

impl Lister {
    fn count(&mut self, entries: usize) -> Result<()> {
        self.seen += entries;
        ensure!(self.seen <= MOST_FILES, "it holds more than {MOST_FILES} files");
        Ok(())
    }

    fn unread(&mut self, name: String, reason: impl Into<String>) {
        self.archive.unread.push((name, reason.into()));
    }

    fn folder(&mut self, path: &Path) -> Result<()> {
        let mut zips = Vec::new();
        let is_visible = |entry: &walkdir::DirEntry| entry.depth() == 0 || !is_hidden(&entry.file_name().to_string_lossy());
        let mut entries = WalkDir::new(path).max_depth(DEEPEST).follow_links(true).into_iter().filter_entry(is_visible);
        while let Some(entry) = entries.next() {
            self.count(1)?;
            let place = entry.as_ref().map_or_else(|error| error.path().unwrap_or(path), walkdir::DirEntry::path);
            let inside = place.strip_prefix(path).unwrap_or(place).to_owned();
            let name = inside.to_string_lossy().into_owned();
            let entry = match entry {
                Err(error) if name.is_empty() => bail!(error),
                Err(_) if name.split('/').any(is_hidden) => continue,
                Err(error) => {
                    self.unread(name, reason(&error));
                    continue;
                }
                Ok(entry) => entry,
            };
            let kind = entry.file_type();
            if inside.to_str().is_none() {
                self.unread(name, "its name is not UTF-8");
                if kind.is_dir() {
                    entries.skip_current_dir();
                }
            } else if kind.is_dir() {
                if entry.depth() == DEEPEST {
                    self.unread(name, format!("it is nested in more than {} folders", DEEPEST - 1));
                }
            } else if !kind.is_file() {
                self.unread(name, "it is neither a file nor a folder");
            } else if let Some(prefix) = zip_prefix(&name).filter(|_| self.nested > 0) {
                zips.push(Container { prefix, place: Place::Zip(entry.into_path()) });
            } else {
                self.archive.files.push(Listed { name, container: 0, place: 0 });
            }
        }
        self.archive.containers.push(Container { prefix: String::new(), place: Place::Folder(path.to_owned()) });
        zips.into_iter().try_for_each(|zip| self.inner(zip, 1))
    }

    /// Lists a zip that so many others are around.
    fn zip(&mut self, container: Container, around: usize) -> Result<()> {
        let mut zip = container.open()?.context("this is a folder")?;
        self.count(zip.len())?;
        let mut zips = Vec::new();
        for place in 0..zip.len() {
            let entry = zip.by_index_raw(place)?;
            let Ok(name) = entry.name().map(|name| name.replace('\\', "/")) else {
                self.unread(format!("{}{}", container.prefix, String::from_utf8_lossy(entry.name_raw())), "its name is not UTF-8");
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
            let (name, size) = (format!("{}{name}", container.prefix), entry.size());
            drop(entry);
            let Some(prefix) = zip_prefix(&name).filter(|_| self.nested > 0) else {
                self.archive.files.push(Listed { name, container: self.archive.containers.len(), place });
                continue;
            };
            if around == self.nested {
                self.unread(name, format!("it is nested in more than {} zips", self.nested));
                continue;
            }
            self.held = self.held.saturating_add(size);
            let most = LARGEST_INNER >> 30;
            ensure!(self.held <= LARGEST_INNER, "the zips inside have more than {most} GiB: unpack it, and name the folder");
            let mut contents = Vec::new();
            // What has more than it claims is damaged.
            let read = zip.by_index(place).map_err(anyhow::Error::from);
            match read.and_then(|entry| Ok(entry.take(size + 1).read_to_end(&mut contents)?)) {
                Ok(_) => zips.push(Container { prefix, place: Place::Memory(contents) }),
                Err(error) => self.unread(name, format!("{error:#}")),
            }
        }
        drop(zip);
        self.archive.containers.push(container);
        zips.into_iter().try_for_each(|zip| self.inner(zip, around + 1))
    }

    /// Lists a zip inside the archive, if it is one.
    fn inner(&mut self, container: Container, around: usize) -> Result<()> {
        let name = container.name();
        if let Err(error) = container.open() {
            self.unread(name, format!("{error:#}"));
            return Ok(());
        }
        self.zip(container, around).context(name)
    }
}

/// Whether a part of a path is hidden, or added by macOS.
fn is_hidden(part: &str) -> bool {
    part.starts_with('.') || part == "__MACOSX"
}

/// The prefix of the names of all files in the zip `name`.
fn zip_prefix(name: &str) -> Option<String> {
    let stem = name.len().checked_sub(4)?;
    (name.is_char_boundary(stem) && name[stem..].eq_ignore_ascii_case(".zip")).then(|| format!("{}/", &name[..stem]))
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
        CompressionMethod::DEFLATE64 => "Deflate64".to_owned(),
        CompressionMethod::BZIP2 => "bzip2".to_owned(),
        CompressionMethod::LZMA => "LZMA".to_owned(),
        CompressionMethod::ZSTD => "Zstandard".to_owned(),
        CompressionMethod::XZ => "xz".to_owned(),
        CompressionMethod::PPMD => "PPMd".to_owned(),
        other => format!("{other:?}"),
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
        let archive = Archive::open(path)?;
        let mut reader = archive.reader()?;
        archive.names().enumerate().map(|(index, name)| Ok((name.to_owned(), reader.read(index)?))).collect()
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

    fn nested(path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        let archive = Archive::open_nested(path)?;
        let mut reader = archive.reader()?;
        archive.names().enumerate().map(|(index, name)| Ok((name.to_owned(), reader.read(index)?))).collect()
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
        assert_eq!(nested(&whole)?, expected);
        let archive = Archive::open_nested(&whole)?;
        assert_eq!(
            [0, 1, 2].map(|index| archive.inner_zip(index)),
            [None, Some("x/second.zip".to_owned()), Some("x/second/third.zip".to_owned())]
        );
        let unread: Vec<&str> = archive.unread().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(unread, ["damaged.zip", "x/second/third/deepest.zip"]);
        assert_eq!(Archive::open(&whole)?.names().collect::<Vec<_>>(), ["1.jpg", "damaged.zip", "x/second.zip"]);

        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("1.jpg"), b"one")?;
        fs::create_dir(folder.path().join("x"))?;
        fs::write(folder.path().join("x/second.zip"), &second)?;
        assert_eq!(nested(folder.path())?, expected);
        Ok(())
    }

    #[test]
    fn limits_hold_for_all_that_is_nested_together() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let inner = fs::read(zip(scratch.path(), &[("1.jpg", b"one"), ("2.jpg", b"two")]))?;
        let (size, path) = (inner.len() as u64, zip(scratch.path(), &[("inner.zip", &inner)]));
        let list = |seen, total, held| -> Result<String> {
            let path = path.clone();
            let archive = Archive { containers: Vec::new(), files: Vec::new(), unread: Vec::new() };
            let mut lister = Lister { archive, nested: 1, seen, total, held };
            let listed = lister.zip(Container { prefix: String::new(), place: Place::Zip(path) }, 0);
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
        assert_eq!(archive.reader()?.read(0)?, b"four");
        Ok(())
    }
}
