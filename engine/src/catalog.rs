//! The catalog of this host: one row a record.

use jiff::Timestamp;
use resplit_operations::{
    ids::BackupId,
    record::{CatalogChange, Record, Standing},
};

use crate::store::{Batch, Store, StoreError, Table};

/// The row that keeps the next backup ID.
const NEXT_ID: &str = "backup";

/// All records, in the order of their IDs.
pub(crate) fn all(store: &Store) -> Result<Vec<Record>, StoreError> {
    Ok(store.scan(Table::Catalog, "")?.into_iter().map(|(_, record)| record).collect())
}

/// The next backup ID.
pub(crate) fn next_id(store: &Store) -> Result<u64, StoreError> {
    Ok(store.get(Table::Ids, NEXT_ID)?.unwrap_or(1))
}

/// Adds to a batch that every ID below `next` is used up.
pub(crate) fn put_next_id(batch: &mut Batch, next: u64) -> Result<(), StoreError> {
    batch.put(Table::Ids, NEXT_ID, &next)
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

/// Adds to a batch what changes between two states of the catalog.
pub(crate) fn put_difference(
    batch: &mut Batch,
    before: &[Record],
    after: &[Record],
) -> Result<(), StoreError> {
    for gone in before.iter().filter(|record| !after.iter().any(|other| other.id == record.id)) {
        batch.delete(Table::Catalog, &gone.id.to_string());
    }
    for record in after.iter().filter(|record| !before.contains(record)) {
        batch.put(Table::Catalog, &record.id.to_string(), record)?;
    }
    Ok(())
}
