//! Sparse files, as GNU tar stores them in pax archives (format 1.0): a map in decimal, then the segments with data.

use std::{fmt::Write, fs::File, io};

use rustix::fs::{SeekFrom, seek};

use super::pax::BLOCK;

/// The most segments of a map that is read.
const MOST_SEGMENTS: u64 = 1 << 24;

/// A part of a file that has data: where it is, and how long.
pub(super) type Segment = (u64, u64);

/// The parts of a file with data; `None` if it has no holes. A last, empty one marks the end of a file with a hole there.
pub(super) fn segments(file: &File, length: u64) -> io::Result<Option<Vec<Segment>>> {
    let mut found = Vec::new();
    let mut position = 0;
    while position < length {
        let start = match seek(file, SeekFrom::Data(position)) {
            Ok(start) => start.min(length),
            Err(rustix::io::Errno::NXIO) => break,
            // This file system does not know.
            Err(rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?.min(length);
        if end <= start {
            break;
        }
        found.push((start, end - start));
        position = end;
    }
    if found == [(0, length)] || length == 0 {
        return Ok(None);
    }
    if found.last().is_none_or(|(start, size)| start + size < length) {
        found.push((length, 0));
    }
    Ok(Some(found))
}

/// The map, in whole blocks.
pub(super) fn encode(segments: &[Segment]) -> Vec<u8> {
    let mut text = format!("{}\n", segments.len());
    for (start, size) in segments {
        // Writing into a string cannot fail.
        let _ = write!(text, "{start}\n{size}\n");
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// Bytes that a sparse file takes in an archive, map included.
pub(super) fn stored(segments: &[Segment]) -> u64 {
    encode(segments).len() as u64 + segments.iter().map(|(_, size)| size).sum::<u64>()
}

/// Reads a map of a file of `length` bytes; `next` gives its next block.
pub(super) fn decode<E>(
    length: u64,
    mut next: impl FnMut() -> Result<[u8; BLOCK], E>,
    wrong: impl Fn() -> E,
) -> Result<Vec<Segment>, E> {
    let mut block = [0_u8; BLOCK];
    let mut at = BLOCK;
    let mut number = || -> Result<u64, E> {
        let mut value: Option<u64> = None;
        loop {
            if at == BLOCK {
                block = next()?;
                at = 0;
            }
            let byte = block[at];
            at += 1;
            match byte {
                b'0'..=b'9' => {
                    let more = value
                        .unwrap_or(0)
                        .checked_mul(10)
                        .and_then(|v| v.checked_add(u64::from(byte - b'0')));
                    value = Some(more.ok_or_else(&wrong)?);
                }
                b'\n' => return value.ok_or_else(&wrong),
                _ => return Err(wrong()),
            }
        }
    };
    let count = number()?;
    if count > MOST_SEGMENTS {
        return Err(wrong());
    }
    let mut segments = Vec::new();
    let mut position = 0;
    for _ in 0..count {
        let (start, size) = (number()?, number()?);
        let end =
            start.checked_add(size).filter(|end| start >= position && *end <= length).ok_or_else(&wrong)?;
        segments.push((start, size));
        position = end;
    }
    Ok(segments)
}
