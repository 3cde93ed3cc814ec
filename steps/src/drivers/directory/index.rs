//! What the last pass saw: the state of every entry of the primary, and by which inode and change time its copy is
//! known. The file is a header, one block a directory in the order of paths, and a checksum.

use std::{cmp::Ordering, ops::Range};

use super::{
    packed,
    remove::Size,
    stat::{Moment, Stat},
};

const MAGIC: &[u8; 16] = b"resplit index 2\n";
const CHECKSUM: usize = blake3::OUT_LEN;

/// By what a copy is known to be the one that was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) ino: u64,
    pub(super) ctime: Moment,
}

impl Evidence {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { ino: stat.ino, ctime: stat.ctime }
    }
}

/// One entry as the index has it.
#[derive(Clone, Copy, Default)]
pub(super) struct Item<'a> {
    pub(super) name: &'a [u8],
    /// The state of the primary's entry.
    pub(super) primary: Stat,
    pub(super) copy: Evidence,
}

/// One entry to be written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Box<[u8]>,
    pub(super) primary: Stat,
    pub(super) copy: Evidence,
}

impl Entry {
    fn item(&self) -> Item<'_> {
        Item { name: &self.name, primary: self.primary, copy: self.copy }
    }
}

/// Which pass an index is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The pair's own ID, so that an index of another pair is not taken for this one's.
    pub(super) pair: [u8; 32],
    pub(super) pass: u64,
    /// What changed then or later may have been missed.
    pub(super) moment: Moment,
}

/// One directory.
struct Block {
    path: Range<usize>,
    whole: Range<usize>,
    items: Range<usize>,
}

/// An index that was read.
pub(super) struct Index {
    bytes: Vec<u8>,
    pub(super) header: Header,
    blocks: Vec<Block>,
}

impl Index {
    /// Reads an index; `None` if it is damaged.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
        if blake3::hash(body).as_bytes() != checksum {
            return None;
        }
        let mut reader = Reader::new(body);
        if reader.take(MAGIC.len())? != MAGIC {
            return None;
        }
        let pair = *reader.take(32)?.first_chunk()?;
        let header = Header { pair, pass: reader.long()?, moment: reader.moment()? };
        let mut blocks = Vec::new();
        while reader.at < body.len() {
            let start = reader.at;
            let length = reader.length()?;
            let path_length = reader.length()?;
            let path = reader.at..reader.at.checked_add(path_length)?;
            let _ = reader.take(path_length)?;
            let end = start.checked_add(length)?;
            let items = reader.at..end;
            let _ = body.get(items.clone())?;
            reader.at = end;
            blocks.push(Block { path, whole: start..end, items });
        }
        Some(Self { bytes, header, blocks })
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    fn find(&self, path: &[u8]) -> Option<&Block> {
        let compare = |block: &Block| -> Ordering { self.bytes[block.path.clone()].cmp(path) };
        self.blocks.binary_search_by(compare).ok().map(|at| &self.blocks[at])
    }

    /// A directory's block, to be copied as it is.
    pub(super) fn block(&self, path: &[u8]) -> Option<&[u8]> {
        self.find(path).map(|block| &self.bytes[block.whole.clone()])
    }

    /// What is known of a directory: itself, then its entries in the order of their names.
    pub(super) fn items(&self, path: &[u8]) -> Items<'_> {
        let items = self.find(path).map_or(0..0, |block| block.items.clone());
        Items { reader: Reader::new(&self.bytes[items]), before: Item::default() }
    }

    /// The paths of directories at and below a path.
    pub(super) fn below<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let start = self.blocks.partition_point(|block| &self.bytes[block.path.clone()] < path);
        // Between a directory and what is below it may sort names that merely begin alike ("a", "a.b", "a/b").
        self.blocks[start..]
            .iter()
            .map(|block| &self.bytes[block.path.clone()])
            .take_while(move |found| found.starts_with(path))
            .filter(move |found| path.is_empty() || matches!(found.get(path.len()), None | Some(b'/')))
    }
}

impl Index {
    /// What is known of a directory and all that it holds.
    pub(super) fn size_below(&self, path: &[u8]) -> Size {
        let mut size = Size { entries: 1, allocated: 0 };
        for directory in self.below(path) {
            for item in self.items(directory).skip(1) {
                size.entries += 1;
                size.allocated = size.allocated.saturating_add(item.primary.needed());
            }
        }
        size
    }

    /// What an index of the same content has, and no other.
    pub(super) fn digest(&self) -> String {
        blake3::Hash::from_slice(&self.bytes[self.bytes.len() - CHECKSUM..])
            .map(|digest| digest.to_hex().to_string())
            .unwrap_or_default()
    }

    /// The whole file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Entries, read one after the other.
pub(super) struct Items<'a> {
    reader: Reader<'a>,
    before: Item<'a>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        self.before = packed::read(&mut self.reader, &self.before)?;
        Some(self.before)
    }
}

impl Item<'_> {
    /// The same, to be written again.
    pub(super) fn entry(&self) -> Entry {
        Entry { name: self.name.into(), primary: self.primary, copy: self.copy }
    }
}

/// Reads the parts of an index; `None` where it ends too early.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        self.take(4)?.first_chunk().and_then(|bytes| usize::try_from(u32::from_le_bytes(*bytes)).ok())
    }

    fn long(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn moment(&mut self) -> Option<Moment> {
        let seconds = self.long()?.cast_signed();
        let nanoseconds = self.take(4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))?;
        Some(Moment { seconds, nanoseconds })
    }
}

/// Writes an index, block by block, in the order of paths.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(header: &Header, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity + 4096);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&header.pair);
        bytes.extend_from_slice(&header.pass.to_le_bytes());
        let mut writer = Self(bytes);
        writer.moment(header.moment);
        writer
    }

    fn moment(&mut self, moment: Moment) {
        self.0.extend_from_slice(&moment.seconds.to_le_bytes());
        self.0.extend_from_slice(&moment.nanoseconds.to_le_bytes());
    }

    /// Adds a block as another index has it.
    pub(super) fn copy(&mut self, block: &[u8]) {
        self.0.extend_from_slice(block);
    }

    /// Adds a directory: itself, and its entries in the order of their names.
    pub(super) fn directory(&mut self, path: &[u8], own: &Entry, entries: &[Entry]) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        self.0.extend_from_slice(&length(path.len()));
        self.0.extend_from_slice(path);
        let first = Item::default();
        let mut before = &first;
        let items: Vec<_> = std::iter::once(own).chain(entries).map(Entry::item).collect();
        for item in &items {
            packed::write(&mut self.0, before, item);
            before = item;
        }
        let whole = length(self.0.len() - start);
        self.0[start..start + 4].copy_from_slice(&whole);
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let checksum = blake3::hash(&self.0);
        self.0.extend_from_slice(checksum.as_bytes());
        self.0
    }
}

/// A length that the format has four bytes for. A directory of more than 4 GiB of names gives a block whose length
/// does not fit, so an index that reads as damaged: the next pass looks at both sides.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}
