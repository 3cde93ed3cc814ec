//! What is written: tables, batches, and how a batch lies in a record of the log.

use serde::Serialize;

use super::error::StoreError;

/// The longest key, in bytes.
pub const LONGEST_KEY: usize = 1024;

/// What a key belongs to. The numbers are stored: never change or reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What the store's owner knows of itself.
    Meta = 1,
    /// Counters of reserved IDs.
    Ids = 2,
    /// Runs.
    Runs = 3,
    /// Pinned plans.
    Plans = 4,
    /// Steps of runs.
    Steps = 5,
    /// Steps served for other hosts.
    Served = 6,
    /// Records of backups.
    Catalog = 7,
    /// Leases on pairs and drives.
    Leases = 8,
    /// What must be undone whatever happens.
    Obligations = 9,
    /// What happened.
    History = 10,
}

impl Table {
    /// One more than the largest number of a table.
    pub(super) const NUMBERS: usize = Self::History as usize + 1;

    /// The key as it is stored: the table's number, then the key.
    pub(super) fn key(self, key: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + key.len());
        bytes.push(self as u8);
        bytes.extend_from_slice(key.as_bytes());
        bytes
    }
}

/// A set of writes that happens whole or not at all. Of two writes to one key the later one holds.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) operations: Vec<u8>,
}

const PUT: u8 = 1;
const DELETE: u8 = 2;

impl Batch {
    /// Stores a value, as JSON, under a key of at most [`LONGEST_KEY`] bytes.
    pub fn put<T: Serialize + ?Sized>(
        &mut self,
        table: Table,
        key: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        if key.len() > LONGEST_KEY {
            return Err(StoreError::TooLarge { what: "a key", size: key.len(), most: LONGEST_KEY });
        }
        let value = serde_json::to_vec(value).map_err(|error| StoreError::Value {
            table: format!("{table:?}"),
            key: key.to_owned(),
            message: format!("cannot be stored: {error}"),
        })?;
        self.operations.push(PUT);
        push(&mut self.operations, &table.key(key));
        push(&mut self.operations, &value);
        Ok(())
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, table: Table, key: &str) {
        self.operations.push(DELETE);
        push(&mut self.operations, &table.key(key));
    }

    /// Adds the writes of another batch after those of this one.
    pub fn append(&mut self, other: Self) {
        if self.operations.is_empty() {
            *self = other;
        } else {
            self.operations.extend_from_slice(&other.operations);
        }
    }

    /// Whether it writes nothing.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

/// Appends bytes after their length.
pub(super) fn push(to: &mut Vec<u8>, bytes: &[u8]) {
    // A batch over LARGEST_RECORD is refused before it is written, so no length that is stored was cut short here.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(bytes);
}

/// One write: a key, with its table, and a value, or `None` for its removal.
pub(super) type Operation<'a> = (&'a [u8], Option<&'a [u8]>);

/// Goes through the writes of a record; `None` among them is one that makes no sense, and the last.
pub(super) fn operations(mut bytes: &[u8]) -> impl Iterator<Item = Option<Operation<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let one = take_operation(&mut bytes);
        if one.is_none() {
            bytes = &[];
        }
        Some(one)
    })
}

fn take_operation<'a>(bytes: &mut &'a [u8]) -> Option<Operation<'a>> {
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    let key = take(bytes)?;
    match *kind {
        PUT => Some((key, Some(take(bytes)?))),
        DELETE => Some((key, None)),
        _ => None,
    }
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (taken, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some(taken)
}
