//! Leases: the right of a run to touch what belongs to this host. All that a request names are given at once, or none. A
//! dead owner's are taken over at once, a live one's never, nor that of one on another machine: what cannot be seen from
//! here is not dead.

use std::{
    collections::HashSet,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use resplit_operations::{ids::RunId, plan::Resource};
use resplit_steps::drivers::identity::Owner;
use tokio::sync::watch;

use crate::{
    background::any_readable,
    protocol::{Lease, LeaseReply, LeaseRequest},
    rows::{self, NextNumber},
    store::{Batch, Store, StoreError, Table},
};

/// The row that keeps the next fencing token.
pub(crate) const NEXT_TOKEN: &str = "token";

/// The leases that this host has given.
pub(crate) struct Leases {
    given: Mutex<Vec<Lease>>,
    /// Counts up from a number that belongs to this engine process and no other: what waits with the count of an engine
    /// that is gone looks again at once. No clock is asked, so setting one deceives nobody.
    releases: watch::Sender<u64>,
}

/// Adds to a batch that every token below `next` is used up.
pub(crate) fn put_next_token(batch: &mut Batch, next: u64) -> Result<(), StoreError> {
    rows::put(batch, NEXT_TOKEN, &NextNumber(next))
}

/// The number from which an engine process counts.
fn first_count(owner: &Owner) -> u64 {
    let name = format!("{} {} {}", owner.boot_id, owner.pid, owner.start_time);
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first) >> 1
}

fn key(lease: &Lease) -> String {
    let resource = match &lease.resource {
        Resource::Volume(volume) => format!("volume/{volume}"),
        Resource::Drive(library) => format!("drive/{library}"),
    };
    format!("{resource}/{}", lease.run)
}

/// The fencing token that is given next.
pub(crate) fn next_token(store: &Store) -> Result<u64, StoreError> {
    Ok(rows::get::<NextNumber>(store, NEXT_TOKEN)?.map_or(1, |next| next.0))
}

/// Whether a lease keeps what it is on from another run.
fn stands(lease: &Lease, request: &LeaseRequest, is_open: &impl Fn(&Lease) -> bool) -> bool {
    lease.run != request.run && (may_live(lease) || is_open(lease))
}

/// Whether the owner of a lease may be alive.
fn may_live(lease: &Lease) -> bool {
    lease.far || lease.owner.is_alive()
}

impl Leases {
    /// Those in the store, for the engine process that has opened it.
    pub(crate) fn new(store: &Store, engine: &Owner) -> Result<Self, StoreError> {
        let given = rows::scan(store, "")?;
        Ok(Self { given: Mutex::new(given), releases: watch::Sender::new(first_count(engine)) })
    }

    fn given(&self) -> std::sync::MutexGuard<'_, Vec<Lease>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives all that is asked for, or says who holds it. `is_open` says of a run that this host coordinates whether it
    /// is still to be finished: then its leases stand although the engine that took them is dead.
    pub(crate) fn request(
        &self,
        store: &Store,
        request: &LeaseRequest,
        now: Timestamp,
        is_open: impl Fn(&Lease) -> bool,
    ) -> Result<LeaseReply, StoreError> {
        let mut given = self.given();
        let stands = |lease: &Lease| stands(lease, request, &is_open);
        if let Some(held) = self.held(&given, request, &stands) {
            return Ok(held);
        }
        let token = next_token(store)?;
        let mut batch = Batch::default();
        put_next_token(&mut batch, token.saturating_add(1))?;
        let asked = |lease: &Lease| request.resources.iter().any(|(resource, _)| *resource == lease.resource);
        let (gone, mut kept): (Vec<_>, Vec<_>) = given
            .iter()
            .cloned()
            .partition(|lease| lease.run == request.run || (asked(lease) && !stands(lease)));
        for lease in &gone {
            batch.delete(Table::Leases, &key(lease));
        }
        for (resource, _) in &request.resources {
            let lease = Lease {
                resource: resource.clone(),
                run: request.run.clone(),
                coordinator: request.coordinator.clone(),
                owner: request.owner.clone(),
                far: request.far.is_some(),
                token,
                since: now,
            };
            rows::put(&mut batch, &key(&lease), &lease)?;
            kept.push(lease);
        }
        let _ = store.commit(batch)?;
        *given = kept;
        Ok(LeaseReply::Granted { token })
    }

    /// Who holds what is asked for, if somebody does. Gives nothing.
    pub(crate) fn look(
        &self,
        request: &LeaseRequest,
        is_open: impl Fn(&Lease) -> bool,
    ) -> Option<LeaseReply> {
        self.held(&self.given(), request, &|lease| stands(lease, request, &is_open))
    }

    fn held(
        &self,
        given: &[Lease],
        request: &LeaseRequest,
        stands: &impl Fn(&Lease) -> bool,
    ) -> Option<LeaseReply> {
        let mut held = Vec::new();
        for (resource, at_once) in &request.resources {
            let holders: Vec<_> =
                given.iter().filter(|l| l.resource == *resource && stands(l)).cloned().collect();
            if holders.len() >= usize::try_from((*at_once).max(1)).unwrap_or(usize::MAX) {
                held.extend(holders);
            }
        }
        (!held.is_empty()).then(|| LeaseReply::Held { by: held, releases: *self.releases.borrow() })
    }

    /// Sees to it that the next token is above `seen`: a pair may remember more than a store that was lost.
    pub(crate) fn outrun(&self, store: &Store, seen: u64) -> Result<(), StoreError> {
        let _held = self.given();
        if next_token(store)? <= seen {
            let mut batch = Batch::default();
            put_next_token(&mut batch, seen.saturating_add(1))?;
            let _ = store.commit(batch)?;
        }
        Ok(())
    }

    /// Releases all leases of a run; gives what they were for.
    pub(crate) fn release(&self, store: &Store, run: &RunId) -> Result<Vec<Resource>, StoreError> {
        let mut given = self.given();
        let mut batch = Batch::default();
        let gone: Vec<Lease> = given.iter().filter(|lease| lease.run == *run).cloned().collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        for lease in &gone {
            batch.delete(Table::Leases, &key(lease));
        }
        let _ = store.commit(batch)?;
        given.retain(|lease| lease.run != *run);
        self.releases.send_modify(|count| *count += 1);
        Ok(gone.into_iter().map(|lease| lease.resource).collect())
    }

    /// Waits until the count of releases is another than `seen`. The end of an owner is one, since its leases may be taken over;
    /// those of a run that `is_open` stand.
    pub(crate) async fn wait(
        &self,
        store: &Store,
        seen: u64,
        is_open: impl Fn(&Lease) -> bool,
    ) -> Result<(), StoreError> {
        let mut releases = self.releases.subscribe();
        loop {
            // Watched before it is looked at, so that no end is missed.
            let owners = self.descriptors();
            self.release_dead(store, &is_open)?;
            if *releases.borrow_and_update() != seen {
                return Ok(());
            }
            let is_watched = !owners.is_empty();
            tokio::select! {
                // The sender lives as long as this value does.
                _ = releases.changed() => {}
                watched = any_readable(owners), if is_watched => if let Err(error) = watched {
                    tracing::warn!("cannot watch the owners of leases: {error}");
                    let _ = releases.changed().await;
                }
            }
        }
    }

    /// Has whoever waits look again.
    pub(crate) fn nudge(&self) {
        self.releases.send_modify(|count| *count += 1);
    }

    /// What ends when the first of the living owners does.
    fn descriptors(&self) -> Vec<Arc<OwnedFd>> {
        let here = |lease: &&Lease| !lease.far;
        let owners: HashSet<Owner> =
            self.given().iter().filter(here).map(|lease| lease.owner.clone()).collect();
        owners.iter().filter_map(|owner| owner.descriptor().ok().flatten()).map(Arc::new).collect()
    }

    /// Releases what owners that are dead have left.
    fn release_dead(&self, store: &Store, is_open: &impl Fn(&Lease) -> bool) -> Result<(), StoreError> {
        let mut given = self.given();
        let (gone, kept): (Vec<_>, Vec<_>) =
            given.iter().cloned().partition(|lease| !may_live(lease) && !is_open(lease));
        if gone.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for lease in &gone {
            batch.delete(Table::Leases, &key(lease));
        }
        let _ = store.commit(batch)?;
        *given = kept;
        drop(given);
        self.nudge();
        Ok(())
    }

    /// All leases that stand.
    pub(crate) fn all(&self) -> Vec<Lease> {
        self.given().clone()
    }

    /// Whether an engine on this machine, other than this one and alive, holds a lease here. One on another machine keeps
    /// no engine: whatever it asks next starts one.
    pub(crate) fn any_alive(&self, this: &Owner) -> bool {
        self.given().iter().any(|lease| !lease.far && lease.owner != *this && lease.owner.is_alive())
    }
}

#[cfg(test)]
mod tests;
