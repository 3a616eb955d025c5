//! One large file from one place, which goes on where it broke off: in this run, or in the next.
//!
//! What has come is kept under a hidden name, and beside it, in a file of its own, which version of the file it is of (the server's
//! `ETag` or `Last-Modified`). That file is locked while somebody downloads, so of two processes one waits for the other.

use super::{Failure, Outcome, Patience, agent, answers, receive, web_page};
use crate::data::idx;
use crate::files::{lacks_locks, sha256_of};
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use ureq::{Body, http::Response};

/// How often a run goes on after a break. As many as a long download over a bad line needs, and not without end.
const MOST_BREAKS: usize = 20;

/// A file whose contents are known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct LargeFile<'a> {
    /// The address of its folder, with a slash at the end.
    pub mirror: &'a str,
    pub name: &'a str,
    /// In bytes.
    pub length: u64,
    /// SHA-256 in hexadecimal digits.
    pub checksum: &'a str,
}

/// Fetches `file` into `folder` (made if it is missing). It gets its name when it is whole and its checksum is right; until then what
/// has come is kept, and the next call goes on from there.
///
/// # Errors
/// Where the server answered and yet did not deliver (broken off, not what it should be), and where `folder` cannot be written.
pub fn fetch_large(file: &LargeFile, folder: &Path, patience: Patience) -> Result<Outcome> {
    let unreachable = |error: anyhow::Error| Ok(Outcome::Unreachable(vec![format!("{}: {error:#}", file.mirror)]));
    let address = format!("{}{}", file.mirror, file.name);
    if let Err(error) = answers(&address, patience) {
        return unreachable(error);
    }
    match fetch_from(&address, file, folder, patience) {
        Ok(()) => Ok(Outcome::Complete),
        Err(Failure::Unreachable(error)) => unreachable(error),
        Err(Failure::Here(error)) => Err(error),
        Err(Failure::Faulty(error)) => {
            let advice = match unfinished_bytes(file.name, folder) {
                0 => "run again to try once more".to_owned(),
                kept => format!("{kept} of its {} bytes are kept: run again to go on from there", file.length),
            };
            bail!("cannot download {}; {advice}\n  {}: {error:#}", file.name, file.mirror)
        }
    }
}

/// How many bytes of the file `name` an earlier attempt has left in `folder`.
pub fn unfinished_bytes(name: &str, folder: &Path) -> u64 {
    fs::metadata(unfinished_path(name, folder)).map_or(0, |found| found.len())
}

/// Not one of the names of [`super::remove_leftovers`]: this is kept however old.
fn unfinished_path(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!(".resumable-{name}"))
}

fn fetch_from(address: &str, file: &LargeFile, folder: &Path, patience: Patience) -> Result<(), Failure> {
    let (path, shown) = (folder.join(file.name), folder.display());
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {shown} for the download; check the right to write there"))
        .map_err(Failure::Here)?;
    let cannot_write = || format!("cannot write to the folder {shown}; check the right to it and the space left");
    let mut partial = Partial::open(file.name, folder).with_context(cannot_write).map_err(Failure::Here)?;
    if path.is_file() {
        // The process that this one waited for has brought it.
        return Ok(());
    }
    let start = partial.length().map_err(Failure::Here)?;
    let mut before = start;
    for breaks in 0.. {
        let failure = match go_on(address, file, &mut partial, patience) {
            Ok(()) => break,
            Err(failure) => failure,
        };
        let now = partial.length().map_err(Failure::Here)?;
        match failure {
            // As long as each attempt brings some more, the next may bring the rest.
            Failure::Faulty(_) if now > before && breaks < MOST_BREAKS => before = now,
            // The line was there a moment ago.
            Failure::Unreachable(error) if now > start => return Err(Failure::Faulty(error)),
            failure => return Err(failure),
        }
    }
    let found = partial.checksum().map_err(Failure::Here)?;
    if found != file.checksum {
        partial.restart(None).map_err(Failure::Here)?;
        partial.remove();
        return Err(Failure::Faulty(anyhow!(
            "{} came, but is not the file it should be: found SHA-256 {found}, expected {}",
            file.name,
            file.checksum
        )));
    }
    partial.finish(&path).with_context(|| format!("cannot write {}; check the right to it", path.display())).map_err(Failure::Here)
}

/// Asks for what is missing, and adds it.
fn go_on(address: &str, file: &LargeFile, partial: &mut Partial, patience: Patience) -> Result<(), Failure> {
    let LargeFile { name, length, .. } = *file;
    if partial.length().map_err(Failure::Here)? > length {
        partial.restart(None).map_err(Failure::Here)?;
    }
    let have = partial.length().map_err(Failure::Here)?;
    if have == length {
        return Ok(());
    }
    let agent = agent(address, patience, None);
    let whole = || agent.get(address).call();
    let answer = if have == 0 {
        whole()
    } else {
        let rest = agent.get(address).header("Range", format!("bytes={have}-"));
        let rest = if let Some(version) = &partial.version { rest.header("If-Range", version) } else { rest };
        match rest.call() {
            Err(ureq::Error::StatusCode(416)) => whole(),
            Ok(response) if response.status() == 206 && !is_the_rest(&response, have, length, partial.version.as_deref()) => whole(),
            answer => answer,
        }
    };
    let mut response = answer.with_context(|| format!("asking for {name}")).map_err(Failure::Unreachable)?;
    let is_rest = response.status() == 206;
    let (promised, version) = (response.body().content_length(), version(&response));
    let mut body = response.body_mut().as_reader();
    if is_rest {
        tell!("downloading {address}, from byte {have} on");
    } else {
        // What is here is given up only for what can take its place.
        let mut first = Vec::new();
        let read = body.by_ref().take(512).read_to_end(&mut first);
        if idx::is_web_page(&first) {
            return Err(web_page(name, "an archive"));
        }
        if let Some(promised) = promised.filter(|promised| *promised != length) {
            return Err(Failure::Faulty(anyhow!("found a file of {promised} bytes in the place of {name}, expected {length}")));
        }
        tell!("downloading {address}");
        partial.restart(version).and_then(|()| Ok(partial.bytes.write_all(&first)?)).map_err(Failure::Here)?;
        read.with_context(|| format!("{name} broke off after {} bytes", first.len())).map_err(Failure::Faulty)?;
    }
    let already = partial.length().map_err(Failure::Here)?;
    receive(body, &mut partial.bytes, name, already, Some(length))?;
    let received = partial.length().map_err(Failure::Here)?;
    if received != length {
        return Err(Failure::Faulty(anyhow!("{name} ended after {received} bytes, expected {length}")));
    }
    Ok(())
}

/// Whether a partial answer is what was asked for: `Content-Range: bytes 5-9/10` for the rest of ten bytes after five.
fn is_the_rest(response: &Response<Body>, have: u64, length: u64, known: Option<&str>) -> bool {
    let range = response.headers().get("Content-Range").and_then(|range| range.to_str().ok()).unwrap_or_default();
    let same_version = version(response).zip(known).is_none_or(|(now, known)| now == known);
    same_version && range == format!("bytes {have}-{}/{length}", length - 1)
}

/// What the server calls this version of the file, if that holds for every byte: a weak `ETag` (`W/`) does not.
fn version(response: &Response<Body>) -> Option<String> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    header("ETag").filter(|tag| !tag.starts_with("W/")).or_else(|| header("Last-Modified")).map(str::to_owned)
}

/// What has come so far.
struct Partial {
    bytes: File,
    bytes_path: PathBuf,
    /// What the server called the version that the bytes are of.
    version: Option<String>,
    /// Holds the version, and the lock.
    version_file: File,
    version_path: PathBuf,
}

impl Partial {
    /// Opens what is there, once nobody else writes to it.
    fn open(name: &str, folder: &Path) -> Result<Partial> {
        let bytes_path = unfinished_path(name, folder);
        let version_path = folder.join(format!(".resumable-{name}.version"));
        let open = |path: &Path| File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut version_file = open(&version_path)?;
        match version_file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tell!("another process is downloading {name}; waiting for it");
                version_file.lock()?;
            }
            // There are network file systems without locks; the checksum finds out where two have written at once.
            Err(TryLockError::Error(error)) if lacks_locks(&error) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut version = String::new();
        // A version that is no text is none.
        let _ = Read::by_ref(&mut version_file).take(1024).read_to_string(&mut version);
        let is_header = !version.is_empty() && version.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let mut bytes = open(&bytes_path)?;
        bytes.seek(SeekFrom::End(0))?;
        Ok(Partial { bytes, bytes_path, version: is_header.then_some(version), version_file, version_path })
    }

    fn length(&self) -> Result<u64> {
        Ok(self.bytes.metadata().with_context(|| format!("cannot look at {}", self.bytes_path.display()))?.len())
    }

    /// Forgets what has come, for another `version`.
    fn restart(&mut self, version: Option<String>) -> Result<()> {
        let mut restart = || -> io::Result<()> {
            self.bytes.set_len(0)?;
            self.bytes.rewind()?;
            self.version_file.set_len(0)?;
            self.version_file.rewind()?;
            self.version_file.write_all(version.as_deref().unwrap_or_default().as_bytes())
        };
        restart().with_context(|| format!("cannot write {}; check the space left", self.bytes_path.display()))?;
        self.version = version;
        Ok(())
    }

    fn checksum(&mut self) -> Result<String> {
        let mut hash = || -> io::Result<String> {
            self.bytes.rewind()?;
            sha256_of(&mut self.bytes)
        };
        hash().with_context(|| format!("cannot read {}", self.bytes_path.display()))
    }

    /// The bytes get the name `path`.
    fn finish(self, path: &Path) -> Result<()> {
        self.bytes.sync_all()?;
        fs::rename(&self.bytes_path, path)?;
        // Whoever waits for the lock finds the file.
        let _ = fs::remove_file(&self.version_path);
        Ok(())
    }

    /// Takes the bytes away. The file with the lock stays, empty: whoever waits for it is to be the only one who goes on.
    fn remove(self) {
        // Where it cannot be removed it is empty.
        let _ = fs::remove_file(&self.bytes_path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Answer, HASTY, listen, read_request, refusing, server};
    use super::*;
    use crate::data::sha256;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tempfile::TempDir;

    const NAME: &str = "large.zip";

    /// 100,000 bytes that are no web page.
    fn contents() -> Vec<u8> {
        (0..100_000_u32).map(|place| (place / 7 % 251) as u8).collect()
    }

    /// How the test's server serves its file.
    #[derive(Clone)]
    struct Origin {
        body: Vec<u8>,
        headers: &'static str,
        /// Whether it knows `Range`, and `If-Range`.
        ranges: bool,
        conditions: bool,
        /// After how many bytes it hangs up, in the first, second, ... answer; the others are whole.
        breaks: Vec<usize>,
    }

    impl Origin {
        fn new() -> Self {
            Origin { body: contents(), headers: "ETag: \"one\"\r\n", ranges: true, conditions: true, breaks: Vec::new() }
        }
    }

    /// A GET: its range and condition, and how many bytes were sent.
    type Asked = (Option<String>, Option<String>, usize);

    type Log = Arc<Mutex<Vec<Asked>>>;

    /// Serves `origin`, which can be changed meanwhile; returns the address, and what was asked.
    fn serve(origin: &Arc<Mutex<Origin>>) -> (String, Log) {
        let asked = Arc::new(Mutex::new(Vec::<Asked>::new()));
        let (origin, log) = (Arc::clone(origin), Arc::clone(&asked));
        let address = listen(move |mut stream| {
            let Some(request) = read_request(&stream) else { return };
            let mut origin = origin.lock().expect("no panic");
            let header = |name: &str| {
                let line = request.lines().find(|line| line.to_lowercase().starts_with(&name.to_lowercase()))?;
                Some(line.split_once(": ")?.1.to_owned())
            };
            let (range, condition) = (header("Range:"), header("If-Range:"));
            let first = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
            let is_same = !origin.conditions || condition.as_ref().is_none_or(|version| origin.headers.contains(version.as_str()));
            let whole = origin.body.len();
            let (status, first) = match first.filter(|_| origin.ranges && is_same) {
                Some(first) if first >= whole => ("416 no".to_owned(), whole),
                Some(first) => (format!("206 part\r\nContent-Range: bytes {first}-{}/{whole}", whole - 1), first),
                None => ("200 ok".to_owned(), 0),
            };
            let rest = &origin.body[first..];
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n", rest.len(), origin.headers);
            let _ = stream.write_all(head.as_bytes());
            if request.starts_with("HEAD") {
                return;
            }
            let rest = rest.to_vec();
            let sent = if origin.breaks.is_empty() { rest.len() } else { origin.breaks.remove(0).min(rest.len()) };
            log.lock().expect("no panic").push((range, condition, sent));
            let _ = stream.write_all(&rest[..sent]);
        });
        (address, asked)
    }

    fn fetch(mirror: &str, folder: &Path) -> Result<Outcome> {
        let contents = contents();
        let checksum = sha256([contents.as_slice()]);
        fetch_large(&LargeFile { mirror, name: NAME, length: contents.len() as u64, checksum: &checksum }, folder, HASTY)
    }

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("the folder").flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The file is there, whole, and nothing else is.
    fn assert_whole(folder: &TempDir) {
        assert_eq!(names(folder), [NAME]);
        assert!(fs::read(folder.path().join(NAME)).expect("the file") == contents(), "the contents are the server's");
    }

    fn range(first: usize) -> Option<String> {
        Some(format!("bytes={first}-"))
    }

    fn tag(text: &str) -> Option<String> {
        Some(format!("\"{text}\""))
    }

    /// A folder in which a download broke off after 30,000 bytes, and the server whose next answers are whole.
    fn broken_off() -> (TempDir, Arc<Mutex<Origin>>, String, Log) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let origin = Arc::new(Mutex::new(Origin { breaks: vec![30_000, 0], ..Origin::new() }));
        let (address, asked) = serve(&origin);
        let error = fetch(&address, folder.path()).expect_err("it breaks off twice").to_string();
        assert!(error.contains("30000 of its 100000 bytes are kept: run again"), "{error}");
        assert!(!folder.path().join(NAME).exists());
        asked.lock().expect("no panic").clear();
        (folder, origin, address, asked)
    }

    #[test]
    fn it_goes_on_where_it_broke_off_in_the_same_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let origin = Arc::new(Mutex::new(Origin { breaks: vec![30_000, 20_000, 1], ..Origin::new() }));
        let (address, asked) = serve(&origin);
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Outcome::Complete);
        let expected = [
            (None, None, 30_000),
            (range(30_000), tag("one"), 20_000),
            (range(50_000), tag("one"), 1),
            (range(50_001), tag("one"), 49_999),
        ];
        assert_eq!(*asked.lock().expect("no panic"), expected, "no byte is sent twice");
        assert_whole(&folder);
    }

    #[test]
    fn the_next_run_goes_on() {
        let (folder, _origin, address, asked) = broken_off();
        // However long ago that was.
        let path = unfinished_path(NAME, folder.path());
        let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
        File::options().write(true).open(path).and_then(|file| file.set_modified(hours_ago)).expect("one's own file");
        super::super::remove_leftovers(folder.path());
        assert_eq!(unfinished_bytes(NAME, folder.path()), 30_000);
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Outcome::Complete);
        assert_eq!(*asked.lock().expect("no panic"), [(range(30_000), tag("one"), 70_000)]);
        assert_whole(&folder);
    }

    #[test]
    fn a_server_that_knows_no_ranges_starts_anew() {
        let (folder, origin, address, asked) = broken_off();
        origin.lock().expect("no panic").ranges = false;
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Outcome::Complete);
        assert_eq!(*asked.lock().expect("no panic"), [(range(30_000), tag("one"), 100_000)]);
        assert_whole(&folder);
    }

    #[test]
    fn a_file_that_has_changed_starts_anew() {
        for conditions in [true, false] {
            let (folder, origin, address, asked) = broken_off();
            let path = unfinished_path(NAME, folder.path());
            fs::write(&path, vec![1; 30_000]).expect("what came of the other version");
            let changed = Origin { headers: "ETag: \"two\"\r\n", conditions, ..Origin::new() };
            *origin.lock().expect("no panic") = changed;
            assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Outcome::Complete);
            let asked = asked.lock().expect("no panic");
            assert_eq!((asked[0].0.clone(), asked[0].1.clone()), (range(30_000), tag("one")));
            assert_eq!(asked.last().map(|(_, _, sent)| *sent), Some(100_000), "conditions known: {conditions}");
            assert_whole(&folder);
        }
    }

    #[test]
    fn a_weak_tag_is_no_version() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let headers = "ETag: W/\"one\"\r\nLast-Modified: Tue, 03 Mar 2020 10:00:00 GMT\r\n";
        let (address, asked) = serve(&Arc::new(Mutex::new(Origin { headers, breaks: vec![10], ..Origin::new() })));
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Outcome::Complete);
        assert_eq!(asked.lock().expect("no panic")[1].1.as_deref(), Some("Tue, 03 Mar 2020 10:00:00 GMT"));
        assert_whole(&folder);
    }

    #[test]
    fn a_wrong_checksum_is_refused_and_nothing_of_it_kept() {
        let (folder, origin, address, _asked) = broken_off();
        origin.lock().expect("no panic").body[70_000] ^= 1;
        let error = fetch(&address, folder.path()).expect_err("another file").to_string();
        for part in ["large.zip came, but is not the file it should be: found SHA-256", "run again to try once more", &address] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert_eq!(names(&folder), [".resumable-large.zip.version"]);
        assert_eq!(fs::read(folder.path().join(".resumable-large.zip.version")).expect("the lock"), b"");
        origin.lock().expect("no panic").body = contents();
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Outcome::Complete);
        assert_whole(&folder);
    }

    #[test]
    fn what_is_not_the_file_leaves_what_has_come() {
        let (folder, origin, address, _asked) = broken_off();
        let kept = || unfinished_bytes(NAME, folder.path());
        let page = server(Answer::Text("<!DOCTYPE html><title>Log in</title>"));
        for away in [refusing(), server(Answer::Status(403)), page] {
            let Outcome::Unreachable(reasons) = fetch(&away, folder.path()).expect("nothing is broken") else { panic!("no mirror") };
            assert!(reasons[0].starts_with(&away), "{reasons:?}");
            assert_eq!(kept(), 30_000);
        }
        let error = fetch(&server(Answer::Text("bad")), folder.path()).expect_err("another file").to_string();
        assert!(error.contains("found a file of 3 bytes in the place of large.zip, expected 100000"), "{error}");
        assert_eq!(kept(), 30_000);
        // More than the file has, of no use.
        fs::write(unfinished_path(NAME, folder.path()), vec![0; 100_001]).expect("one's own file");
        origin.lock().expect("no panic").ranges = true;
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Outcome::Complete);
        assert_whole(&folder);
    }

    #[test]
    fn of_two_at_once_one_waits_for_the_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (address, asked) = serve(&Arc::new(Mutex::new(Origin::new())));
        let partial = Partial::open(NAME, folder.path()).expect("nobody else");
        std::thread::scope(|scope| {
            let both: Vec<_> = (0..2).map(|_| scope.spawn(|| fetch(&address, folder.path()))).collect();
            std::thread::sleep(Duration::from_millis(300));
            assert!(asked.lock().expect("no panic").is_empty(), "both wait");
            drop(partial);
            for one in both {
                assert_eq!(one.join().expect("no panic").expect("a good mirror"), Outcome::Complete);
            }
        });
        assert_eq!(asked.lock().expect("no panic").len(), 1, "downloaded once");
        assert!(fs::read(folder.path().join(NAME)).expect("the file") == contents());
    }
}
