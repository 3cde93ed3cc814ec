//! What the store knows of: duties, locks, leases, runs that are not over, hosts that were not told of an end, backups
//! that wait for a tape.

use resplit_operations::record::{Record, TapeState};
use resplit_steps::{contract::Obligation, failure::Failure};

use super::{Found, Undo};
use crate::{
    engine::Engine,
    obligations::{self, Duty},
    protocol::{Lease, LeftoverKind, RunStatus},
    rows::RunRow,
    run::{load, perform},
};

/// All of it.
pub(super) fn known(engine: &Engine) -> Result<Vec<Found>, Failure> {
    let duties = obligations::standing(&engine.store, None)?;
    let records = engine.catalog()?;
    let mut found: Vec<Found> = duties.iter().map(|duty| of_duty(duty, &records)).collect();
    found.extend(records.iter().filter_map(|record| lock(record, &duties)));
    found.extend(records.iter().filter_map(|record| interlock(engine, record)));
    found.extend(engine.leases.all().iter().map(lease));
    for row in load::rows(&engine.store)? {
        found.extend(open(engine, &row));
        found.extend(untold(&row));
    }
    Ok(found)
}

fn of_duty(duty: &Duty, records: &[Record]) -> Found {
    let (kind, key, what, since) = match &duty.obligation {
        Obligation::Thaw { filesystem } => {
            let path = filesystem.display();
            let what = format!("the duty to thaw {path}");
            (LeftoverKind::Freeze, path.to_string(), what, None)
        }
        Obligation::Unmount { id } => {
            let lock = records.iter().find(|record| record.id == *id).and_then(|record| record.lock.as_ref());
            let since = lock.map(|lock| lock.since);
            (LeftoverKind::Mount, id.to_string(), format!("backup {id} is mounted, and so locked"), since)
        }
        Obligation::CloseImages { at } => {
            let what = format!("the duty to unmount the images in {}", at.display());
            (LeftoverKind::Mount, at.display().to_string(), what, None)
        }
        Obligation::RemoveStaging { path } => {
            let there = path.symlink_metadata().is_ok();
            let gone = if there { "" } else { ", which is not there (any more)" };
            let what = format!("staging: {}{gone}", path.display());
            (LeftoverKind::Staging, path.display().to_string(), what, None)
        }
        Obligation::RemoveCarried { via, transport, name } => {
            let what = format!("staging: {name} on transport '{via}' ({})", transport.url);
            (LeftoverKind::Staging, format!("{via}:{name}"), what, None)
        }
    };
    let (since, run) = (duty.since.or(since), Some(duty.run.clone()));
    Found { kind, key, what, since, run, undo: Undo::Duty(duty.clone()) }
}

/// A lock that a run holds without a duty to release it. An operator's own is no leftover.
fn lock(record: &Record, duties: &[Duty]) -> Option<Found> {
    let lock = record.lock.as_ref()?;
    let run = lock.run.clone()?;
    let unmount = Obligation::Unmount { id: record.id };
    if duties.iter().any(|duty| duty.run == run && duty.obligation == unmount) {
        return None;
    }
    let id = record.id;
    Some(Found {
        kind: LeftoverKind::Mount,
        key: id.to_string(),
        what: format!("backup {id} is locked"),
        since: Some(lock.since),
        run: Some(run),
        undo: Undo::Unlock(id),
    })
}

fn interlock(engine: &Engine, record: &Record) -> Option<Found> {
    let id = record.id;
    (record.is_current() && record.tape == TapeState::Wanted).then(|| Found {
        kind: LeftoverKind::Interlock,
        key: id.to_string(),
        what: format!("backup {id} is wanted on tape and is not there: its pairs are interlocked"),
        since: Some(record.entered),
        run: Some(record.origin.run.clone()),
        undo: Undo::By { resume: true, next: format!("resplit catalog waive {}:{id}", engine.host) },
    })
}

fn lease(lease: &Lease) -> Found {
    let name = perform::name(&lease.resource);
    let dead = if lease.far || lease.owner.is_alive() { "" } else { ", whose engine is dead" };
    Found {
        kind: LeftoverKind::Lease,
        what: format!("the lease of {name} by the engine of '{}'{dead}", lease.coordinator),
        key: name,
        since: Some(lease.since),
        run: Some(lease.run.clone()),
        undo: Undo::Lease,
    }
}

/// A run that is parked, or was interrupted and is held.
fn open(engine: &Engine, row: &RunRow) -> Option<Found> {
    let (what, since) = match &row.status {
        RunStatus::Parked { questions } => {
            let all: Vec<_> = questions.iter().map(|(step, text)| format!("{step}: {text}")).collect();
            (format!("run {} is parked: {}", row.run, all.join("; ")), row.ended)
        }
        status if !status.is_over() && !engine.active().contains_key(&row.run) => {
            (format!("run {} was interrupted and is held", row.run), Some(row.accepted))
        }
        _ => return None,
    };
    Some(Found {
        kind: LeftoverKind::Run,
        key: row.run.to_string(),
        what,
        since,
        run: Some(row.run.clone()),
        undo: Undo::by(format!("resplit resume {}", row.run)),
    })
}

fn untold(row: &RunRow) -> Option<Found> {
    if !row.status.is_over() || row.unreleased.is_empty() {
        return None;
    }
    let hosts: Vec<&str> = row.unreleased.iter().map(resplit_operations::ids::HostId::as_str).collect();
    Some(Found {
        kind: LeftoverKind::Untold,
        key: hosts.join(","),
        what: format!("host {} was not told that run {} is over", hosts.join(", "), row.run),
        since: row.ended,
        run: Some(row.run.clone()),
        undo: Undo::Tell,
    })
}
