//! Undoes what was left behind by runs that are over.

use std::{fs, io, path::Path, sync::Arc};

use resplit_operations::{
    ids::{BackupId, RunId},
    record::CatalogChange,
};
use resplit_steps::{drivers::mounts, failure::Failure};

use super::{Undo, look};
use crate::{
    engine::Engine,
    failures::defect,
    obligations,
    protocol::{ReleaseRequest, Released},
    run::{claim::Claim, finish, load},
    transaction::Transaction,
};

/// Looks anew, and undoes what was asked for and may still be undone. What could not be undone stands, and says why.
pub(crate) async fn release(
    engine: &Arc<Engine>,
    request: &ReleaseRequest,
) -> Result<Vec<Released>, Failure> {
    let mut released = Vec::new();
    for (leftover, undo) in look(engine, &request.of).await? {
        if !leftover.releasable || !request.ids.contains(&leftover.id) {
            continue;
        }
        let run = leftover.run.clone();
        let undone = if matches!(undo, Undo::Tell) {
            tell(engine, run.as_ref()).await
        } else {
            let engine = Arc::clone(engine);
            let call = tokio::task::spawn_blocking(move || undo_here(&engine, run.as_ref(), &undo));
            call.await.unwrap_or_else(|error| Err(defect(&error)))
        };
        if undone.is_ok() {
            tracing::info!("released: {}", leftover.what);
        }
        released.push(Released { leftover, failure: undone.err() });
    }
    engine.note_quiet();
    Ok(released)
}

/// Undoes one thing. May block.
fn undo_here(engine: &Arc<Engine>, run: Option<&RunId>, undo: &Undo) -> Result<(), Failure> {
    let at_work = |run: &RunId| {
        Failure::refused(format!("run {run} is at work again")).with_help(format!("resplit logs -f {run}"))
    };
    // It may have been taken up again since it was looked at; and until this is done it is not.
    let _claim = match run {
        Some(run) => Some(Claim::of(engine, run).ok_or_else(|| at_work(run))?),
        None => None,
    };
    match (undo, run) {
        (Undo::Duty(duty), _) => obligations::undo(engine, duty).map(drop),
        (Undo::Unlock(id), Some(run)) => unlock(engine, *id, run),
        (Undo::Lease, Some(run)) => {
            engine.leases.release(&engine.store, run).map(drop).map_err(Failure::from)
        }
        (Undo::RemoveFile(path), _) => removed(path, fs::remove_file(path)),
        (Undo::RemoveDirectory(path), _) => removed(path, fs::remove_dir_all(path)),
        (Undo::CloseImages(at), _) => mounts::close(at).map(drop),
        (Undo::Thaw(filesystem), _) => engine.windows.thaw(filesystem).map(drop),
        (Undo::EndCommand(running), _) => running.end(),
        (Undo::EndWatchdog(watchdog), _) => watchdog.end(),
        // Never releasable, and told elsewhere.
        (Undo::Unlock(_) | Undo::Lease | Undo::Tell | Undo::By { .. }, _) => Ok(()),
    }
}

fn removed(path: &Path, result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("remove", path, &error)),
        _ => Ok(()),
    }
}

fn unlock(engine: &Engine, id: BackupId, run: &RunId) -> Result<(), Failure> {
    let _alone = engine.changing.blocking_write();
    let mut transaction = Transaction::new(engine)?;
    let held = |record: &resplit_operations::record::Record| {
        record.id == id && record.lock.as_ref().is_some_and(|lock| lock.run.as_ref() == Some(run))
    };
    if transaction.catalog.iter().any(held) {
        transaction.change(engine, &[CatalogChange::Unlock { id }]);
        transaction.commit_blocking(engine)?;
    }
    Ok(())
}

/// Tells the hosts that have not been told that a run is over.
async fn tell(engine: &Arc<Engine>, run: Option<&RunId>) -> Result<(), Failure> {
    let Some(run) = run else { return Ok(()) };
    finish::release_late(engine).await;
    match load::row(&engine.store, run)?.filter(|row| !row.unreleased.is_empty()) {
        None => Ok(()),
        Some(row) => {
            let host = &row.unreleased[0];
            Err(Failure::temporary(format!("host '{host}' cannot be told yet that run {run} is over"))
                .with_help(format!("resplit --host {host} status")))
        }
    }
}
