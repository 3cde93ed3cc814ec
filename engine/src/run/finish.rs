//! The end of a run: what came of it, in words; what it left is undone; what it held is released.

use std::sync::{Arc, atomic::Ordering};

use resplit_operations::{
    action::Action,
    ids::{HostId, RunId},
    pair::foresee,
    plan::{Purpose, Resource},
    record::{CatalogChange, Medium, Origin, Record, TapeState},
    site::Site,
};
use resplit_steps::failure::{Failure, FailureClass};

use super::{
    journal::{
        runs::{self, RunEvent},
        steps::StepEvent,
    },
    load,
    state::RunState,
};
use crate::{
    client::Client,
    engine::Engine,
    protocol::{Event, RunStatus, What},
    rows::{RunRow, StepState},
    store::Batch,
};

/// What came of a run whose steps have gone as far as they go.
pub(crate) fn status(state: &RunState, cancelled: bool) -> RunStatus {
    let mut questions = std::collections::BTreeMap::new();
    let mut failed = None;
    for node in state.order() {
        let step = state.step(*node);
        match &state.row_of(*node).state {
            StepState::Parked { question, .. } => drop(questions.insert(step.id.clone(), question.clone())),
            // What is measured at the end of a window says more than what was stopped when it ended.
            StepState::Failed { failure, .. } if failed.is_none() || failure.is_over_budget() => {
                let message = format!("{} on {}: {}", step.id, step.host, failure.message);
                failed = Some(Failure { message, ..failure.clone() });
            }
            _ => {}
        }
    }
    match failed {
        _ if !questions.is_empty() => RunStatus::Parked { questions },
        Some(failure) if failure.class != FailureClass::Cancelled => RunStatus::Failed { failure },
        _ if cancelled => RunStatus::Cancelled,
        Some(_) => RunStatus::Cancelled,
        None => RunStatus::Done,
    }
}

/// Ends a run: undoes what it left, releases what it held, and records what came of it. Gives the event that says so.
pub(crate) async fn end(engine: &Arc<Engine>, mut state: RunState, status: RunStatus) -> Event {
    let parked = matches!(status, RunStatus::Parked { .. });
    let mut unreleased = Vec::new();
    if !parked {
        let told = {
            let (engine, run) = (Arc::clone(engine), state.run().clone());
            tokio::task::spawn_blocking(move || engine.end_run_here(&run)).await
        };
        match told {
            Ok(Ok(told)) => told.into_iter().for_each(|text| note(engine, &state, text)),
            Ok(Err(failure)) => note(engine, &state, failure.message),
            Err(error) => note(engine, &state, error.to_string()),
        }
        let to_tell = others(&state, &engine.host);
        unreleased = release_at(engine, state.run(), to_tell, &state.plan.site).await;
    }
    let records = engine.catalog().unwrap_or_default();
    let result = result(&state, &status, &records);
    let ended = RunEvent::Ended { at: engine.clock.now(), status, result, unreleased };
    if let Err(error) = write_end(engine, &mut state, &ended).await {
        tracing::error!(run = %state.run(), "cannot record the end of the run: {error}");
    }
    if !parked {
        match engine.leases.release(&engine.store, state.run()) {
            Ok(resources) => export_catalogs(engine, &resources),
            Err(error) => tracing::error!(run = %state.run(), "cannot release its leases: {error}"),
        }
        if let Err(failure) = engine.note_end() {
            tracing::warn!("cannot forget old runs: {failure}");
        }
    }
    let summary = Box::new(state.row.summary());
    let (time, run) = (engine.clock.now(), state.run().clone());
    Event { time, run, step: None, host: None, what: What::Ended { summary } }
}

/// Parks every step that was begun and cannot be asked about now: answered with redo, it is asked about again.
pub(crate) async fn park(engine: &Arc<Engine>, state: &mut RunState, failure: &Failure) -> RunStatus {
    let question =
        format!("it was begun, and what became of it cannot be asked ({failure}): answer redo to ask again");
    if let Err(error) = park_started(engine, state, &question).await {
        tracing::error!(run = %state.run(), "cannot record that the run is parked: {error}");
    }
    status(state, false)
}

async fn park_started(engine: &Engine, state: &mut RunState, question: &str) -> Result<(), Failure> {
    let mut batch = Batch::default();
    for node in state.order().to_vec() {
        let row = state.row_of(node);
        if !row.is_started() {
            continue;
        }
        let (attempt, at, question) = (row.attempts, engine.clock.now(), question.to_owned());
        state.apply(node, &StepEvent::Parked { attempt, at, question, unreachable: true })?;
        state.put_step(&mut batch, node)?;
    }
    let _ = engine.store.commit_async(batch).await?;
    Ok(())
}

/// Makes the end of a run durable. In memory it has ended in any case: whoever follows it hears that it is over.
async fn write_end(engine: &Engine, state: &mut RunState, ended: &RunEvent) -> Result<(), Failure> {
    if let Err(illegal) = state.apply_to_run(ended) {
        state.row.status = RunStatus::Failed { failure: illegal.clone().into() };
        return Err(illegal.into());
    }
    let mut batch = Batch::default();
    load::put_row(&mut batch, &state.row)?;
    let _ = engine.store.commit_async(batch).await?;
    Ok(())
}

fn export_catalogs(engine: &Engine, resources: &[Resource]) {
    for resource in resources {
        if let Resource::Drive(library) = resource {
            engine.export_catalog(library);
        }
    }
}

fn note(engine: &Engine, state: &RunState, text: String) {
    let what = What::Note { text };
    engine.logs.tell(Event {
        time: engine.clock.now(),
        run: state.run().clone(),
        step: None,
        host: None,
        what,
    });
}

/// The hosts other than the coordinator that a run has touched.
fn others(state: &RunState, here: &HostId) -> Vec<HostId> {
    if state.row.binding.is_none() && state.plan.resources().iter().all(|(host, _)| host == here) {
        return Vec::new();
    }
    let steps = state.plan.graph().node_weights().map(|step| step.host.clone());
    let all: std::collections::BTreeSet<_> =
        steps.chain(state.plan.resources().into_iter().map(|(host, _)| host)).collect();
    all.into_iter().filter(|host| host != here).collect()
}

/// Tells hosts that a run is over; gives those that cannot be told, which stay in its row, and are told later.
async fn release_at(engine: &Arc<Engine>, run: &RunId, hosts: Vec<HostId>, site: &Site) -> Vec<HostId> {
    let mut left = Vec::new();
    for host in hosts {
        let release = async |client: Client| client.release(run).await;
        if let Err(failure) = engine.peers.ask(site, &host, release).await {
            tracing::warn!(%run, "host {host} was not told that the run is over: {failure}");
            left.push(host);
        }
    }
    if !left.is_empty() {
        engine.unreleased.store(true, Ordering::SeqCst);
    }
    left
}

/// Tells hosts of runs that ended while they could not be reached. A run that was taken up again holds what it held.
pub(crate) async fn release_late(engine: &Arc<Engine>) {
    if !engine.unreleased.swap(false, Ordering::SeqCst) {
        return;
    }
    let is_due = |row: &RunRow| {
        row.status.is_over() && !row.unreleased.is_empty() && !engine.active().contains_key(&row.run)
    };
    let Ok(rows) = load::rows(&engine.store) else {
        return engine.unreleased.store(true, Ordering::SeqCst);
    };
    for row in rows.into_iter().filter(is_due) {
        let Ok(state) = load::state(&engine.store, row.clone()) else { continue };
        if engine.active().contains_key(&row.run) {
            continue;
        }
        let unreleased = release_at(engine, &row.run, row.unreleased, &state.plan.site).await;
        let Some(now) = load::row(&engine.store, &row.run).ok().flatten().filter(is_due) else { continue };
        let released = runs::transition(&now, &RunEvent::Released { unreleased });
        let mut batch = Batch::default();
        if let Ok(released) = released
            && load::put_row(&mut batch, &released).is_ok()
            && let Err(error) = engine.store.commit_async(batch).await
        {
            tracing::warn!(run = %row.run, "cannot record a release: {error}");
        }
    }
}

/// That a record of this catalog is on tape now: the one that the dataset was made from.
pub(crate) fn on_tape(catalog: &[Record], tape: &Record) -> Vec<CatalogChange> {
    let Medium::Tape(place) = &tape.medium else { return Vec::new() };
    let same = |record: &&Record| {
        matches!(record.medium, Medium::Disk)
            && record.origin.source_host == tape.origin.source_host
            && record.origin.original_id == tape.origin.original_id
    };
    let done = TapeState::Done { barcode: place.barcode.clone() };
    catalog
        .iter()
        .filter(same)
        .map(|record| CatalogChange::SetTape { id: record.id, tape: done.clone() })
        .collect()
}

/// What came of a run, in plain words, a line each, given the coordinator's records.
fn result(state: &RunState, status: &RunStatus, records: &[Record]) -> Vec<String> {
    if !matches!(status, RunStatus::Done) {
        return Vec::new();
    }
    let (facts, operation) = (&state.facts, &state.plan.operation);
    match state.plan.purpose {
        Purpose::Backup => backup(state, records),
        Purpose::RestoreFromDisk | Purpose::RestoreFromTape => facts
            .restored
            .iter()
            .map(|(volume, report)| {
                format!(
                    "{operation}: volume {volume} is as it was: {} changed, {} removed, of {} entries",
                    report.changed, report.removed, report.entries
                )
            })
            .collect(),
        Purpose::PairCreate
        | Purpose::PairResync
        | Purpose::PairSplit
        | Purpose::PairRestore
        | Purpose::PairDelete => pairs(state),
        Purpose::FilesFromDisk | Purpose::FilesFromTape => state
            .order()
            .iter()
            .filter_map(|node| match &state.row_of(*node).state {
                StepState::Done { summary, .. } if state.step(*node).action.kind().ends_with("restore") => {
                    Some(format!("{operation}: {summary}"))
                }
                _ => None,
            })
            .collect(),
    }
}

/// What a verb did to each pair.
fn pairs(state: &RunState) -> Vec<String> {
    let done = state.order().iter().filter_map(|node| {
        let action = &state.step(*node).action;
        let verb = foresee::verb(state.plan.purpose, action)?;
        let bound = state.row.binding.as_ref()?.pairs.get(action.volume()?)?;
        let StepState::Done { summary, .. } = &state.row_of(*node).state else { return None };
        Some(format!("{}: {}: {summary}", bound.pair.copy_group, verb.word()))
    });
    done.collect()
}

fn backup(state: &RunState, records: &[Record]) -> Vec<String> {
    let facts = &state.facts;
    // Of several targets each has a record of its own.
    let recorded = state.order().iter().filter(|node| matches!(state.step(**node).action, Action::Record(_)));
    let made: Vec<_> =
        recorded.filter_map(|node| state.row_of(*node).facts()?.record.as_ref().map(|r| &r.origin)).collect();
    if made.is_empty() {
        return vec![format!("{}: done", state.plan.operation)];
    }
    let mut lines: Vec<_> = made.into_iter().flat_map(|origin| recorded_as(state, records, origin)).collect();
    if let Some(Record { medium: Medium::Tape(place), id, .. }) = &facts.on_tape {
        let until =
            place.expires.map_or_else(|| "for ever".to_owned(), |at| at.strftime("until %F").to_string());
        lines.push(format!(
            "  on tape: {} dataset {}, {}, as backup {id}, kept {until}",
            place.barcode,
            place.dataset,
            size(place.bytes)
        ));
    }
    lines
}

/// A backup, and where its images are.
fn recorded_as(state: &RunState, records: &[Record], origin: &Origin) -> Vec<String> {
    let (entries, bytes) =
        origin.images.iter().fold((0, 0), |(e, b), image| (e + image.report.entries, b + image.report.bytes));
    let mut lines = vec![format!(
        "backup {} of {}: {entries} entries, {}, as of {}",
        origin.original_id,
        origin.operation,
        size(bytes),
        origin.started.strftime("%F %H:%M:%S UTC")
    )];
    let kept = records
        .iter()
        .any(|r| matches!(r.medium, Medium::Disk) && r.is_current() && r.origin.digest() == origin.digest());
    for image in &origin.images {
        let host = state.plan.site.volumes.get(&image.volume).and_then(|volume| {
            volume
                .pairs
                .iter()
                .find(|pair| pair.copy_group == image.copy_group)
                .map(|pair| &pair.secondary.host)
        });
        let at = host.map(|host| format!(" at {host}")).unwrap_or_default();
        // Where pairs rest paired, the image is gone again once it is on tape.
        if kept {
            lines.push(format!("  on disk: {}{at}, generation {}", image.copy_group, image.generation));
        }
        if image.report.fuzzy_count > 0 {
            let names = image.report.fuzzy.join(", ");
            lines.push(format!("  changed while it was copied: {} files: {names}", image.report.fuzzy_count));
        }
    }
    lines
}

/// A size for people.
fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes, "bytes");
    for (name, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 10 << shift {
            (value, unit) = (bytes >> shift, name);
            break;
        }
    }
    format!("{value} {unit}")
}
