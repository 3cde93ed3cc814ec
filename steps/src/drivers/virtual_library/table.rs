//! The table of a dataset: for each compressed frame of its archive the length and BLAKE3, so that any part of the
//! archive can be found, and is never believed unless it is whole.

/// Bytes of archive in one compressed frame; the last one of a dataset is shorter.
pub(super) const CHUNK: usize = 4 << 20;
/// The longest chunk that is read.
pub(super) const LONGEST_CHUNK: u64 = 64 << 20;
const ROW: usize = 36;

/// One compressed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its length, in bytes.
    pub(super) length: u32,
    /// BLAKE3 of its bytes.
    pub(super) digest: [u8; 32],
}

/// The body of the table's frame: for each row 32 bits little endian, and 32 bytes.
pub(super) fn encode(rows: &[Row]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.length.to_le_bytes().into_iter().chain(row.digest)).collect()
}

/// Reads it. `None` if it is no table.
pub(super) fn decode(body: &[u8]) -> Option<Vec<Row>> {
    body.chunks(ROW)
        .map(|row| {
            let (length, digest) = row.split_first_chunk()?;
            Some(Row { length: u32::from_le_bytes(*length), digest: digest.try_into().ok()? })
        })
        .collect()
}
