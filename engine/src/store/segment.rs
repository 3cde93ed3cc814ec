//! Segments of the log: files of a fixed size, filled with zeros beforehand, so that appending to one changes no
//! metadata and one fdatasync is one write of the disk.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate};

use super::{
    error::StoreError,
    files::{create_whole, numbered},
    frame::{Frame, Point, decode, find},
    place::Place,
};

/// The format of segments and checkpoints.
pub(super) const FORMAT: u32 = 1;
/// Bytes before the first record: magic 8, format 4, checksum 4, number of the first record 8, hash before it 32, size of
/// the segment 8.
pub(super) const HEADER: usize = 64;
const MAGIC: &[u8; 8] = b"resplitL";

/// A segment of the log.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The place before its first record.
    pub(super) before: Point,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// Where the records of a segment end.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// The place after the last record.
    pub(super) point: Point,
    /// Its offset in the file.
    pub(super) offset: usize,
    /// The offset of the last record itself, if there is one.
    pub(super) last: Option<usize>,
    /// Bytes of a torn record after it.
    pub(super) torn: usize,
}

/// The segments, in order, without gaps. Reads their headers.
pub(super) fn segments(place: &Place) -> Result<Vec<Segment>, StoreError> {
    numbered(&place.log, "log")?.into_iter().map(|(first, path)| read_header(place, first, path)).collect()
}

/// The segments whose headers are right, in order; and what is wrong with the others.
pub(super) fn readable(place: &Place) -> (Vec<Segment>, Vec<StoreError>) {
    let (mut segments, mut errors) = (Vec::new(), Vec::new());
    match numbered(&place.log, "log") {
        Ok(found) => {
            for (first, path) in found {
                match read_header(place, first, path) {
                    Ok(segment) => segments.push(segment),
                    Err(error) => errors.push(error),
                }
            }
        }
        Err(error) => errors.push(error),
    }
    (segments, errors)
}

fn read_header(place: &Place, first: u64, path: PathBuf) -> Result<Segment, StoreError> {
    let mut header = Vec::with_capacity(HEADER);
    let read = File::open(&path).and_then(|file| {
        let length = file.metadata()?.len();
        file.take(HEADER as u64).read_to_end(&mut header).map(|_| length)
    });
    let length = read.map_err(StoreError::io("read", &path))?;
    let lost = format!("the records from {first} on are lost");
    let damaged = || place.damaged_at(&path, 0, "its header is damaged".to_owned(), lost.clone());
    let (found, before, size) = parse_header(&header).ok_or_else(damaged)?;
    if found != FORMAT {
        return Err(StoreError::Format { path, found, known: FORMAT });
    }
    if before.sequence.checked_add(1) != Some(first) {
        return Err(place.damaged(&path, format!("it begins after record {}", before.sequence), lost));
    }
    // It had its size before it had its first record: no crash makes it shorter.
    if length < size {
        return Err(place.damaged(
            &path,
            format!("it had {size} bytes and has {length}"),
            "records are lost",
        ));
    }
    Ok(Segment { path, before, size })
}

/// The format, the place before the first record, and the size.
fn parse_header(header: &[u8]) -> Option<(u32, Point, u64)> {
    let (magic, rest) = header.split_first_chunk::<8>()?;
    let (format, rest) = rest.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    if magic != MAGIC || u32::from_le_bytes(*checksum) != header_checksum(*format, rest) {
        return None;
    }
    let (first, rest) = rest.split_first_chunk()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let before = Point { sequence: u64::from_le_bytes(*first).checked_sub(1)?, hash: *hash };
    Some((u32::from_le_bytes(*format), before, u64::from_le_bytes(*rest.first_chunk()?)))
}

fn header_checksum(format: [u8; 4], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&format);
    hasher.update(rest);
    hasher.finalize()
}

/// Creates a segment of `size` bytes for the records after a place.
pub(super) fn create(place: &Place, before: Point, size: u64) -> Result<(Segment, File), StoreError> {
    let path = place.log.join(format!("{:020}.log", before.sequence + 1));
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    let mut rest = [0; 48];
    rest[..8].copy_from_slice(&(before.sequence + 1).to_le_bytes());
    rest[8..40].copy_from_slice(&before.hash);
    rest[40..].copy_from_slice(&size.to_le_bytes());
    header.extend_from_slice(&header_checksum(FORMAT.to_le_bytes(), &rest).to_le_bytes());
    header.extend_from_slice(&rest);
    let file = create_whole(&path, |file, unfinished| {
        // Fails at once where there is no room; where it is not supported the zeros below do as well.
        match fallocate(&*file, FallocateFlags::empty(), 0, size) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(StoreError::io("allocate", unfinished)(error.into())),
        }
        let zeros = vec![0; 1 << 18];
        let mut left = size.saturating_sub(HEADER as u64);
        file.write_all(&header).map_err(StoreError::io("write", unfinished))?;
        while left > 0 {
            let now = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.write_all(&zeros[..now]).map_err(StoreError::io("write", unfinished))?;
            left -= now as u64;
        }
        Ok(())
    })?;
    Ok((Segment { path, before, size }, file))
}

/// What is done with the writes of each record.
pub(super) type Visit<'a> = dyn FnMut(&[u8]) -> Result<(), StoreError> + 'a;

/// Reads the records of a segment that has a successor: up to the place where that begins.
pub(super) fn read_closed(
    place: &Place,
    segment: &Segment,
    next: &Segment,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let bytes = read_file(&segment.path)?;
    let end = read_records(place, segment, &bytes, Some(next.before.sequence), visit)?;
    if end.point == next.before {
        Ok(())
    } else {
        let lost = format!("the records from {} on that belong between are lost", end.point.sequence + 1);
        Err(place.damaged(&next.path, format!("it does not continue {}", segment.path.display()), lost))
    }
}

/// Reads the records of the last segment; a record torn by a power cut ends it.
pub(super) fn read_last(place: &Place, segment: &Segment, visit: &mut Visit<'_>) -> Result<End, StoreError> {
    let bytes = read_file(&segment.path)?;
    let mut end = read_records(place, segment, &bytes, None, visit)?;
    let rest = &bytes[end.offset.min(bytes.len())..];
    end.torn = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Ok(end)
}

fn read_file(path: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(StoreError::io("read", path))
}

fn read_records(
    place: &Place,
    segment: &Segment,
    bytes: &[u8],
    until: Option<u64>,
    visit: &mut Visit<'_>,
) -> Result<End, StoreError> {
    let mut end = End { point: segment.before, offset: HEADER, last: None, torn: 0 };
    while until != Some(end.point.sequence) {
        let rest = &bytes[end.offset.min(bytes.len())..];
        let expected = end.point.sequence + 1;
        let lost = |why: String| {
            let lost = format!("the records from {expected} on are lost");
            place.damaged_at(&segment.path, end.offset, why, lost)
        };
        match decode(rest, end.point) {
            Frame::Record { writes, point, length } => {
                visit(writes)?;
                end = End { point, offset: end.offset + length, last: Some(end.offset), torn: 0 };
            }
            Frame::Foreign { sequence } => {
                return Err(lost(format!("record {sequence} does not continue record {}", expected - 1)));
            }
            Frame::Seal => {
                return Err(lost("it is closed, and the segment that continued it is missing".to_owned()));
            }
            // Only one record is ever on its way to the disk, so whatever has a successor was whole once.
            Frame::Nothing => match find(rest) {
                Some(later) => {
                    return Err(lost(format!("record {expected} is damaged, record {later} follows it")));
                }
                None if until.is_some() => {
                    return Err(lost(format!("record {expected} is damaged or missing")));
                }
                None => break,
            },
        }
    }
    Ok(end)
}
