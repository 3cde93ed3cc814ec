//! `resplit status`: for each operation its last good backup, where it is, what is going on, and when it runs next.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use jiff::Timestamp;
use resplit_engine::protocol::{RunStatus, RunSummary, RunsQuery};
use resplit_operations::{
    ids::{BackupId, HostId, OperationId, RunId},
    operation::Schedule,
    plan::Purpose,
    record::{Medium, Record, TapeState},
};
use serde::Serialize;

use super::catalog::catalogs;
use crate::{
    exit::{Exit, Stop},
    output, render,
    session::{self, Engines, Session},
};

/// How many of the newest runs are looked at for the last one of each operation.
const NEWEST_RUNS: usize = 1_000;

/// Show each operation's last good backup, and what it is doing
///
/// Backups are good as long as their images are there: on disk, on tape, or both. Operations whose file is gone are shown
/// as long as they have backups.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit status\n  resplit status documents --json")]
pub(crate) struct Arguments {
    /// Only these operations
    #[arg(value_name = "OPERATION")]
    operations: Vec<OperationId>,
}

/// How an operation stands.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// It.
    pub(crate) operation: OperationId,
    /// Whether it has a file without errors.
    pub(crate) declared: bool,
    /// Its newest backup whose data is still there.
    pub(crate) last_backup: Option<LastBackup>,
    /// Its last backup run, if that made no backup: failed, refused or cancelled.
    pub(crate) last_failure: Option<RunSummary>,
    /// Its runs that are not over, or parked.
    pub(crate) open_runs: Vec<RunSummary>,
    /// Those of them that were interrupted and are held: their engine was started with `--hold`.
    pub(crate) held: Vec<RunId>,
    /// Its backups that are locked.
    pub(crate) locked: Vec<RecordName>,
    /// Its backups that are wanted on tape and are not there yet: their pairs are interlocked.
    pub(crate) wanted_on_tape: Vec<RecordName>,
    /// What its file says of when it runs by itself. Nothing fires: there is no scheduler.
    pub(crate) schedule: Option<Schedule>,
}

/// The newest backup whose data is still there.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LastBackup {
    /// The host that made it, and the ID it gave.
    pub(crate) original: RecordName,
    /// When it began.
    pub(crate) started: Timestamp,
    /// Whether it is on disk.
    pub(crate) disk: bool,
    /// The cartridges that it is on.
    pub(crate) tapes: BTreeSet<String>,
}

/// A record of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct RecordName {
    /// The host.
    pub(crate) host: HostId,
    /// The ID there.
    pub(crate) id: BackupId,
}

/// Shows the status of all operations.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.place()?;
    for id in &arguments.operations {
        if !place.definitions.broken.contains_key(id) {
            let _ = session.operation(&place, id)?;
        }
    }
    let engines = session.listed(&place).await?;
    session::tell_read_only(&engines, session).await?;
    let catalogs = catalogs(&engines).await?;
    let runs = runs(&engines).await?;
    let held = held(&engines).await?;
    let declared = place.definitions.operations.iter();
    let schedules: BTreeMap<&OperationId, Option<&Schedule>> =
        declared.map(|(id, operation)| (id, operation.schedule.as_ref())).collect();
    let broken: BTreeSet<&OperationId> = place.definitions.broken.keys().collect();
    let mut rows = statuses(&schedules, &broken, &catalogs, &runs);
    for row in &mut rows {
        row.held = row.open_runs.iter().map(|run| run.run.clone()).filter(|run| held.contains(run)).collect();
    }
    if !arguments.operations.is_empty() {
        rows.retain(|row| arguments.operations.contains(&row.operation));
    }
    if session.global.json {
        output::print_json(&rows)?;
        return Ok(Exit::Done);
    }
    output::print(&render::status::listing(&rows, &session.view))?;
    for (id, file) in &place.definitions.broken {
        session
            .view
            .warn(&format!("'{id}' has errors in {}: `resplit check {id}` shows them", file.display()));
    }
    if rows.iter().any(|row| row.schedule.is_some()) {
        session.view.warn("schedules do not fire: they need `resplit serve`, which is not built");
    }
    Ok(Exit::Done)
}

/// The newest runs, and all that are open, each once.
async fn runs(engines: &Engines) -> Result<Vec<RunSummary>, Stop> {
    let mut runs = BTreeMap::new();
    for (_, client) in engines {
        for open in [false, true] {
            let query = RunsQuery { limit: Some(NEWEST_RUNS), open, ..RunsQuery::default() };
            let found = client.runs(&query).await.map_err(session::stop)?;
            runs.extend(found.into_iter().map(|run| (run.run.clone(), run)));
        }
    }
    Ok(runs.into_values().collect())
}

/// The runs that engines hold.
async fn held(engines: &Engines) -> Result<BTreeSet<RunId>, Stop> {
    let mut held = BTreeSet::new();
    for (_, client) in engines {
        held.extend(client.info().await.map_err(session::stop)?.held);
    }
    Ok(held)
}

/// Whether a run is not over, or waits for an operator.
const fn is_open(run: &RunSummary) -> bool {
    !run.status.is_over() || matches!(run.status, RunStatus::Parked { .. })
}

/// The last backup run of an operation, if it is over and made no backup.
fn last_failure(runs: &[RunSummary], operation: &OperationId) -> Option<RunSummary> {
    let backups = runs.iter().filter(|run| run.operation == *operation && run.purpose == Purpose::Backup);
    let last = backups.max_by_key(|run| run.accepted)?;
    let (failed, open) = (!matches!(last.status, RunStatus::Done), is_open(last));
    (failed && !open).then(|| last.clone())
}

/// How every operation stands that is declared or has backups.
fn statuses(
    schedules: &BTreeMap<&OperationId, Option<&Schedule>>,
    broken: &BTreeSet<&OperationId>,
    catalogs: &[(HostId, Vec<Record>)],
    runs: &[RunSummary],
) -> Vec<Status> {
    let records =
        || catalogs.iter().flat_map(|(host, records)| records.iter().map(move |record| (host, record)));
    let in_catalogs = records().map(|(_, record)| &record.origin.operation);
    let at_work = runs.iter().filter(|run| is_open(run)).map(|run| &run.operation);
    let all: BTreeSet<&OperationId> =
        schedules.keys().chain(broken).copied().chain(in_catalogs).chain(at_work).collect();
    let named = |wanted: &OperationId, which: &dyn Fn(&Record) -> bool| -> Vec<RecordName> {
        let mine = records().filter(|(_, record)| record.origin.operation == *wanted && which(record));
        mine.map(|(host, record)| RecordName { host: host.clone(), id: record.id }).collect()
    };
    let status = |operation: &OperationId| Status {
        operation: operation.clone(),
        declared: schedules.contains_key(operation),
        last_backup: last_backup(
            records().map(|(_, record)| record).filter(|r| r.origin.operation == *operation),
        ),
        last_failure: last_failure(runs, operation),
        held: Vec::new(),
        open_runs: runs.iter().filter(|run| run.operation == *operation && is_open(run)).cloned().collect(),
        locked: named(operation, &|record| record.lock.is_some()),
        wanted_on_tape: named(operation, &|record| record.is_current() && record.tape == TapeState::Wanted),
        schedule: schedules.get(operation).copied().flatten().cloned(),
    };
    all.into_iter().map(status).collect()
}

/// The newest of these backups whose data is still there, and all the places it is in.
fn last_backup<'r>(records: impl Iterator<Item = &'r Record>) -> Option<LastBackup> {
    let mut newest: Option<LastBackup> = None;
    for record in records.filter(|record| record.is_current()) {
        let origin = &record.origin;
        let original = RecordName { host: origin.source_host.clone(), id: origin.original_id };
        if newest.as_ref().is_none_or(|last| (last.started, &last.original) < (origin.started, &original)) {
            newest = Some(LastBackup {
                original: original.clone(),
                started: origin.started,
                disk: false,
                tapes: BTreeSet::new(),
            });
        }
        if let Some(last) = newest.as_mut().filter(|last| last.original == original) {
            match &record.medium {
                Medium::Disk => last.disk = true,
                Medium::Tape(place) => {
                    let _ = last.tapes.insert(place.barcode.to_string());
                }
            }
        }
    }
    newest
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
