//! A folder or a zip file as a list of files, to be read by several threads at once. Nothing is ever unpacked to disk.
//!
//! An archive may be anything that somebody downloaded: names that lead out of it, files that unpack without end and lists without end
//! are refused before they cost more than a look.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;
use zip::ZipArchive;

/// The most files, the largest one, and all of them together in bytes: several times what Microsoft's archive of 25,000 photographs has.
const MOST_FILES: usize = 200_000;
const LARGEST_FILE: u64 = 64 << 20;
const LARGEST_TOTAL: u64 = 8 << 30;
/// How deep folders may be nested.
const DEEPEST: usize = 8;

/// The files of a folder or a zip file.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    is_zip: bool,
    files: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    /// The path inside the archive, with `/` between its parts.
    name: String,
    /// The place in the zip's own list.
    place: usize,
}

/// One thread's way to the contents.
pub struct Reader<'a> {
    archive: &'a Archive,
    zip: Option<ZipArchive<BufReader<File>>>,
}

impl Archive {
    /// Lists the files of `path`, ordered by name. Hidden ones, and what macOS adds to zips, are left out.
    ///
    /// # Errors
    /// If `path` is neither a folder nor a zip, or holds names that lead out of it, links, encrypted files or more than any data set would.
    pub fn open(path: &Path) -> Result<Archive> {
        let found = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_zip = !found.is_dir();
        let mut files = if is_zip { list_zip(path) } else { list_folder(path) }.with_context(|| format!("in {}", path.display()))?;
        files.retain(|file| !file.name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX"));
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Archive { path: path.to_owned(), is_zip, files })
    }

    /// The file `path` alone, whatever is in it.
    ///
    /// # Errors
    /// If its name is not UTF-8.
    pub fn single(path: &Path) -> Result<Archive> {
        let name = path.file_name().and_then(|name| name.to_str()).with_context(|| format!("the name {} is not UTF-8", path.display()))?;
        let file = Listed { name: name.to_owned(), place: 0 };
        Ok(Archive { path: path.with_file_name(""), is_zip: false, files: vec![file] })
    }

    /// The names of the files, by which they are read in this order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// A reader for one thread.
    pub fn reader(&self) -> Result<Reader<'_>> {
        Ok(Reader { archive: self, zip: if self.is_zip { Some(open_zip(&self.path)?) } else { None } })
    }
}

impl Reader<'_> {
    /// The contents of the file in place `index` of [`Archive::names`].
    ///
    /// # Errors
    /// If it cannot be read, or has more than 64 MiB.
    pub fn read(&mut self, index: usize) -> Result<Vec<u8>> {
        let Listed { name, place } = &self.archive.files[index];
        let mut contents = Vec::new();
        match &mut self.zip {
            Some(zip) => zip.by_index(*place)?.take(LARGEST_FILE + 1).read_to_end(&mut contents)?,
            None => File::open(self.archive.path.join(name))?.take(LARGEST_FILE + 1).read_to_end(&mut contents)?,
        };
        ensure!(contents.len() as u64 <= LARGEST_FILE, "it has more than {} MiB", LARGEST_FILE >> 20);
        Ok(contents)
    }
}

fn open_zip(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    ZipArchive::new(BufReader::new(File::open(path)?))
        .with_context(|| format!("{} is neither a folder nor a whole zip file", path.display()))
}

fn list_zip(path: &Path) -> Result<Vec<Listed>> {
    let mut zip = open_zip(path)?;
    ensure!(zip.len() <= MOST_FILES, "it lists {} files, expected at most {MOST_FILES}", zip.len());
    let mut files = Vec::new();
    let mut total = 0_u64;
    for place in 0..zip.len() {
        let entry = zip.by_index_raw(place)?;
        let name = entry.name()?.replace('\\', "/");
        ensure!(entry.enclosed_name().is_some(), "the name {name:?} leads out of the archive");
        ensure!(!entry.is_symlink(), "{name} is a link, expected files and folders only");
        ensure!(!entry.encrypted(), "{name} is encrypted");
        if entry.is_dir() {
            continue;
        }
        total = total.saturating_add(entry.size());
        ensure!(total <= LARGEST_TOTAL, "its files claim to unpack to more than {} GiB", LARGEST_TOTAL >> 30);
        files.push(Listed { name, place });
    }
    Ok(files)
}

fn list_folder(path: &Path) -> Result<Vec<Listed>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(path).max_depth(DEEPEST).follow_links(true) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        ensure!(files.len() < MOST_FILES, "it holds more than {MOST_FILES} files");
        let inside = entry.path().strip_prefix(path).unwrap_or(entry.path());
        let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
        let Some(parts) = parts else { bail!("the name {} is not UTF-8", inside.display()) };
        files.push(Listed { name: parts.join("/"), place: files.len() });
    }
    Ok(files)
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
}
