//! Which versions of rows a store may hold: one row, so that a store of a newer resplit is refused at once, before
//! anything is read or written.

use std::collections::BTreeMap;

use super::version::known;
use crate::store::{Batch, Store, StoreError, Table};

/// The row that keeps, by kind, the newest version of the rows that may be in the store.
const FORMATS: &str = "formats";

/// Refuses a store that may hold rows of a version, or a kind, that this program does not know; then notes what this
/// program is going to write, durably, unless it is noted.
pub(crate) fn check(store: &Store) -> Result<(), StoreError> {
    let noted: BTreeMap<String, u32> = store.get(Table::Meta, FORMATS)?.unwrap_or_default();
    let known = known();
    for (kind, found) in &noted {
        let most = known.get(kind).copied().unwrap_or_default();
        if *found > most {
            return Err(StoreError::Newer { kind: kind.clone(), found: *found, known: most });
        }
    }
    // One that is only read notes nothing.
    if noted != known && store.damage().is_none() {
        let mut batch = Batch::default();
        batch.put(Table::Meta, FORMATS, &known)?;
        let _ = store.commit(batch)?;
    }
    Ok(())
}
