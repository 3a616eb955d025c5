//! Event files for TensorBoard: TFRecords, each an `Event` as protocol buffers encode it, whose few fields are written here by hand.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// TensorBoard takes files with this in their names for its own.
const PREFIX: &str = "events.out.tfevents.";

/// A file of events, to which they are appended as they happen.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// A new file in `folder`, whose name ends in `of`, in place of earlier ones with this ending. Missing folders are made.
    pub fn replace(folder: &Path, of: &str) -> Result<EventFile> {
        fs::create_dir_all(folder).with_context(|| cannot("make the folder", folder))?;
        let ending = format!(".{of}");
        for entry in fs::read_dir(folder).with_context(|| cannot("list", folder))? {
            let entry = entry.with_context(|| cannot("list", folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(PREFIX) && name.ends_with(&ending) {
                fs::remove_file(entry.path()).with_context(|| cannot("remove", &entry.path()))?;
            }
        }
        // TensorBoard goes from file to file in the order of their names: time comes first.
        let (host, seconds) = (gethostname::gethostname(), now() as u64);
        let path = folder.join(format!("{PREFIX}{seconds:010}.{}.{}{ending}", host.to_string_lossy(), std::process::id()));
        let file = File::options().append(true).create_new(true).open(&path).with_context(|| cannot("make", &path))?;
        let mut events = EventFile { file, path };
        events.append(0, (FILE_VERSION, b"brain.Event:2"))?;
        Ok(events)
    }

    /// Appends values, each with its tag; TensorBoard keeps them in single precision.
    pub fn scalars(&mut self, step: i64, values: &[(String, f64)]) -> Result<()> {
        self.append(step, (SUMMARY, &scalars(values)))
    }

    /// Appends a picture in color, encoded as PNG; `size` is width and height in pixels.
    pub fn picture(&mut self, step: i64, tag: &str, size: (u32, u32), png: &[u8]) -> Result<()> {
        self.append(step, (SUMMARY, &picture(tag, size, png)))
    }

    fn append(&mut self, step: i64, (field, content): (u32, &[u8])) -> Result<()> {
        // In one write: of a killed program a torn record can only be the last, and TensorBoard leaves that out.
        let written = self.file.write_all(&record(&event(now(), step, field, content)));
        written.with_context(|| format!("cannot write the events {}; free some space or fix its permissions", self.path.display()))
    }
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} {} for TensorBoard; choose another folder with --tensorboard or fix its permissions", path.display())
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

// The numbers of fields in event.proto and summary.proto of TensorBoard.
const WALL_TIME: u32 = 1;
const STEP: u32 = 2;
const FILE_VERSION: u32 = 3;
const SUMMARY: u32 = 5;
const SUMMARY_VALUE: u32 = 1;
const VALUE_TAG: u32 = 1;
const VALUE_SIMPLE: u32 = 2;
const VALUE_IMAGE: u32 = 4;
const IMAGE_HEIGHT: u32 = 1;
const IMAGE_WIDTH: u32 = 2;
const IMAGE_CHANNELS: u32 = 3;
const IMAGE_ENCODED: u32 = 4;

fn scalars(values: &[(String, f64)]) -> Vec<u8> {
    let value = |(tag, value): &(String, f64)| {
        let value = [bytes(VALUE_TAG, tag.as_bytes()), fixed(VALUE_SIMPLE, &(*value as f32).to_le_bytes())].concat();
        bytes(SUMMARY_VALUE, &value)
    };
    values.iter().flat_map(value).collect()
}

fn picture(tag: &str, (width, height): (u32, u32), png: &[u8]) -> Vec<u8> {
    let numbers = [(IMAGE_HEIGHT, height), (IMAGE_WIDTH, width), (IMAGE_CHANNELS, 3)];
    let mut image: Vec<u8> = numbers.into_iter().flat_map(|(field, number)| integer(field, u64::from(number))).collect();
    image.extend(bytes(IMAGE_ENCODED, png));
    bytes(SUMMARY_VALUE, &[bytes(VALUE_TAG, tag.as_bytes()), bytes(VALUE_IMAGE, &image)].concat())
}

fn event(time: f64, step: i64, field: u32, content: &[u8]) -> Vec<u8> {
    [fixed(WALL_TIME, &time.to_le_bytes()), integer(STEP, step as u64), bytes(field, content)].concat()
}

/// The frame of a record: the length and the content, each with its checksum.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    [&length[..], &masked_checksum(&length), content, &masked_checksum(content)].concat()
}

/// CRC-32C, turned and shifted, so that checksums of what holds checksums are as good as others.
fn masked_checksum(content: &[u8]) -> [u8; 4] {
    crc32c::crc32c(content).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A field of four or eight bytes.
fn fixed<const N: usize>(field: u32, value: &[u8; N]) -> Vec<u8> {
    let wire_type = if N == 8 { 1 } else { 5 };
    [&variable(u64::from(field << 3 | wire_type)), &value[..]].concat()
}

fn integer(field: u32, value: u64) -> Vec<u8> {
    [variable(u64::from(field << 3)), variable(value)].concat()
}

fn bytes(field: u32, value: &[u8]) -> Vec<u8> {
    [&variable(u64::from(field << 3 | 2)), &variable(value.len() as u64), value].concat()
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit set.
fn variable(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_bytes_that_tensorflow_gives_it() {
        // Those of 32 zeros and of 0 to 31, in RFC 3720, appendix B.4, are 0x8a9136aa and 0x46dd794e before they are turned and shifted.
        let counted: Vec<u8> = (0..32).collect();
        for (content, masked) in [(&[0; 32][..], 0x0fd7_fffa_u32), (&counted, 0x951f_7892)] {
            assert_eq!(masked_checksum(content), masked.to_le_bytes());
        }
        // As the Python package tensorboard writes them.
        let expected = b"!\0\0\0\0\0\0\0\x01{\xec\xf6\t\0\0\0\0\0\0\xf8?\x10\xac\x02*\x13\n\x11\n\nloss/train\x15\0\0\0?\x9cc\xfd\x94";
        assert_eq!(record(&event(1.5, 300, SUMMARY, &scalars(&[("loss/train".to_owned(), 0.5)]))), expected);
        let expected = b"\t\0\0\0\0\0\0\xf8?\x10\xac\x02*\x13\n\x11\n\x01a\"\x0c\x08\x02\x10\xac\x02\x18\x03\"\x03png";
        assert_eq!(event(1.5, 300, SUMMARY, &picture("a", (300, 2), b"png")), expected);
    }

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        assert_eq!(variable(0), [0]);
        assert_eq!(variable(127), [127]);
        assert_eq!(variable(300), [0xac, 2]);
        assert_eq!(variable(u64::MAX), [&[255; 9][..], &[1]].concat());
    }

    #[test]
    fn a_new_file_takes_the_place_of_what_told_the_same_and_of_nothing_else() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let keep = ["events.out.tfevents.1.host.2.other", "notes.scalars"].map(|name| folder.path().join(name));
        keep.iter().try_for_each(|path| fs::write(path, "x"))?;
        let old = folder.path().join("events.out.tfevents.1.host.2.scalars");
        fs::write(&old, "x")?;
        let events = EventFile::replace(folder.path(), "scalars")?;
        assert!(!old.exists() && events.path.exists() && keep.iter().all(|path| path.exists()));
        let blocked = keep[0].join("below");
        let error = format!("{:#}", EventFile::replace(&blocked, "scalars").expect_err("a file is no folder"));
        assert!(error.contains(&blocked.display().to_string()) && error.contains("choose another folder with --tensorboard"), "{error}");
        Ok(())
    }
}
