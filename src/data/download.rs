//! Files from mirrors. A download goes on where it broke off, in this run or in the next; verified, it gets its name. So a file that is
//! there is whole.
//!
//! The part that has come is kept in a hidden file, which is locked while somebody downloads: of two processes one waits for the other. Where
//! it turns out to be of another version than the rest, the download starts anew.

use super::idx::is_web_page;
use crate::files::{lacks_locks, rename_synced};
use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use ureq::Agent;

/// The largest file that is fetched, in bytes: a mirror that sends without end fills no disk.
const LARGEST: u64 = 1 << 30;

/// Breaks after which a run goes on: as many as a long download over a bad line needs, and not without end.
const MOST_BREAKS: usize = 20;

/// Timeouts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For all mirrors together to say whether they are there.
    pub answer: Duration,
    /// For the next bytes of a running download, however long it takes in all.
    pub bytes: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer: Duration::from_secs(8), bytes: Duration::from_secs(30) }
    }
}

/// The result of a download.
#[derive(Debug, PartialEq)]
pub(super) enum Fetched {
    /// Every file is there, verified.
    Complete,
    /// No mirror could be reached, or something else answered in its place (a login page, a proxy that refuses); why, for each.
    Unreachable(Vec<String>),
}

/// Why one mirror did not deliver.
enum Failure {
    /// It was not the mirror that answered, if anything did.
    Unreachable(anyhow::Error),
    /// The mirror answered, but what it sent broke off or is not the file.
    Faulty(anyhow::Error),
    /// A file cannot be written here: no mirror can help.
    Here(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Here(error)
    }
}

/// Fetches `files` (names, with the length in bytes where it is known) into `folder` (made if it is missing) from the first of `mirrors`
/// (addresses that end with a slash) that delivers them; where one fails, the next goes on. `verify` gets a file's name and its contents,
/// before the file gets its name.
///
/// # Errors
/// Where a mirror answered and yet none delivered (broken off, not what it should be), and where `folder` cannot be written.
pub(super) fn fetch(
    files: &[(&str, Option<u64>)],
    folder: &Path,
    mirrors: &[&str],
    patience: Patience,
    verify: impl Fn(&str, &File) -> Result<()>,
) -> Result<Fetched> {
    let mut missing = files;
    let Some((first, _)) = missing.first() else { return Ok(Fetched::Complete) };
    // All at once, so that the waiting is bounded however many there are; a thread that still waits for the second mirror when the
    // first has delivered holds nobody up.
    let ask = |mirror: &&str| {
        let address = format!("{mirror}{first}");
        thread::spawn(move || agent(&address, patience, Some(patience.answer)).head(&address).call().map(drop))
    };
    let probes: Vec<_> = mirrors.iter().map(ask).collect();
    let (mut unreachable, mut faulty) = (Vec::new(), Vec::new());
    for (mirror, probe) in mirrors.iter().zip(probes) {
        let probed = probe.join().unwrap_or(Err(ureq::Error::ConnectionFailed)).context("cannot be reached").map_err(Failure::Unreachable);
        let fetched = probed.and_then(|()| {
            while let Some(((name, length), others)) = missing.split_first() {
                Download { mirror, name, length: *length, patience }.put_into(folder, &verify)?;
                missing = others;
            }
            Ok(())
        });
        match fetched {
            Ok(()) => return Ok(Fetched::Complete),
            Err(Failure::Unreachable(error)) => unreachable.push(format!("{mirror}: {error:#}")),
            Err(Failure::Faulty(error)) => faulty.push(format!("{mirror}: {error:#}")),
            Err(Failure::Here(error)) => {
                let folder = folder.display();
                bail!(anyhow!(error).context(format!("cannot write into the folder {folder}; check the right to it and the space left")));
            }
        }
    }
    let Some((broken, length)) = missing.first().filter(|_| !faulty.is_empty()) else { return Ok(Fetched::Unreachable(unreachable)) };
    let advice = match (unfinished_bytes(broken, folder), length) {
        (0, _) => "run again to try once more".to_owned(),
        (kept, None) => format!("{kept} bytes of {broken} are kept: run again to go on from there"),
        (kept, Some(length)) => format!("{kept} of its {length} bytes are kept: run again to go on from there"),
    };
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    faulty.extend(unreachable);
    bail!("cannot download {}; {advice}\n  {}", names.join(", "), faulty.join("\n  "))
}

/// The number of bytes of the file `name` that an earlier attempt has left in `folder`.
pub(super) fn unfinished_bytes(name: &str, folder: &Path) -> u64 {
    fs::metadata(unfinished_path(name, folder)).map_or(0, |found| found.len())
}

fn unfinished_path(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!(".resumable-{name}"))
}

/// One file of one mirror.
struct Download<'a> {
    mirror: &'a str,
    name: &'a str,
    /// In bytes, where it is known.
    length: Option<u64>,
    patience: Patience,
}

impl Download<'_> {
    fn put_into(&self, folder: &Path, verify: impl Fn(&str, &File) -> Result<()>) -> Result<(), Failure> {
        fs::create_dir_all(folder)?;
        let (path, unfinished) = (folder.join(self.name), unfinished_path(self.name, folder));
        let mut file = open_locked(&unfinished, self.name)?;
        // The process that this one waited for may have brought it.
        let complete = |file| self.complete(file, verify).and_then(|()| Ok(rename_synced(&unfinished, &path)?));
        let outcome = if path.is_file() { Ok(()) } else { complete(&mut file) };
        if file.metadata()?.len() == 0 {
            let _ = fs::remove_file(unfinished);
        }
        outcome
    }

    /// Asks for what is missing of `file` until it is all there and verified, as long as each answer brings some more.
    fn complete(&self, file: &mut File, verify: impl Fn(&str, &File) -> Result<()>) -> Result<(), Failure> {
        let mut start = file.metadata()?.len();
        let (mut before, mut breaks) = (start, 0);
        loop {
            let answer = self.ask(file);
            let now = file.metadata()?.len();
            match answer {
                Ok(()) => {
                    file.rewind()?;
                    let Err(error) = verify(self.name, file) else { return Ok(()) };
                    file.set_len(0)?;
                    if start == 0 {
                        return Err(Failure::Faulty(error.context(format!("{} came, but is not the file it should be", self.name))));
                    }
                    // The part that an earlier attempt left may be of another version.
                    (start, before) = (0, 0);
                }
                Err(Failure::Faulty(_)) if now > before && breaks < MOST_BREAKS => (before, breaks) = (now, breaks + 1),
                // The line was there a moment ago.
                Err(Failure::Unreachable(error)) if now > start => return Err(Failure::Faulty(error)),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Asks for what is missing, once, and adds it.
    fn ask(&self, file: &mut File) -> Result<(), Failure> {
        let Download { mirror, name, length, patience } = *self;
        let have = match file.seek(SeekFrom::End(0))? {
            have if Some(have) == length => return Ok(()),
            // More than there is: of no use.
            have if length.is_some_and(|length| have > length) => 0,
            have => have,
        };
        let address = format!("{mirror}{name}");
        let agent = agent(&address, patience, None);
        let rest = (have > 0).then(|| agent.get(&address).header("Range", format!("bytes={have}-")).call());
        let answer = match rest {
            // There is no byte beyond those that are here.
            None | Some(Err(ureq::Error::StatusCode(416))) => agent.get(&address).call(),
            Some(answer) => answer,
        };
        let mut response = answer.with_context(|| format!("asking for {name}")).map_err(Failure::Unreachable)?;
        let (is_rest, promised) = (response.status() == 206, response.body().content_length());
        let mut body = BufReader::with_capacity(1 << 16, response.body_mut().with_config().limit(LARGEST).reader());
        if !is_rest {
            // The part that is here is given up only for a file that can take its place.
            if body.fill_buf().is_ok_and(is_web_page) {
                let error = anyhow!("this is a web page, not {name}: the download was answered by a login page or proxy");
                return Err(Failure::Unreachable(error));
            }
            if let (Some(promised), Some(length)) = (promised, length)
                && promised != length
            {
                return Err(Failure::Faulty(anyhow!("found a file of {promised} bytes in the place of {name}, expected {length}")));
            }
            file.set_len(0)?;
            file.rewind()?;
        }
        let start = if is_rest { have } else { 0 };
        tell!("downloading {address}{}", if is_rest { format!(", from byte {start} on") } else { String::new() });
        let received = receive(body, file, name, start, promised)?;
        if let Some(length) = length.filter(|length| *length != received) {
            return Err(Failure::Faulty(anyhow!("{name} ended after {received} bytes, expected {length}")));
        }
        Ok(())
    }
}

/// Opens what is there of the file `name`, once nobody else writes to it.
fn open_locked(path: &Path, name: &str) -> io::Result<File> {
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tell!("another process is downloading {name}; waiting for it");
                file.lock()?;
            }
            // There are network file systems without locks; the checksum finds out where two have written at once.
            Err(TryLockError::Error(error)) if lacks_locks(&error) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had the lock may have renamed or removed the file.
        if fs::metadata(path).is_ok_and(|found| file.metadata().is_ok_and(|own| own.ino() == found.ino())) {
            return Ok(file);
        }
    }
}

/// Adds a response to `file`, which has `received` bytes, and shows on a terminal how far it has come. Returns how many it has then.
fn receive(mut body: impl BufRead, file: &mut File, name: &str, mut received: u64, promised: Option<u64>) -> Result<u64, Failure> {
    let style = ProgressStyle::with_template("  {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    let bar = promised.map_or_else(ProgressBar::no_length, |promised| ProgressBar::new(received + promised)).with_position(received);
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // Bytes of an earlier attempt say nothing about the speed of this one.
    bar.reset_eta();
    loop {
        let bytes = body.fill_buf().with_context(|| format!("{name} broke off after {received} bytes")).map_err(Failure::Faulty)?;
        if bytes.is_empty() {
            bar.finish_and_clear();
            return Ok(received);
        }
        file.write_all(bytes)?;
        let count = bytes.len();
        body.consume(count);
        received += count as u64;
        bar.set_position(received);
    }
}

/// `whole`: for a request from name lookup to the end of its answer.
fn agent(address: &str, patience: Patience, whole: Option<Duration>) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(whole)
        .timeout_resolve(Some(patience.bytes))
        .timeout_connect(Some(patience.bytes))
        .timeout_send_request(Some(patience.bytes))
        .timeout_recv_response(Some(patience.bytes))
        .timeout_per_read(Some(patience.bytes))
        // The files are compressed as they are, and their lengths are to be known.
        .accept_encoding("identity");
    // A proxy knows nothing of this machine's own addresses.
    let is_here = ["http://127.0.0.1", "http://localhost"].iter().any(|here| address.starts_with(here));
    let config = if is_here { config.proxy(None) } else { config };
    config.build().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use anyhow::ensure;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::time::Instant;

    /// How a test's server answers GET.
    #[derive(Clone)]
    pub(crate) enum Answer {
        /// The file of the asked name in this folder, or 404.
        Folder(PathBuf),
        Text(&'static str),
        Status(u16),
        /// Promises more than it sends before it hangs up.
        Short(&'static str),
        /// Promises more than it sends, then keeps the line open.
        Stalled(&'static str),
        /// Milliseconds between any two bytes.
        Slow(&'static str, u64),
        /// Accepts, and never says anything, not even to HEAD.
        Silent,
    }

    /// Starts a server on this machine; it lives as long as the process. Returns its address.
    pub(crate) fn server(answer: Answer) -> String {
        listen(move |stream| {
            serve(stream, &answer);
        })
    }

    /// Lets `handle` answer every connection, each in a thread of its own. Returns the address.
    pub(crate) fn listen(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}/", listener.local_addr().expect("a bound socket"));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let handle = handle.clone();
                thread::spawn(move || handle(stream));
            }
        });
        address
    }

    /// The lines of a request up to the empty one.
    pub(crate) fn read_request(stream: &TcpStream) -> Option<String> {
        let mut request = String::new();
        let mut reader = BufReader::new(stream);
        while !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request).ok()? == 0 {
                return None;
            }
        }
        Some(request)
    }

    fn serve(mut stream: TcpStream, answer: &Answer) -> Option<()> {
        let request = read_request(&stream)?;
        let mut words = request.split_whitespace();
        let (method, path) = (words.next()?, words.next()?.trim_start_matches('/'));
        let (status, body, promised) = match answer {
            Answer::Folder(folder) => match fs::read(folder.join(path)) {
                Ok(bytes) => (200, bytes, 0),
                Err(_) => (404, Vec::new(), 0),
            },
            Answer::Text(text) | Answer::Slow(text, _) => (200, text.as_bytes().to_vec(), 0),
            Answer::Status(status) => (*status, Vec::new(), 0),
            Answer::Short(text) | Answer::Stalled(text) => (200, text.as_bytes().to_vec(), 1),
            Answer::Silent => {
                thread::sleep(Duration::from_secs(60));
                return None;
            }
        };
        write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len() + promised).ok()?;
        if method == "HEAD" {
            return Some(());
        }
        if let Answer::Slow(_, pause) = answer {
            for byte in body {
                thread::sleep(Duration::from_millis(*pause));
                stream.write_all(&[byte]).ok()?;
            }
        } else {
            stream.write_all(&body).ok()?;
        }
        if let Answer::Stalled(_) = answer {
            thread::sleep(Duration::from_secs(60));
        }
        Some(())
    }

    /// An address on this machine where nothing listens.
    pub(crate) fn refusing() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}/", listener.local_addr().expect("a bound socket"))
    }

    pub(crate) const HASTY: Patience = Patience { answer: Duration::from_millis(1000), bytes: Duration::from_millis(700) };

    const PAGE: &str = "<!DOCTYPE html><title>Log in</title>";

    /// Fetches `one` and `two`, which are to contain "good", into a new folder.
    fn fetch_good(mirrors: &[&str]) -> (Result<Fetched>, tempfile::TempDir) {
        fetch_patiently(mirrors, HASTY)
    }

    fn fetch_patiently(mirrors: &[&str], patience: Patience) -> (Result<Fetched>, tempfile::TempDir) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let outcome = fetch(&[("one", None), ("two", None)], &root.path().join("new"), mirrors, patience, verify_good);
        (outcome, root)
    }

    fn verify_good(_: &str, mut file: &File) -> Result<()> {
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        ensure!(text == "good", "found {text:?}, expected \"good\"");
        Ok(())
    }

    fn files(root: &tempfile::TempDir) -> Vec<String> {
        let Ok(entries) = fs::read_dir(root.path().join("new")) else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn verified_files_get_their_names() {
        let (outcome, root) = fetch_good(&[&server(Answer::Text("good"))]);
        assert_eq!(outcome.expect("a good mirror"), Fetched::Complete);
        assert_eq!(files(&root), ["one", "two"]);
        assert_eq!(fs::read(root.path().join("new/two")).expect("the file"), b"good");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(root.path().join("new/one")).expect("the file").permissions().mode();
            assert_ne!(mode & 0o044, 0, "a shared folder is for others too, not {mode:o}");
        }
    }

    #[test]
    fn the_next_mirror_helps_out() {
        let good = server(Answer::Text("good"));
        for bad in [
            refusing(),
            server(Answer::Status(404)),
            server(Answer::Text(PAGE)),
            server(Answer::Text("bad")),
            server(Answer::Short("good")),
            server(Answer::Stalled("good")),
            server(Answer::Silent),
            "http://nowhere.invalid/".to_owned(),
        ] {
            let (outcome, root) = fetch_good(&[&bad, &good]);
            assert_eq!(outcome.expect("the second mirror is good"), Fetched::Complete, "{bad}");
            assert_eq!(files(&root), ["one", "two"], "{bad}");
        }
    }

    #[test]
    fn a_mirror_that_has_only_some_files_is_completed_by_the_next() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("one"), "good").expect("a temporary file");
        let (outcome, root) = fetch_good(&[&server(Answer::Folder(folder.path().into())), &server(Answer::Text("good"))]);
        assert_eq!(outcome.expect("the second mirror is good"), Fetched::Complete);
        assert_eq!(files(&root), ["one", "two"]);
    }

    #[test]
    fn without_a_mirror_it_says_so_soon() {
        let started = Instant::now();
        let mirrors = [refusing(), server(Answer::Silent), server(Answer::Silent), server(Answer::Silent), server(Answer::Status(403))];
        let mirrors: Vec<&str> = mirrors.iter().map(String::as_str).collect();
        let (outcome, root) = fetch_patiently(&mirrors, Patience { bytes: Duration::from_secs(30), ..HASTY });
        assert!(started.elapsed() < 2 * HASTY.answer, "waits for all at once, not {:?}", started.elapsed());
        let Fetched::Unreachable(reasons) = outcome.expect("nothing is broken") else { panic!("there is no good mirror") };
        assert_eq!(reasons.len(), mirrors.len());
        for (reason, mirror) in reasons.iter().zip(mirrors) {
            assert!(reason.starts_with(mirror), "{reason}");
        }
        assert!(files(&root).is_empty());
        assert!(Patience::default().answer < Duration::from_secs(10));
    }

    #[test]
    fn a_login_page_is_no_mirror() {
        let (outcome, root) = fetch_good(&[&server(Answer::Text(PAGE))]);
        let Fetched::Unreachable(reasons) = outcome.expect("nothing is broken") else { panic!("there is no good mirror") };
        assert!(reasons[0].contains("this is a web page, not one"), "{reasons:?}");
        assert!(files(&root).is_empty());
    }

    #[test]
    fn a_faulty_download_is_an_error_and_leaves_nothing_of_its_name() {
        for (answer, reason) in [
            (Answer::Text("bad"), "found \"bad\", expected \"good\""),
            (Answer::Short("good"), "one broke off after 4 bytes"),
            (Answer::Stalled("good"), "one broke off after 4 bytes"),
        ] {
            let (mirror, started) = (server(answer), Instant::now());
            let (outcome, root) = fetch_good(&[&mirror, &refusing()]);
            let message = format!("{:#}", outcome.expect_err("no mirror delivers"));
            for part in [reason, "cannot download one, two", &mirror, "cannot be reached"] {
                assert!(message.contains(part), "{part} in {message}");
            }
            assert!(files(&root).iter().all(|name| name.starts_with(".resumable-")), "{:?}", files(&root));
            assert!(started.elapsed() < Duration::from_secs(20), "a stalled download is given up, after {:?}", started.elapsed());
        }
    }

    #[test]
    fn slow_is_not_stalled() {
        let started = Instant::now();
        let (outcome, _root) = fetch_good(&[&server(Answer::Slow("good", 400))]);
        assert_eq!(outcome.expect("a slow mirror"), Fetched::Complete);
        assert!(started.elapsed() > 2 * HASTY.bytes, "the test is not slow enough to tell");
    }

    #[test]
    fn at_the_same_time_all_succeed() {
        let mirror = server(Answer::Slow("good", 20));
        let folder = tempfile::tempdir().expect("a temporary folder");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let outcome = fetch(&[("one", None), ("two", None)], folder.path(), &[&mirror], HASTY, verify_good);
                    assert_eq!(outcome.expect("a good mirror"), Fetched::Complete);
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a temporary file");
        let good = server(Answer::Text("good"));
        let error = fetch(&[("one", None)], &file.join("below"), &[&good], HASTY, verify_good).expect_err("a file is no folder");
        assert!(error.to_string().starts_with("cannot write into the folder"), "no matter of mirrors: {error:#}");
    }
}

#[cfg(test)]
mod resumption_tests {
    use super::tests::{Answer, HASTY, listen, read_request, refusing, server};
    use super::*;
    use crate::files::sha256_of;
    use anyhow::ensure;
    use std::sync::{Arc, Mutex};
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
        /// Whether it knows `Range`.
        ranges: bool,
        /// After how many bytes it hangs up, in the first, second, ... answer; the others are whole.
        breaks: Vec<usize>,
    }

    impl Origin {
        fn new() -> Self {
            Origin { body: contents(), ranges: true, breaks: Vec::new() }
        }
    }

    /// A GET: its range, and how many bytes were sent.
    type Asked = (Option<String>, usize);

    type Log = Arc<Mutex<Vec<Asked>>>;

    /// Serves `origin`, which can be changed meanwhile; returns the address, and what was asked.
    fn serve(origin: &Arc<Mutex<Origin>>) -> (String, Log) {
        let asked = Arc::new(Mutex::new(Vec::<Asked>::new()));
        let (origin, log) = (Arc::clone(origin), Arc::clone(&asked));
        let address = listen(move |mut stream| {
            let Some(request) = read_request(&stream) else { return };
            let mut origin = origin.lock().expect("no panic");
            let range = request.lines().find(|line| line.to_lowercase().starts_with("range:"));
            let range = range.and_then(|line| Some(line.split_once(": ")?.1.to_owned()));
            let first = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
            let whole = origin.body.len();
            let (status, first) = match first.filter(|_| origin.ranges) {
                Some(first) if first >= whole => ("416 no".to_owned(), whole),
                Some(first) => (format!("206 part\r\nContent-Range: bytes {first}-{}/{whole}", whole - 1), first),
                None => ("200 ok".to_owned(), 0),
            };
            let rest = &origin.body[first..];
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len());
            let _ = stream.write_all(head.as_bytes());
            if request.starts_with("HEAD") {
                return;
            }
            let rest = rest.to_vec();
            let sent = if origin.breaks.is_empty() { rest.len() } else { origin.breaks.remove(0).min(rest.len()) };
            log.lock().expect("no panic").push((range, sent));
            let _ = stream.write_all(&rest[..sent]);
        });
        (address, asked)
    }

    fn fetch(mirror: &str, folder: &Path) -> Result<Fetched> {
        let contents = contents();
        let checksum = sha256_of(contents.as_slice())?;
        super::fetch(&[(NAME, Some(contents.len() as u64))], folder, &[mirror], HASTY, |_, file| {
            let found = sha256_of(file)?;
            ensure!(found == checksum, "found SHA-256 {found}, expected {checksum}");
            Ok(())
        })
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
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Fetched::Complete);
        let expected = [(None, 30_000), (range(30_000), 20_000), (range(50_000), 1), (range(50_001), 49_999)];
        assert_eq!(*asked.lock().expect("no panic"), expected, "no byte is sent twice");
        assert_whole(&folder);
    }

    #[test]
    fn the_next_run_goes_on() {
        let (folder, _origin, address, asked) = broken_off();
        assert_eq!(unfinished_bytes(NAME, folder.path()), 30_000);
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Fetched::Complete);
        assert_eq!(*asked.lock().expect("no panic"), [(range(30_000), 70_000)]);
        assert_whole(&folder);
    }

    #[test]
    fn a_server_that_knows_no_ranges_starts_anew() {
        let (folder, origin, address, asked) = broken_off();
        origin.lock().expect("no panic").ranges = false;
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Fetched::Complete);
        assert_eq!(*asked.lock().expect("no panic"), [(range(30_000), 100_000)]);
        assert_whole(&folder);
    }

    #[test]
    fn a_file_that_has_changed_starts_anew() {
        let (folder, _origin, address, asked) = broken_off();
        fs::write(unfinished_path(NAME, folder.path()), vec![1; 30_000]).expect("what came of the other version");
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Fetched::Complete);
        assert_eq!(*asked.lock().expect("no panic"), [(range(30_000), 70_000), (None, 100_000)]);
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
        assert!(names(&folder).is_empty(), "{:?}", names(&folder));
        origin.lock().expect("no panic").body = contents();
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Fetched::Complete);
        assert_whole(&folder);
    }

    #[test]
    fn what_is_not_the_file_leaves_what_has_come() {
        let (folder, origin, address, _asked) = broken_off();
        let kept = || unfinished_bytes(NAME, folder.path());
        let page = server(Answer::Text("<!DOCTYPE html><title>Log in</title>"));
        for away in [refusing(), server(Answer::Status(403)), page] {
            let Fetched::Unreachable(reasons) = fetch(&away, folder.path()).expect("nothing is broken") else { panic!("no mirror") };
            assert!(reasons[0].starts_with(&away), "{reasons:?}");
            assert_eq!(kept(), 30_000);
        }
        let error = fetch(&server(Answer::Text("bad")), folder.path()).expect_err("another file").to_string();
        assert!(error.contains("found a file of 3 bytes in the place of large.zip, expected 100000"), "{error}");
        assert_eq!(kept(), 30_000);
        // More than the file has, of no use.
        fs::write(unfinished_path(NAME, folder.path()), vec![0; 100_001]).expect("one's own file");
        origin.lock().expect("no panic").ranges = true;
        assert_eq!(fetch(&address, folder.path()).expect("a good mirror"), Fetched::Complete);
        assert_whole(&folder);
    }

    #[test]
    fn of_two_at_once_one_waits_for_the_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (address, asked) = serve(&Arc::new(Mutex::new(Origin::new())));
        let held = open_locked(&unfinished_path(NAME, folder.path()), NAME).expect("nobody else");
        std::thread::scope(|scope| {
            let both: Vec<_> = (0..2).map(|_| scope.spawn(|| fetch(&address, folder.path()))).collect();
            std::thread::sleep(Duration::from_millis(300));
            assert!(asked.lock().expect("no panic").is_empty(), "both wait");
            drop(held);
            for one in both {
                assert_eq!(one.join().expect("no panic").expect("a good mirror"), Fetched::Complete);
            }
        });
        assert_eq!(asked.lock().expect("no panic").len(), 1, "downloaded once");
        assert!(fs::read(folder.path().join(NAME)).expect("the file") == contents());
    }
}
