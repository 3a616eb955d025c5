//! JPEGs that the decoder accepts but decodes wrongly: truncated files, and rare layouts of the components.

use anyhow::{Result, bail, ensure};

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;
const RESTART_INTERVAL: u8 = 0xdd;
const PROGRESSIVE: u8 = 0xc2;

/// Checks what the decoder does not: that the image in `file` has an end, and that its layout is one that is decoded rightly.
///
/// The decoder fills in what is missing with gray. The end has to be the image's own: a thumbnail in a segment has one too. What follows
/// the end (a second image, padding) does not matter.
///
/// # Errors
/// If the image is broken off, or its components are stored in a way that the decoder gets wrong.
pub(super) fn check(file: &[u8]) -> Result<()> {
    let (mut is_progressive, mut has_restarts, mut is_scanned, mut factors) = (false, false, false, Vec::new());
    let mut rest = file;
    while let Some((marker, segment, after)) = next_segment(rest) {
        match marker {
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => bail!(
                "the JPEG is lossless, hierarchical or arithmetic-coded, expected a baseline or progressive one; save it anew with an image editor"
            ),
            0xc0..=PROGRESSIVE => {
                is_progressive = marker == PROGRESSIVE;
                // Precision, height, width, count; for each component its name, its factors and its table.
                let components = segment.get(6..).unwrap_or_default().chunks_exact(3);
                factors = components.map(|component| (component[1] >> 4, component[1] & 15)).collect();
            }
            RESTART_INTERVAL => has_restarts = segment != [0, 0],
            START_OF_SCAN if !is_scanned => {
                let is_interleaved = is_progressive || usize::from(segment.first().copied().unwrap_or(0)) == factors.len();
                check_layout(&factors, is_interleaved, has_restarts)?;
                is_scanned = true;
            }
            END_OF_IMAGE if is_scanned => return Ok(()),
            _ => {}
        }
        rest = after;
    }
    bail!("the JPEG is broken off: it has no end")
}

/// The next marker with its segment, and what follows it. Coded data, and markers without a segment, are passed over.
fn next_segment(mut rest: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    loop {
        rest = &rest[rest.iter().position(|byte| *byte == 0xff)?..];
        match *rest.get(1)? {
            0xff => rest = &rest[1..],
            END_OF_IMAGE => return Some((END_OF_IMAGE, &[], &rest[2..])),
            // 0 follows a byte of data that looks like a marker's first.
            0x00..=0xbf | 0xd0..=0xd8 => rest = &rest[2..],
            marker => {
                let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
                return Some((marker, rest.get(4..2 + length)?, &rest[2 + length..]));
            }
        }
    }
}

/// Refuses what zune-jpeg 0.5 decodes to something else than libjpeg-turbo does, or not at all: found by comparing both on all
/// combinations of the components' horizontal and vertical sampling `factors`.
fn check_layout(factors: &[(u8, u8)], is_interleaved: bool, has_restarts: bool) -> Result<()> {
    let count = factors.len();
    ensure!(matches!(count, 1 | 3 | 4), "the JPEG has {count} components, expected 1 (gray), 3 (color) or 4 (CMYK)");
    let (width, height) = factors[0];
    let is_finest_first = factors.iter().all(|factor| width.is_multiple_of(factor.0) && height.is_multiple_of(factor.1));
    let listed: Vec<String> = factors.iter().map(|(width, height)| format!("{width}x{height}")).collect();
    ensure!(
        is_finest_first,
        "the JPEG's components are sampled {}, expected the first to be the finest, by whole factors; save it anew with an image editor",
        listed.join(", ")
    );
    let is_plain = factors.iter().all(|(width, height)| *width <= 2 && *height == 1) && !has_restarts;
    ensure!(
        is_interleaved || is_plain,
        "the JPEG has a scan for each component, which is only read where none is sampled vertically and there are no restart markers; \
         save it anew with an image editor"
    );
    Ok(())
}
