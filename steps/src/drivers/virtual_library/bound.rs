//! How much a dataset takes at most.

use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags, openat};

use super::{
    attributes,
    closing::CLOSING_BYTES,
    frame::OVERHEAD,
    pax::BLOCK,
    sparse,
    table::CHUNK,
    walk::{Found, Visitor, walk},
};
use crate::failure::Failure;

/// A record that is not known yet. It names few files.
pub(super) const RECORD: u64 = 48 << 10;
/// Header and record, frames included.
const REST: u64 = RECORD + (16 << 10);

/// What trees hold.
#[derive(Default)]
pub(super) struct Totals {
    /// Entries.
    pub(super) entries: u64,
    /// Bytes of content.
    pub(super) content: u64,
    archive: u64,
    index: u64,
    with_attributes: bool,
    buffer: Vec<u8>,
}

/// Walks the trees. Without extended attributes, which take long to ask for, the bound is one only where there are few.
pub(super) fn totals<'a>(
    sources: impl IntoIterator<Item = (&'a str, &'a PathBuf)>,
    with_attributes: bool,
) -> Result<Totals, Failure> {
    let mut totals = Totals { with_attributes, ..Totals::default() };
    for (prefix, source) in sources {
        walk(source, prefix, &mut totals)?;
    }
    Ok(totals)
}

impl Totals {
    /// The bound of the dataset, in bytes on the cartridge.
    pub(super) fn bound(&self) -> u64 {
        // Two blocks end an archive. What does not compress grows by less than one part in 256.
        let archive = self.archive + 2 * BLOCK as u64;
        let chunks = archive / CHUNK as u64 + 1;
        let compressed = archive + archive / 256 + chunks * 64;
        let index = self.index + self.index / 256 + (self.index / (1 << 20) + 1) * (OVERHEAD + 64);
        compressed + index + chunks * 36 + OVERHEAD + REST + CLOSING_BYTES
    }
}

impl Visitor for Totals {
    fn entry(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io("read", &found.place(), &error);
        let attributes = match found.directory {
            _ if !self.with_attributes => Ok(Vec::new()),
            Some(directory) => attributes::of_file(directory, &mut self.buffer),
            None => attributes::of_entry(found.parent, found.name, &mut self.buffer),
        };
        let attributes = match attributes {
            Ok(attributes) => attributes,
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(failed(error.into())),
        };
        let size = u64::try_from(found.stat.st_size).unwrap_or(0);
        // The path may stand in three records, as the target of a hard link in one more.
        let names = found.path.len() as u64 * 4 + if found.directory.is_none() { size.min(4096) } else { 0 };
        let records: u64 =
            attributes.iter().map(|(name, value)| name.len() as u64 * 3 + value.len() as u64 + 64).sum();
        self.archive += 1024 + (512 + names + records).next_multiple_of(BLOCK as u64);
        if found.file_type() == FileType::RegularFile {
            let stored = stored(found, size).map_err(failed)?;
            self.archive += stored.next_multiple_of(BLOCK as u64);
            self.content += size;
        }
        self.entries += 1;
        self.index += 256 + 2 * json_length(found.path);
        Ok(())
    }

    fn vanished(&mut self, _path: &[u8]) {}
}

/// What the archive takes of a file: less than its length if it has holes.
fn stored(found: &Found<'_>, size: u64) -> std::io::Result<u64> {
    if !may_have_holes(found.stat) {
        return Ok(size);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat(found.parent, found.name, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    Ok(sparse::segments(&file, size)?.map_or(size, |segments| sparse::stored(&segments)))
}

/// Whether a file takes less room than its length.
pub(super) fn may_have_holes(stat: &rustix::fs::Stat) -> bool {
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(u64::MAX);
    u64::try_from(stat.st_size).unwrap_or(0) > blocks.saturating_mul(512)
}

fn json_length(path: &[u8]) -> u64 {
    if std::str::from_utf8(path).is_err() {
        return path.len() as u64 * 2 + 16;
    }
    path.iter()
        .map(|byte| match byte {
            0..=0x1f => 6,
            b'"' | b'\\' => 2,
            _ => 1,
        })
        .sum()
}
