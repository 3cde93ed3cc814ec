//! What a pass found to differ, and how it was written.

use std::ops::Range;

use super::blocks::{BLOCK, Hash, bytes};

/// What is compared within a block that differs: what a file system writes at least, and direct reads can ask for.
const PIECE: usize = 4096;
/// Parts that one thread keeps in memory until they are read back; then blocks are written whole.
const MOST_PARTS: usize = 1 << 18;

/// A part of a block, written on its own.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) at: u64,
    pub(super) length: usize,
    /// What has to be read back there.
    pub(super) hash: Hash,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Blocks that differ.
    pub(super) changed: u64,
    /// Bytes of content in them that were to be copied; zeros are none.
    pub(super) bytes: u64,
    /// Where blocks are that are written whole, in bytes, in order.
    pub(super) ranges: Vec<Range<u64>>,
    /// What was written of the others.
    pub(super) parts: Vec<Part>,
}

impl Found {
    /// Whole blocks.
    pub(super) fn add(&mut self, range: Range<u64>, is_zero: bool) {
        self.changed += (range.end - range.start).div_ceil(bytes(BLOCK));
        self.bytes += if is_zero { 0 } else { range.end - range.start };
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    /// Parts of one block.
    pub(super) fn add_parts(&mut self, parts: Vec<Part>) {
        self.changed += 1;
        self.bytes += parts.iter().map(|part| bytes(part.length)).sum::<u64>();
        self.parts.extend(parts);
    }

    pub(super) fn takes_parts(&self) -> bool {
        self.parts.len() < MOST_PARTS
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.changed += other.changed;
        self.bytes += other.bytes;
        self.ranges.extend(other.ranges);
        self.parts.extend(other.parts);
        self
    }

    pub(super) fn sort(&mut self) {
        self.ranges.sort_unstable_by_key(|range| range.start);
        self.parts.sort_unstable_by_key(|part| part.at);
    }
}

/// Where a block differs from what is there. `None` if the whole is as quickly written: more than half of it differs, or
/// they are not of one length.
pub(super) fn differing(there: &[u8], block: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut length = 0;
    for (number, (there, piece)) in there.chunks(PIECE).zip(block.chunks(PIECE)).enumerate() {
        if there == piece {
            continue;
        }
        let range = number * PIECE..number * PIECE + piece.len();
        length += piece.len();
        match found.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => found.push(range),
        }
    }
    (there.len() == block.len() && length * 2 <= block.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_within_a_block_is_found_in_pieces_unless_it_is_most_of_it() {
        let old = vec![1; BLOCK];
        let pairs = |found: Option<Vec<Range<usize>>>| {
            found.map(|found| found.iter().map(|range| (range.start, range.end)).collect::<Vec<_>>())
        };
        let changed = |places: &[usize]| {
            let mut new = old.clone();
            for at in places {
                new[*at] = 2;
            }
            pairs(differing(&old, &new))
        };
        assert_eq!(changed(&[]), Some(vec![]));
        assert_eq!(changed(&[0, 4095, 4096, 65_535]), Some(vec![(0, 8192), (61_440, 65_536)]));
        assert_eq!(changed(&(0..8).map(|piece| piece * 4096).collect::<Vec<_>>()), Some(vec![(0, 32_768)]));
        assert_eq!(changed(&(0..9).map(|piece| piece * 4096).collect::<Vec<_>>()), None);
        assert_eq!(differing(&old[..4097], &old), None);
        let last = differing(&[1; 10_000], &[&[1; 9_999][..], &[3]].concat());
        assert_eq!(pairs(last), Some(vec![(8192, 10_000)]));
    }
}
