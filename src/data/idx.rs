//! IDX files, the format of MNIST: two zero bytes, the element type, the number of dimensions, each dimension as a big-endian 32-bit
//! number, then the elements in row-major order. Only bytes (type 8) are read, raw or gzip-compressed, told apart by content: browsers
//! and mirrors unpack files without renaming them.
//!
//! A header's claim is not believed before as many bytes have arrived: memory is set aside for as much again as has arrived, at
//! least [`STEP`] and never more than is claimed, so that neither a damaged header nor a gzip bomb fills the memory.

use crate::files::sha256_of;
use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// The largest array that is read, in bytes: twenty times MNIST's, so a larger one is a damaged header.
pub(crate) const LIMIT: usize = 1 << 30;

/// Memory that is set aside before the first element has arrived, in bytes.
pub const STEP: usize = 1 << 16;

const BYTES: u8 = 0x08;
const MOST_DIMENSIONS: u8 = 4;

/// An array of bytes.
#[derive(Debug)]
pub struct Idx {
    /// For example `[60000, 28, 28]`.
    pub shape: Vec<usize>,
    /// As many as the product of `shape`.
    pub elements: Vec<u8>,
    /// SHA-256 of the uncompressed file, header included, in hexadecimal digits: the same however the file was compressed.
    pub checksum: String,
}

/// The advice where a file was not copied or downloaded as it should be.
const ANEW: &str = "get this file anew";

/// Opens the file at `path`.
///
/// # Errors
/// Where there is no such file, or no right to read it, or it is a folder. Each error names the file and what to do.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>> {
    let shown = path.display();
    // Asked before opening: a folder opens like a file, and a pipe would wait for its other end.
    let kind = fs::metadata(path).with_context(|| format!("{shown}: cannot look at this file; check the rights to it and its folders"))?;
    ensure!(!kind.is_dir(), "{shown}: found a folder where an IDX file is expected; move the file inside it here");
    ensure!(kind.is_file(), "{shown}: found a pipe or device where an IDX file is expected; put the file there");
    let file = File::open(path).with_context(|| format!("{shown}: cannot open this file; check the right to read it"))?;
    Ok(BufReader::with_capacity(STEP, file))
}

/// Reads one array of at most `limit` bytes from `input`, raw or gzip, to the input's end.
///
/// # Errors
/// Where the contents are not IDX (a web page, another format, another element type), are damaged (the gzip checksum disagrees), end
/// before or go on after what the header promises, or where the header promises more than `limit`.
pub fn decode(mut input: impl BufRead, limit: usize) -> Result<Idx> {
    let start = input.fill_buf().context("cannot read")?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return array(MultiGzDecoder::new(input), limit);
    }
    let answered = "this is a web page, not gzip: the download was answered by a login page or proxy; get the file where there is none";
    ensure!(!is_web_page(start), answered);
    ensure!(!start.starts_with(b"PK"), "this is a zip archive: unpack it");
    ensure!(!start.starts_with(b"version https://git-lfs"), "this is a Git LFS pointer, not the file: run `git lfs pull` where it is from");
    array(input, limit)
}

/// Whether a file that begins with `start` is HTML or XML.
pub(crate) fn is_web_page(start: &[u8]) -> bool {
    start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start().starts_with(b"<")
}

fn array(mut input: impl Read, limit: usize) -> Result<Idx> {
    let header = take(&mut input, 4)?;
    let dimensions = match *header.as_slice() {
        [0, 0, BYTES, dimensions @ 1..=MOST_DIMENSIONS] => dimensions,
        [0, 0, kind @ 0x09..=0x0e, _] => bail!(
            "its elements are of type {kind:02x}, expected {BYTES:02x}, unsigned bytes: this is a file of another data set, QMNIST's labels for \
             example; put one with unsigned bytes there"
        ),
        _ => bail!(
            "wrong magic number: it begins with {header:02x?}, and an IDX file of bytes begins with \
             [00, 00, 08, its number of dimensions, 01 to {MOST_DIMENSIONS:02x}]; {ANEW}"
        ),
    };
    let sizes = take(&mut input, 4 * usize::from(dimensions))?;
    let is_whole = sizes.len() == 4 * usize::from(dimensions);
    ensure!(is_whole, "it ends within its header: {dimensions} dimensions are announced; {ANEW}");
    let shape: Vec<usize> =
        sizes.chunks_exact(4).map(|size| size.iter().fold(0, |number, &byte| number << 8 | usize::from(byte))).collect();
    let promised = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).filter(|&promised| promised <= limit);
    let Some(promised) = promised else {
        bail!("its header promises an array of {shape:?} bytes, more than the {limit} that are read: the header is damaged; {ANEW}");
    };

    let elements = take(&mut input, promised)?;
    let arrived = elements.len();
    ensure!(
        arrived == promised,
        "it ends too early: the header promises an array of {shape:?}, {promised} bytes, and {arrived} are there; {ANEW}"
    );
    // Looking for one byte more also takes the gzip decoder to its checksum.
    let is_at_end = take(&mut input, 1)?.is_empty();
    ensure!(is_at_end, "it goes on after the array of {shape:?}, {promised} bytes, that the header promises; {ANEW}");
    let checksum = sha256_of(header.as_slice().chain(sizes.as_slice()).chain(elements.as_slice()))?;
    Ok(Idx { shape, elements, checksum })
}

/// The next `count` bytes of `input`, or as many as there are.
fn take(input: &mut impl Read, count: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let step = (count - bytes.len()).min(STEP.max(bytes.len()));
        bytes.reserve_exact(step);
        let read = input.take(step as u64).read_to_end(&mut bytes).map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::UnexpectedEof => "its compressed data breaks off: it was not downloaded or copied to its end",
                ErrorKind::InvalidData | ErrorKind::InvalidInput => "its compressed data is damaged",
                _ => return anyhow::Error::new(error).context("cannot read on"),
            };
            anyhow::Error::new(error).context(format!("{reason}; {ANEW}"))
        })?;
        if read < step {
            break;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn file(shape: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory can be written");
        encoder.finish().expect("memory can be written")
    }

    fn error(bytes: &[u8]) -> String {
        format!("{:#}", decode(bytes, LIMIT).expect_err("this input is faulty"))
    }

    /// The memory that may be reserved after `arrived` bytes of elements.
    fn bound(arrived: usize) -> usize {
        2 * arrived + STEP
    }

    #[test]
    fn raw_and_gzip_are_the_same_array() {
        let raw = file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        for bytes in [raw.clone(), gzip(&raw)] {
            let idx = decode(bytes.as_slice(), LIMIT).expect("a valid file");
            assert_eq!(idx.shape, [2, 1, 3]);
            assert_eq!(idx.elements, [1, 2, 3, 4, 5, 6]);
            assert_eq!(idx.checksum, sha256_of(raw.as_slice()).expect("memory"));
        }
    }

    #[test]
    fn every_prefix_is_too_short() {
        let raw = file(&[3, 2], &[7; 6]);
        for bytes in [raw.clone(), gzip(&raw)] {
            for length in 0..bytes.len() {
                assert!(decode(&bytes[..length], LIMIT).is_err(), "{length} of {} bytes", bytes.len());
            }
        }
        assert!(error(&raw[..10]).contains("ends within its header"));
        assert!(error(&raw[..15]).contains("[3, 2], 6 bytes, and 3 are there"));
        assert!(error(&gzip(&raw)[..15]).contains("breaks off"));
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let mut raw = file(&[2], &[1, 2]);
        raw.push(0);
        assert!(error(&raw).contains("goes on after"), "{}", error(&raw));
        assert!(error(&gzip(&raw)).contains("goes on after"));
        let mut compressed = gzip(&file(&[2], &[1, 2]));
        compressed.extend(b"trailing");
        assert!(error(&compressed).contains("compressed data"), "{}", error(&compressed));
    }

    #[test]
    fn a_flipped_bit_in_gzip_is_found() {
        let elements: Vec<u8> = (0..100).collect();
        let compressed = gzip(&file(&[50, 2], &elements));
        for position in 0..compressed.len() {
            for bit in 0..8 {
                let mut flipped = compressed.clone();
                flipped[position] ^= 1 << bit;
                // Some bits carry nothing: the time in gzip's header, the length of a code that is not used.
                if let Ok(idx) = decode(flipped.as_slice(), LIMIT) {
                    assert_eq!(idx.elements, elements, "byte {position}, bit {bit}");
                }
            }
        }
        let mut flipped = compressed.clone();
        let checksum = compressed.len() - 8;
        flipped[checksum] ^= 1;
        assert!(error(&flipped).contains("compressed data is damaged"), "{}", error(&flipped));
    }

    #[test]
    fn other_formats_are_named() {
        for page in ["<!DOCTYPE html>", "\n  <html>", "\u{feff}<?xml version"] {
            assert!(error(page.as_bytes()).contains("this is a web page, not gzip"), "{page}");
        }
        assert!(error(b"PK\x03\x04").contains("zip archive"));
        assert!(error(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
        assert!(error(b"\x00\x00\x0d\x01\x00\x00\x00\x00").contains("its elements are of type 0d"));
        assert!(error(b"\x00\x00\x08\x05").contains("wrong magic number"));
        assert!(error(b"").contains("wrong magic number: it begins with []"));
    }

    #[test]
    fn a_huge_claim_takes_no_memory() {
        let beyond = file(&[u32::MAX; 4], &[]);
        assert!(error(&beyond).contains("more than the 1073741824"), "{}", error(&beyond));
        let beyond = file(&[(1 << 30) + 1], &[]);
        assert!(error(&beyond).contains("more than the 1073741824"), "{}", error(&beyond));
        let just_allowed = file(&[1 << 30], &[0; 100]);
        assert!(error(&just_allowed).contains("ends too early"));
        let mut input = just_allowed.as_slice();
        assert!(take(&mut input, 1 << 30).expect("memory can be read").capacity() <= bound(just_allowed.len()));
    }

    #[test]
    fn a_gzip_bomb_is_not_unpacked() {
        let bomb = gzip(&file(&[16], &vec![0; 64 << 20]));
        let mut rest = bomb.as_slice();
        assert!(decode(&mut rest, LIMIT).is_err_and(|error| error.to_string().contains("goes on after")));
        assert!(rest.len() > bomb.len() / 2, "{} of {} bytes are left", rest.len(), bomb.len());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(bytes.as_slice(), LIMIT);
            let _ = decode([&[0x1f, 0x8b, 8, 0][..], &bytes].concat().as_slice(), LIMIT);
            let _ = decode([&[0, 0, 8][..], &bytes].concat().as_slice(), LIMIT);
        }

        #[test]
        fn damaged_files_never_panic_nor_take_memory(
            elements in prop::collection::vec(any::<u8>(), 1..300), position in any::<prop::sample::Index>(), byte in any::<u8>(),
            cut in any::<prop::sample::Index>(), compressed in any::<bool>(),
        ) {
            let mut bytes = file(&[elements.len() as u32], &elements);
            if compressed {
                bytes = gzip(&bytes);
            }
            let position = position.index(bytes.len());
            bytes[position] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let Ok(idx) = decode(bytes.as_slice(), LIMIT) {
                prop_assert!(idx.elements.capacity() <= bound(idx.elements.len()));
                prop_assert_eq!(idx.elements.len(), idx.shape.iter().product::<usize>());
            }
        }

        #[test]
        fn valid_files_round_trip(shape in prop::collection::vec(0u32..6, 1..=4), seed in any::<u8>(), compressed in any::<bool>()) {
            let count = shape.iter().product::<u32>() as usize;
            let elements: Vec<u8> = (0..count).map(|position| seed.wrapping_mul(31).wrapping_add(position as u8)).collect();
            let raw = file(&shape, &elements);
            let idx = decode(if compressed { gzip(&raw) } else { raw.clone() }.as_slice(), LIMIT).expect("a valid file");
            prop_assert_eq!(idx.shape, shape.iter().map(|&size| size as usize).collect::<Vec<_>>());
            prop_assert_eq!(idx.elements, elements);
            prop_assert_eq!(idx.checksum, sha256_of(raw.as_slice()).expect("memory"));
        }

        #[test]
        fn memory_follows_the_data(arrived in 0usize..300_000, claimed in 0usize..LIMIT) {
            let bytes = vec![0; arrived];
            let taken = take(&mut bytes.as_slice(), claimed).expect("memory can be read");
            prop_assert_eq!(taken.len(), arrived.min(claimed));
            prop_assert!(taken.capacity() <= bound(arrived).min(claimed));
        }
    }

    #[test]
    fn what_is_no_readable_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let message = |path: &Path| format!("{:#}", open(path).and_then(|input| decode(input, LIMIT)).expect_err("no readable file"));
        let missing = folder.path().join("nothing-here");
        assert!(message(&missing).contains("nothing-here: cannot look at this file"));
        assert!(message(folder.path()).contains("found a folder"));
        let faulty = folder.path().join("faulty");
        fs::write(&faulty, b"faulty").expect("a temporary file");
        assert!(message(&faulty).contains("wrong magic"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&faulty, fs::Permissions::from_mode(0o000)).expect("one's own file");
            if File::open(&faulty).is_ok() {
                say!("skipped: this user may read everything, so no file is unreadable");
            } else {
                assert!(message(&faulty).contains("check the right to read it"), "{}", message(&faulty));
            }
            assert!(message(Path::new("/dev/null")).contains("pipe or device"));
        }
    }
}
