//! Files from mirrors: into a temporary name, verified, then renamed. So a file that is there is whole, an interrupted download leaves
//! none, and two processes that download at the same time each rename a good file. A large file, where starting anew would cost too much,
//! goes on where it broke off: [`fetch_large`].

mod resumed;

pub use resumed::{LargeFile, fetch_large, unfinished_bytes};

use super::idx;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::NamedTempFile;
use ureq::Agent;

/// The largest file that is fetched, in bytes: a mirror that sends without end fills no disk.
const LARGEST: u64 = 1 << 30;

/// What temporary names begin with.
const UNFINISHED: &str = ".unfinished-";

/// How long to wait for what does not come.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
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

/// What became of a download.
#[derive(Debug, PartialEq)]
pub enum Outcome {
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
    /// The fault is on this side: no mirror can help.
    Here(anyhow::Error),
}

/// Fetches the files `names` into `folder` (made if it is missing) from the first of `mirrors` (addresses that end with a slash) that
/// delivers them; where one fails, the next goes on. `verify` gets a file's name and its contents, before the file gets its name.
///
/// # Errors
/// Where a mirror answered and yet none delivered (broken off, not what it should be), and where `folder` cannot be written.
pub fn fetch(
    names: &[&str],
    folder: &Path,
    mirrors: &[&str],
    patience: Patience,
    verify: impl Fn(&str, File) -> Result<()>,
) -> Result<Outcome> {
    let Some(&first) = names.first() else { return Ok(Outcome::Complete) };
    // All at once, so that the waiting is bounded however many there are; a thread that still waits for the second mirror when the
    // first has delivered holds nobody up.
    let probes: Vec<JoinHandle<Result<()>>> = mirrors
        .iter()
        .map(|mirror| {
            let address = format!("{mirror}{first}");
            thread::spawn(move || answers(&address, patience))
        })
        .collect();
    let mut missing = names;
    let (mut unreachable, mut faulty) = (Vec::new(), Vec::new());
    for (mirror, probe) in mirrors.iter().zip(probes) {
        let probed = probe.join().unwrap_or_else(|_| Err(anyhow::anyhow!("asking it failed")));
        let failure = match probed {
            Err(error) => Failure::Unreachable(error),
            Ok(()) => match fetch_from(mirror, &mut missing, folder, patience, &verify) {
                Ok(()) => return Ok(Outcome::Complete),
                Err(failure) => failure,
            },
        };
        match failure {
            Failure::Unreachable(error) => unreachable.push(format!("{mirror}: {error:#}")),
            Failure::Faulty(error) => faulty.push(format!("{mirror}: {error:#}")),
            Failure::Here(error) => return Err(error),
        }
    }
    if faulty.is_empty() {
        return Ok(Outcome::Unreachable(unreachable));
    }
    faulty.extend(unreachable);
    bail!("cannot download {}; run again to try once more\n  {}", missing.join(", "), faulty.join("\n  "))
}

/// Fetches from one mirror; `missing` loses the names that are done.
fn fetch_from(
    mirror: &str,
    missing: &mut &[&str],
    folder: &Path,
    patience: Patience,
    verify: impl Fn(&str, File) -> Result<()>,
) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {} for the download; check the right to write there", folder.display()))
        .map_err(Failure::Here)?;
    remove_leftovers(folder);
    while let Some((&name, others)) = missing.split_first() {
        fetch_one(&format!("{mirror}{name}"), name, folder, patience, &verify)?;
        *missing = others;
    }
    Ok(())
}

fn fetch_one(
    address: &str,
    name: &str,
    folder: &Path,
    patience: Patience,
    verify: impl Fn(&str, File) -> Result<()>,
) -> Result<(), Failure> {
    let agent = agent(address, patience, None);
    let mut response = agent.get(address).call().with_context(|| format!("asking for {name}")).map_err(Failure::Unreachable)?;
    let length = response.body().content_length();
    let mut unfinished = unfinished(folder)
        .with_context(|| format!("cannot write to the folder {}; check the right to it and the space left", folder.display()))
        .map_err(Failure::Here)?;
    let file = unfinished.as_file_mut();
    tell!("downloading {address}");
    receive(response.body_mut().as_reader(), file, name, 0, length)?;

    let verified = (|| {
        let mut start = Vec::new();
        unfinished.reopen()?.take(512).read_to_end(&mut start)?;
        Ok((idx::is_web_page(&start), unfinished.reopen()?))
    })();
    let (is_web_page, contents) = verified.map_err(|error: std::io::Error| Failure::Here(error.into()))?;
    if is_web_page {
        return Err(web_page(name, "gzip"));
    }
    verify(name, contents).with_context(|| format!("{name} came, but is not the file it should be")).map_err(Failure::Faulty)?;
    let path = folder.join(name);
    unfinished
        .as_file()
        .sync_all()
        .and_then(|()| Ok(unfinished.persist(&path)?))
        .with_context(|| format!("cannot write {}; check the right to it and the space left", path.display()))
        .map_err(Failure::Here)?;
    Ok(())
}

fn web_page(name: &str, expected: &str) -> Failure {
    Failure::Unreachable(anyhow::anyhow!("{name}: this is a web page, not {expected}: the download was answered by a login page or proxy"))
}

/// Copies a response to the end of `file`, which has `already` bytes of it, of `whole` if that is known; shows on a terminal how far it
/// has come.
fn receive(mut body: impl Read, file: &mut File, name: &str, already: u64, whole: Option<u64>) -> Result<(), Failure> {
    let style = ProgressStyle::with_template("  {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    let bar = whole.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let bar = if let (Ok(style), Some(_)) = (style, whole) { bar.with_style(style) } else { bar };
    // What an earlier attempt brought says nothing about the speed of this one.
    let bar = bar.with_position(already);
    bar.reset_eta();
    let mut buffer = vec![0; 1 << 16];
    let mut received = already;
    loop {
        let read = body.read(&mut buffer).with_context(|| format!("{name} broke off after {received} bytes")).map_err(Failure::Faulty)?;
        if read == 0 {
            break;
        }
        received += read as u64;
        if received > LARGEST {
            return Err(Failure::Faulty(anyhow::anyhow!("{name} is longer than {LARGEST} bytes")));
        }
        file.write_all(&buffer[..read]).with_context(|| format!("cannot write {name}; check the space left")).map_err(Failure::Here)?;
        bar.set_position(received);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Whether anything that has `address` is there.
fn answers(address: &str, patience: Patience) -> Result<()> {
    agent(address, patience, Some(patience.answer)).head(address).call().context("cannot be reached")?;
    Ok(())
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

/// A temporary file that whoever may read the folder may read, once it has its name.
fn unfinished(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(folder)
}

/// Removes what a killed process left: temporary files that nobody has written to for an hour.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| age > Duration::from_secs(3600)) {
            // Another process may have been quicker.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use anyhow::ensure;
    use std::io::{BufRead, BufReader};
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
        /// So many milliseconds between any two bytes.
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
    fn fetch_good(mirrors: &[&str]) -> (Result<Outcome>, tempfile::TempDir) {
        fetch_patiently(mirrors, HASTY)
    }

    fn fetch_patiently(mirrors: &[&str], patience: Patience) -> (Result<Outcome>, tempfile::TempDir) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let outcome = fetch(&["one", "two"], &root.path().join("new"), mirrors, patience, verify_good);
        (outcome, root)
    }

    fn verify_good(_: &str, mut file: File) -> Result<()> {
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
        assert_eq!(outcome.expect("a good mirror"), Outcome::Complete);
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
            assert_eq!(outcome.expect("the second mirror is good"), Outcome::Complete, "{bad}");
            assert_eq!(files(&root), ["one", "two"], "{bad}");
        }
    }

    #[test]
    fn a_mirror_that_has_only_some_files_is_completed_by_the_next() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("one"), "good").expect("a temporary file");
        let (outcome, root) = fetch_good(&[&server(Answer::Folder(folder.path().into())), &server(Answer::Text("good"))]);
        assert_eq!(outcome.expect("the second mirror is good"), Outcome::Complete);
        assert_eq!(files(&root), ["one", "two"]);
    }

    #[test]
    fn without_a_mirror_it_says_so_soon() {
        let started = Instant::now();
        let mirrors = [refusing(), server(Answer::Silent), server(Answer::Silent), server(Answer::Silent), server(Answer::Status(403))];
        let mirrors: Vec<&str> = mirrors.iter().map(String::as_str).collect();
        let (outcome, root) = fetch_patiently(&mirrors, Patience { bytes: Duration::from_secs(30), ..HASTY });
        assert!(started.elapsed() < 2 * HASTY.answer, "waits for all at once, not {:?}", started.elapsed());
        let Outcome::Unreachable(reasons) = outcome.expect("nothing is broken") else { panic!("there is no good mirror") };
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
        let Outcome::Unreachable(reasons) = outcome.expect("nothing is broken") else { panic!("there is no good mirror") };
        assert!(reasons[0].contains("this is a web page, not gzip"), "{reasons:?}");
        assert!(files(&root).is_empty());
    }

    #[test]
    fn a_faulty_download_is_an_error_and_leaves_nothing() {
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
            assert!(files(&root).is_empty(), "{:?}", files(&root));
            assert!(started.elapsed() < Duration::from_secs(20), "a stalled download is given up, after {:?}", started.elapsed());
        }
    }

    #[test]
    fn slow_is_not_stalled() {
        let started = Instant::now();
        let (outcome, _root) = fetch_good(&[&server(Answer::Slow("good", 400))]);
        assert_eq!(outcome.expect("a slow mirror"), Outcome::Complete);
        assert!(started.elapsed() > 2 * HASTY.bytes, "the test is not slow enough to tell");
    }

    #[test]
    fn at_the_same_time_all_succeed() {
        let mirror = server(Answer::Slow("good", 20));
        let folder = tempfile::tempdir().expect("a temporary folder");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let outcome = fetch(&["one", "two"], folder.path(), &[&mirror], HASTY, verify_good);
                    assert_eq!(outcome.expect("a good mirror"), Outcome::Complete);
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
        let error = fetch(&["one"], &file.join("below"), &[&good], HASTY, verify_good).expect_err("a file is no folder");
        assert!(error.to_string().starts_with("cannot make the folder"), "no matter of mirrors: {error:#}");
    }

    #[test]
    fn leftovers_go_when_they_are_old() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (old, young, other) =
            (folder.path().join(".unfinished-old"), folder.path().join(".unfinished-young"), folder.path().join("old"));
        for path in [&old, &young, &other] {
            fs::write(path, "").expect("a temporary file");
        }
        let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
        for path in [&old, &other] {
            File::options().write(true).open(path).and_then(|file| file.set_modified(hours_ago)).expect("one's own file");
        }
        remove_leftovers(folder.path());
        assert!(!old.exists() && young.exists() && other.exists());
    }
}
