//! What must be undone whatever happens: durable before what it undoes, discharged in reverse order.

use std::fs;

use jiff::Timestamp;
use resplit_operations::{
    ids::{RunId, StepId},
    record::CatalogChange,
};
use resplit_steps::{
    contract::Obligation,
    drivers::{mounts, transfer},
    failure::Failure,
};
use serde::{Deserialize, Serialize};

use crate::{
    engine::Engine,
    rows,
    store::{Batch, Store, StoreError, Table},
    transaction::Transaction,
};

/// A duty of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Duty {
    pub run: RunId,
    pub step: StepId,
    pub obligation: Obligation,
    /// Counts up: what was taken on last is discharged first.
    #[serde(default)]
    pub taken: u64,
    /// When it was taken on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

fn key(run: &RunId, obligation: &Obligation) -> String {
    // The same duty taken on twice is one duty: its key is what it says.
    let text = serde_json::to_string(obligation).unwrap_or_default();
    format!("{run}/{}", &blake3::hash(text.as_bytes()).to_hex()[..16])
}

/// Adds a duty to a batch.
pub(crate) fn put(
    batch: &mut Batch,
    run: &RunId,
    step: &StepId,
    obligation: &Obligation,
    now: Timestamp,
    taken: u64,
) -> Result<(), StoreError> {
    let (run_of, step, since) = (run.clone(), step.clone(), Some(now));
    let duty = Duty { run: run_of, step, obligation: obligation.clone(), taken, since };
    rows::put(batch, &key(run, obligation), &duty)
}

/// Adds to a batch that duties are discharged.
pub(crate) fn remove(
    store: &Store,
    batch: &mut Batch,
    run: &RunId,
    discharged: &[Obligation],
) -> Result<(), StoreError> {
    for obligation in discharged {
        let key = key(run, obligation);
        if rows::get::<Duty>(store, &key)?.is_some() {
            batch.delete(Table::Obligations, &key);
        }
    }
    Ok(())
}

/// The duties of a run, or of all, that stand, in the order in which they were taken on.
pub(crate) fn standing(store: &Store, run: Option<&RunId>) -> Result<Vec<Duty>, StoreError> {
    let prefix = run.map(|run| format!("{run}/")).unwrap_or_default();
    let mut duties: Vec<Duty> = rows::scan(store, &prefix)?;
    duties.sort_by_key(|duty| duty.taken);
    Ok(duties)
}

/// Undoes what a run has left on this host, and records that it did. What cannot be undone stays a duty, and is told.
pub(crate) fn discharge(engine: &Engine, run: &RunId) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    for duty in standing(&engine.store, Some(run))?.iter().rev() {
        match undo(engine, duty) {
            Ok(Some(text)) => told.push(text),
            Ok(None) => {}
            Err(failure) => told.push(format!("could not be undone: {failure}")),
        }
    }
    Ok(told)
}

/// Undoes what a duty is about, and records that it did; gives what there was to undo. May block.
pub(crate) fn undo(engine: &Engine, duty: &Duty) -> Result<Option<String>, Failure> {
    if let Obligation::RemoveCarried { via, transport, name } = &duty.obligation {
        // Before anything is held: a server may take its time.
        transfer::discard(via, transport, name)?;
    }
    let _shared = engine.changing.blocking_read();
    let mut transaction = Transaction::new(engine)?;
    let told = match &duty.obligation {
        Obligation::Thaw { filesystem } => {
            let thawed = engine.windows.thaw(filesystem)?;
            thawed.then(|| format!("{} was frozen, and is thawed", filesystem.display()))
        }
        Obligation::Unmount { id } => {
            let holds = |lock: &resplit_operations::record::Lock| lock.run.as_ref() == Some(&duty.run);
            let held = transaction.catalog.iter().any(|r| r.id == *id && r.lock.as_ref().is_some_and(holds));
            if held {
                transaction.change(engine, &[CatalogChange::Unlock { id: *id }]);
            }
            held.then(|| format!("backup {id} was mounted, and is unlocked"))
        }
        Obligation::CloseImages { at } => {
            let closed = mounts::close(at)?;
            (closed > 0).then(|| format!("{closed} images were mounted in {}, and are not", at.display()))
        }
        Obligation::RemoveStaging { path } => {
            let removed = match path.symlink_metadata() {
                Ok(found) if found.is_dir() => fs::remove_dir_all(path),
                Ok(_) => fs::remove_file(path),
                Err(_) => Ok(()),
            };
            removed.map_err(|error| Failure::io("remove", path, &error))?;
            None
        }
        Obligation::RemoveCarried { .. } => None,
    };
    transaction.discharge(engine, &duty.run, std::slice::from_ref(&duty.obligation))?;
    transaction.commit_blocking(engine)?;
    Ok(told)
}

#[cfg(test)]
mod tests;
