//! How a record lies in a segment: its length, a checksum, its number, the chained hash, and the writes.

/// Bytes before the writes of a record: length 4, checksum 4, number 8, hash 32.
pub(super) const HEADER: usize = 48;
/// The largest record, in bytes.
pub(super) const LARGEST_RECORD: usize = 256 << 20;

/// BLAKE3.
pub(super) type Hash = [u8; 32];

/// A place in the log: the number of the last record, and the hash of everything up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) sequence: u64,
    pub(super) hash: Hash,
}

impl Point {
    /// The place after one more record.
    fn after(self, writes: &[u8]) -> Self {
        let sequence = self.sequence + 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.hash).update(&sequence.to_le_bytes()).update(writes);
        Self { sequence, hash: *hasher.finalize().as_bytes() }
    }

    /// The hash in hexadecimal.
    pub(super) fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.hash).to_hex().to_string()
    }
}

/// What lies at a place of a segment.
pub(super) enum Frame<'a> {
    /// The record that was expected.
    Record { writes: &'a [u8], point: Point, length: usize },
    /// The segment ends here and another one follows.
    Seal,
    /// A whole record, but not the one that was expected.
    Foreign { sequence: u64 },
    /// Nothing that makes sense: free space, a torn record or a damaged one.
    Nothing,
}

/// Writes a record that follows `after` into an empty buffer; gives the place after it.
pub(super) fn encode(after: Point, writes: &[u8], buffer: &mut Vec<u8>) -> Point {
    let point = after.after(writes);
    frame(point, writes, buffer);
    point
}

/// What closes a segment at a place; it has no number of its own.
pub(super) fn seal(at: Point) -> Vec<u8> {
    let mut buffer = Vec::new();
    frame(at, &[], &mut buffer);
    buffer
}

fn frame(point: Point, writes: &[u8], buffer: &mut Vec<u8>) {
    // Records are at most LARGEST_RECORD long.
    let length = u32::try_from(HEADER + writes.len()).unwrap_or(u32::MAX);
    buffer.clear();
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&point.sequence.to_le_bytes());
    buffer.extend_from_slice(&point.hash);
    buffer.extend_from_slice(writes);
    let checksum = checksum(buffer);
    buffer[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Of a whole frame, but for the checksum itself.
fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..4]);
    hasher.update(&frame[8..]);
    hasher.finalize()
}

/// The frame at the start of `bytes`, if its length and checksum are right.
fn whole(bytes: &[u8]) -> Option<(&[u8], Point)> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    if length < HEADER {
        return None;
    }
    let frame = bytes.get(..length)?;
    let stored = u32::from_le_bytes(*frame[4..].first_chunk()?);
    let point =
        Point { sequence: u64::from_le_bytes(*frame[8..].first_chunk()?), hash: *frame[16..].first_chunk()? };
    (checksum(frame) == stored).then_some((frame, point))
}

/// What lies at the start of `bytes`, where the record that follows `after` is expected.
pub(super) fn decode(bytes: &[u8], after: Point) -> Frame<'_> {
    let Some((frame, point)) = whole(bytes) else { return Frame::Nothing };
    let writes = &frame[HEADER..];
    if writes.is_empty() && point == after {
        Frame::Seal
    } else if !writes.is_empty() && point == after.after(writes) {
        Frame::Record { writes, point, length: frame.len() }
    } else {
        Frame::Foreign { sequence: point.sequence }
    }
}

/// All whole records anywhere in `bytes`, whatever lies between them: their places and their writes.
pub(super) fn whole_records(bytes: &[u8]) -> impl Iterator<Item = (Point, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            if let Some((frame, point)) = whole(&bytes[at..]) {
                at += frame.len();
                return Some((point, &frame[HEADER..]));
            }
            at += 1;
        }
        None
    })
}

/// The number of the first whole record anywhere in `bytes`: what was written after a record that makes no sense.
pub(super) fn find(bytes: &[u8]) -> Option<u64> {
    (0..bytes.len()).find_map(|at| whole(&bytes[at..])).map(|(_, point)| point.sequence)
}
