//! The catalog of this host: one row a record.

pub(crate) mod entering;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use resplit_operations::{
    ids::BackupId,
    record::{CatalogChange, Record, Standing},
};

use crate::{
    rows::{self, NextNumber},
    store::{Batch, Store, StoreError, Table},
};

/// The row that keeps the next backup ID.
pub(crate) const NEXT_ID: &str = "backup";

/// The catalog as it was last read: read again only once it has changed.
#[derive(Default)]
pub(crate) struct Catalog {
    last: Mutex<Option<(u64, Arc<Vec<Record>>)>>,
}

impl Catalog {
    /// All records, in the order of their IDs.
    pub(crate) fn all(&self, store: &Store) -> Result<Arc<Vec<Record>>, StoreError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = store.changes(Table::Catalog);
        if let Some((of, records)) = &*last
            && *of == changes
        {
            return Ok(Arc::clone(records));
        }
        let records = rows::scan(store, "")?;
        let records = Arc::new(records);
        *last = Some((changes, Arc::clone(&records)));
        Ok(records)
    }
}

/// The next backup ID.
pub(crate) fn next_id(store: &Store) -> Result<u64, StoreError> {
    Ok(rows::get::<NextNumber>(store, NEXT_ID)?.map_or(1, |next| next.0))
}

/// Adds to a batch that every ID below `next` is used up.
pub(crate) fn put_next_id(batch: &mut Batch, next: u64) -> Result<(), StoreError> {
    rows::put(batch, NEXT_ID, &NextNumber(next))
}

/// Makes a change to records in memory.
pub(crate) fn apply(records: &mut Vec<Record>, change: &CatalogChange, now: Timestamp) {
    let find = |records: &mut Vec<Record>, id: BackupId| records.iter().position(|record| record.id == id);
    match change {
        CatalogChange::Insert { record } => {
            records.retain(|other| other.id != record.id);
            records.push((**record).clone());
            records.sort_by_key(|record| record.id);
        }
        CatalogChange::Evict { id, .. } => records.retain(|record| record.id != *id),
        CatalogChange::MarkStale { id, reason } => {
            if let Some(at) = find(records, *id).filter(|at| records[*at].is_current()) {
                records[at].standing = Standing::Stale { since: now, reason: reason.clone() };
            }
        }
        CatalogChange::Lock { id, lock } => {
            if let Some(at) = find(records, *id) {
                records[at].lock = Some(lock.clone());
            }
        }
        CatalogChange::Unlock { id } => {
            if let Some(at) = find(records, *id) {
                records[at].lock = None;
            }
        }
        CatalogChange::SetTape { id, tape } => {
            if let Some(at) = find(records, *id) {
                records[at].tape = tape.clone();
            }
        }
    }
}

fn by_id(records: &[Record]) -> BTreeMap<BackupId, &Record> {
    records.iter().map(|record| (record.id, record)).collect()
}

/// Adds to a batch what changes between two states of the catalog.
pub(crate) fn put_difference(
    batch: &mut Batch,
    before: &[Record],
    after: &[Record],
) -> Result<(), StoreError> {
    let (old, new) = (by_id(before), by_id(after));
    for gone in old.keys().filter(|id| !new.contains_key(id)) {
        batch.delete(Table::Catalog, &gone.to_string());
    }
    for (id, record) in new.iter().filter(|(id, record)| old.get(id) != Some(record)) {
        rows::put(batch, &id.to_string(), *record)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
