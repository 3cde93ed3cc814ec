//! The first and the last frame of a dataset. The last one always has the same length, so that datasets are found from
//! the end of a cartridge backwards.

use std::fs::File;

use jiff::Timestamp;
use resplit_operations::{
    ids::{Barcode, HostId, LibraryId, PoolId, VolumeId},
    pair::Tag,
    record::{Medium, Record, TapePlace},
};
use serde::{Deserialize, Serialize};

use super::{
    frame::{self, Damage, Kind, OVERHEAD},
    label::{FORMAT, Label},
};
use crate::drivers::media::Dataset;

/// What a closing frame takes, in bytes.
pub(super) const CLOSING_BYTES: u64 = 1024;
/// Ends the body of a closing frame.
const END_MARK: &[u8] = b"\nEND OF DATASET\n";

/// What begins a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of the format.
    pub(super) format: u32,
    /// The library.
    pub(super) library: LibraryId,
    /// The cartridge.
    pub(super) barcode: Barcode,
    /// The pool that the cartridge belongs to from this dataset on.
    pub(super) pool: PoolId,
    /// The dataset's number on the cartridge, from 1.
    pub(super) number: u32,
    /// Who writes it.
    pub(super) tag: Tag,
    /// The host that writes it.
    pub(super) host: HostId,
    /// When.
    pub(super) written: Timestamp,
    /// Until when it is kept; `None` is permanent.
    pub(super) expires: Option<Timestamp>,
    /// The top directories of the archive.
    pub(super) volumes: Vec<VolumeId>,
}

/// What ends a dataset. Lengths are bytes on the cartridge unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closing {
    /// The version of the format.
    pub(super) format: u32,
    /// The dataset's number.
    pub(super) number: u32,
    /// Where the dataset begins.
    pub(super) offset: u64,
    /// Length of the header frame.
    pub(super) header: u64,
    /// Length of the compressed archive.
    pub(super) archive: u64,
    /// Length of all index frames.
    pub(super) index: u64,
    /// Length of the table frame.
    pub(super) table: u64,
    /// Length of the record frame.
    pub(super) record: u64,
    /// Bytes of archive in each compressed frame but the last.
    pub(super) chunk_bytes: u64,
    /// Bytes of the archive before compression.
    pub(super) archive_bytes: u64,
    /// Entries in the archive.
    pub(super) entries: u64,
    /// Bytes of content in the archive.
    pub(super) content_bytes: u64,
    /// BLAKE3, in hexadecimal, of header, index, table and record; the table has that of each compressed frame.
    pub(super) blake3: String,
}

impl Closing {
    /// Where the archive begins.
    pub(super) const fn archive_at(&self) -> u64 {
        self.offset + self.header
    }

    /// Where the index begins.
    pub(super) const fn index_at(&self) -> u64 {
        self.archive_at() + self.archive
    }

    /// Where the table begins.
    pub(super) const fn table_at(&self) -> u64 {
        self.index_at() + self.index
    }

    /// Where the record begins.
    pub(super) const fn record_at(&self) -> u64 {
        self.table_at() + self.table
    }

    /// Where the closing frame begins.
    pub(super) const fn closing_at(&self) -> u64 {
        self.record_at() + self.record
    }

    /// Where the dataset ends.
    pub(super) const fn end(&self) -> u64 {
        self.closing_at() + CLOSING_BYTES
    }

    /// The frame. `None` if the numbers do not fit, which they always do.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut body = serde_json::to_vec(self).ok()?;
        let room = usize::try_from(CLOSING_BYTES - OVERHEAD).ok()?.checked_sub(END_MARK.len())?;
        if body.len() > room {
            return None;
        }
        body.resize(room, b' ');
        body.extend_from_slice(END_MARK);
        frame::encode(Kind::Closing, &body)
    }

    /// Reads the closing frame that ends at `end`.
    pub(super) fn read(file: &File, end: u64) -> Result<Self, Damage> {
        let at = end
            .checked_sub(CLOSING_BYTES)
            .ok_or_else(|| Damage("there is no room for a closing frame".into()))?;
        let (body, frame_end) = frame::read(file, at, end, Kind::Closing)?;
        let wrong = |why: &str| Damage(format!("the closing frame at byte {at}: {why}"));
        let json = body.strip_suffix(END_MARK).ok_or_else(|| wrong("its end mark is missing"))?;
        let closing: Self = serde_json::from_slice(json).map_err(|error| wrong(&error.to_string()))?;
        let parts = [
            closing.offset,
            closing.header,
            closing.archive,
            closing.index,
            closing.table,
            closing.record,
            CLOSING_BYTES,
        ];
        let sum = parts.into_iter().try_fold(0_u64, u64::checked_add);
        if frame_end != end || sum != Some(end) || closing.format != FORMAT {
            return Err(wrong("its lengths contradict its place"));
        }
        Ok(closing)
    }

    /// The dataset that this closes: reads its header and its record.
    pub(super) fn dataset(&self, file: &File, label: &Label) -> Result<(Header, Dataset), Damage> {
        let (body, header_end) = frame::read(file, self.offset, self.archive_at(), Kind::Header)?;
        let header: Header = serde_json::from_slice(&body).map_err(|error| self.wrong("header", &error))?;
        let (body, record_end) = frame::read(file, self.record_at(), self.closing_at(), Kind::Record)?;
        let mut record: Record =
            serde_json::from_slice(&body).map_err(|error| self.wrong("record", &error))?;
        let ours = header.library == label.library && header.barcode == label.barcode;
        if !ours || header_end != self.archive_at() || record_end != self.closing_at() {
            return Err(self.wrong("header", &"it belongs to another place"));
        }
        if header.number != self.number {
            return Err(self.wrong("header", &"its number is another one"));
        }
        record.medium = Medium::Tape(TapePlace {
            library: label.library.clone(),
            barcode: label.barcode.clone(),
            dataset: self.number,
            bytes: self.end() - self.offset,
            expires: header.expires,
        });
        let dataset = Dataset {
            barcode: label.barcode.clone(),
            number: self.number,
            tag: header.tag.clone(),
            offset: self.offset,
            bytes: self.end() - self.offset,
            entries: self.entries,
            content_bytes: self.content_bytes,
            written: header.written,
            expires: header.expires,
            record,
        };
        Ok((header, dataset))
    }

    fn wrong(&self, part: &str, why: &dyn std::fmt::Display) -> Damage {
        Damage(format!("the {part} of dataset {}: {why}", self.number))
    }
}
