//! What an engine forgets: runs that are long over, and steps that it ran for runs which their coordinator knows to be
//! over. Neither costs a run more than its share, however long the history is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use resplit_operations::{
    ids::{HostId, OperationId, RunId},
    site::{Host, Site},
};
use resplit_steps::failure::Failure;

use crate::{
    client::{Client, ClientError},
    engine::Engine,
    protocol::{LeaseRequest, RefusalKind, RunStatus, StepRequest},
    rows::{self, HostPlace, RunRow, ServedRow},
    run::load,
    store::{Batch, StoreError, Table},
};

/// The most runs that are kept of one operation, but for those that have ended since it was last looked.
const MOST_RUNS: usize = 200;
/// How long a run is kept once it is over.
const LONGEST: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The newest runs of an operation that are kept however old they are.
const FEWEST_RUNS: usize = 5;
/// All runs are looked at when an engine starts, and when so many have ended: each pays for a small part of that.
const LOOK_EVERY: u64 = 64;
/// How many runs are forgotten in one commit.
const AT_ONCE: usize = 50;
/// How long a coordinator is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

impl Engine {
    /// A run has ended: forgets those that are long over, once in a while.
    pub(crate) fn note_end(&self) -> Result<(), Failure> {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        if ended.is_multiple_of(LOOK_EVERY) { self.forget_old_runs(load::rows(&self.store)?) } else { Ok(()) }
    }

    /// Forgets those of all runs that are long over, with their logs.
    pub(crate) fn forget_old_runs(&self, rows: Vec<RunRow>) -> Result<(), Failure> {
        let mut old = old(rows, self.clock.now());
        // One may just be taken up again.
        old.retain(|run| !self.active().contains_key(run));
        for runs in old.chunks(AT_ONCE) {
            let mut batch = Batch::default();
            for run in runs {
                load::forget(&self.store, &mut batch, run)?;
            }
            let _ = self.store.commit(batch)?;
            for run in runs {
                self.logs.remove(run);
                // A run without commands has no such directory.
                let _ = fs::remove_dir_all(self.directories.commands.join(run.as_str()));
            }
        }
        Ok(())
    }
}

/// The runs that are long over.
fn old(rows: Vec<RunRow>, now: Timestamp) -> Vec<RunId> {
    let mut by_operation: BTreeMap<OperationId, Vec<RunRow>> = BTreeMap::new();
    for row in rows {
        by_operation.entry(row.operation.clone()).or_default().push(row);
    }
    let mut old = Vec::new();
    for mut rows in by_operation.into_values() {
        rows.sort_by_key(|row| std::cmp::Reverse(row.accepted));
        for (age, row) in rows.into_iter().enumerate() {
            let aged = row.ended.is_some_and(|ended| now.duration_since(ended) > LONGEST);
            let open = !row.status.is_over() || matches!(row.status, RunStatus::Parked { .. });
            if !open && row.unreleased.is_empty() && (age >= MOST_RUNS || (age >= FEWEST_RUNS && aged)) {
                old.push(row.run);
            }
        }
    }
    old
}

fn host_key(host: &HostId) -> String {
    format!("host/{host}")
}

/// Remembers how the coordinator of a step is reached, to ask it later what became of the run.
pub(crate) fn remember_coordinator(engine: &Engine, request: &StepRequest) -> Result<(), StoreError> {
    let Some(host) = request.site.hosts.get(&request.coordinator) else { return Ok(()) };
    remember(engine, &request.coordinator, host)
}

/// The same, of a lease for a run that is coordinated on another machine.
pub(crate) fn remember_far(engine: &Engine, request: &LeaseRequest) -> Result<(), StoreError> {
    request.far.as_ref().map_or(Ok(()), |host| remember(engine, &request.coordinator, host))
}

fn remember(engine: &Engine, coordinator: &HostId, host: &Host) -> Result<(), StoreError> {
    let (key, place) = (host_key(coordinator), HostPlace(host.clone()));
    if rows::get::<HostPlace>(&engine.store, &key)?.as_ref() != Some(&place) {
        let mut batch = Batch::default();
        rows::put(&mut batch, &key, &place)?;
        let _ = engine.store.commit(batch)?;
    }
    Ok(())
}

/// Forgets the steps that were run here for runs that their coordinator does not know, or knows to be over. One that
/// cannot be asked, or is not sure of what it knows, keeps them. No engine is started for this: two would take turns.
pub(crate) async fn forget_served(engine: &Arc<Engine>) -> Result<(), Failure> {
    if engine.store.damage().is_some() {
        return Ok(());
    }
    let mut by_coordinator: BTreeMap<HostId, BTreeSet<RunId>> = BTreeMap::new();
    for key in engine.store.keys(Table::Served, "")? {
        let row = rows::get::<ServedRow>(&engine.store, &key)?;
        let (Some(host), Some((run, _))) = (row.and_then(|row| row.coordinator), key.split_once('/')) else {
            continue;
        };
        let _ = by_coordinator.entry(host).or_default().insert(RunId(run.to_owned()));
    }
    for (host, runs) in by_coordinator {
        let Some(HostPlace(found)) = rows::get(&engine.store, &host_key(&host))? else { continue };
        let site = Site { hosts: [(host.clone(), found.clone())].into(), ..Site::default() };
        let Some(client) = engine.peers.listening(&host, &found, &site).await else { continue };
        let is_sure = client.verify(&host).await.is_ok_and(|info| info.read_only.is_none());
        if is_sure {
            forget_of(engine, &client, runs).await?;
        }
    }
    Ok(())
}

/// Releases what runs hold here that are coordinated on other machines, if their coordinator knows them to be over, or does
/// not know them: it could not tell, or has lost its state. One that cannot be asked keeps all. No engine is started for
/// this.
pub(crate) async fn release_far(engine: &Arc<Engine>) -> Result<(), Failure> {
    let far = engine.leases.all().into_iter().filter(|lease| lease.far);
    let runs: BTreeMap<RunId, HostId> = far.map(|lease| (lease.run, lease.coordinator)).collect();
    for (run, host) in runs {
        let Some(HostPlace(found)) = rows::get(&engine.store, &host_key(&host))? else { continue };
        let site = Site { hosts: [(host.clone(), found.clone())].into(), ..Site::default() };
        let Some(client) = engine.peers.listening(&host, &found, &site).await else { continue };
        if !client.verify(&host).await.is_ok_and(|info| info.read_only.is_none()) {
            continue;
        }
        let over = match tokio::time::timeout(PATIENCE, client.run(&run)).await {
            Ok(Ok(detail)) => {
                let status = detail.summary.status;
                status.is_over() && !matches!(status, RunStatus::Parked { .. })
            }
            Ok(Err(ClientError::Refused(refusal))) => refusal.kind == RefusalKind::NotFound,
            _ => false,
        };
        if over && !engine.serving.serves(&run) {
            let (leaving, left) = (Arc::clone(engine), run.clone());
            let undone = tokio::task::spawn_blocking(move || leaving.leave(&left)).await;
            for text in undone.unwrap_or_else(|error| Err(crate::failures::defect(&error)))? {
                tracing::info!(%run, "{text}");
            }
            tracing::info!(%run, "what it held here is released: its coordinator '{host}' knows it to be over");
        }
    }
    Ok(())
}

async fn forget_of(engine: &Arc<Engine>, client: &Client, runs: BTreeSet<RunId>) -> Result<(), Failure> {
    for run in runs {
        let Ok(asked) = tokio::time::timeout(PATIENCE, client.run(&run)).await else { return Ok(()) };
        let commands = engine.directories.commands.join(run.as_str());
        let is_unknown = match asked {
            Ok(detail) => {
                let over = detail.summary.status.is_over()
                    && !matches!(detail.summary.status, RunStatus::Parked { .. });
                // What its commands printed is kept with the run.
                if !over || commands.is_dir() {
                    continue;
                }
                false
            }
            Err(ClientError::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => true,
            Err(error) => {
                tracing::info!(%run, "its coordinator cannot be asked: {error}");
                return Ok(());
            }
        };
        if engine.serving.serves(&run) {
            continue;
        }
        let mut batch = Batch::default();
        for key in engine.store.keys(Table::Served, &format!("{run}/"))? {
            batch.delete(Table::Served, &key);
        }
        let _ = engine.store.commit_async(batch).await?;
        if is_unknown {
            // There may be none.
            let _ = fs::remove_dir_all(&commands);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
