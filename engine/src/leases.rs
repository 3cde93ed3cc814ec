//! Leases: the right of a run to touch what belongs to this host. All that a request names are given at once, or none. A
//! dead owner's are taken over at once, a live one's never.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use resplit_operations::{ids::RunId, plan::Resource};
use resplit_steps::drivers::identity::Owner;
use tokio::sync::watch;

use crate::{
    protocol::{Lease, LeaseReply, LeaseRequest},
    store::{Batch, Store, StoreError, Table},
};

/// The row that keeps the next fencing token.
const NEXT_TOKEN: &str = "token";

/// The leases that this host has given.
pub(crate) struct Leases {
    given: Mutex<Vec<Lease>>,
    /// Counts up from the moment at which this engine started: what waits for more than an engine that is gone had
    /// counted looks again at once.
    releases: watch::Sender<u64>,
}

fn key(lease: &Lease) -> String {
    let resource = match &lease.resource {
        Resource::Volume(volume) => format!("volume/{volume}"),
        Resource::Drive(library) => format!("drive/{library}"),
    };
    format!("{resource}/{}", lease.run)
}

impl Leases {
    pub(crate) fn new(store: &Store, started: Timestamp) -> Result<Self, StoreError> {
        let given = store.scan(Table::Leases, "")?.into_iter().map(|(_, lease)| lease).collect();
        let releases = u64::try_from(started.as_microsecond()).unwrap_or_default();
        Ok(Self { given: Mutex::new(given), releases: watch::Sender::new(releases) })
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
        let stands = |lease: &Lease| lease.run != request.run && (lease.owner.is_alive() || is_open(lease));
        let mut held = Vec::new();
        for (resource, at_once) in &request.resources {
            let holders: Vec<_> =
                given.iter().filter(|l| l.resource == *resource && stands(l)).cloned().collect();
            if holders.len() >= usize::try_from(*at_once).unwrap_or(usize::MAX) {
                held.extend(holders);
            }
        }
        if !held.is_empty() {
            return Ok(LeaseReply::Held { by: held, releases: *self.releases.borrow() });
        }
        let token: u64 = store.get(Table::Ids, NEXT_TOKEN)?.unwrap_or(1);
        let mut batch = Batch::default();
        batch.put(Table::Ids, NEXT_TOKEN, &(token + 1))?;
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
                token,
                since: now,
            };
            batch.put(Table::Leases, &key(&lease), &lease)?;
            kept.push(lease);
        }
        let _ = store.commit(batch)?;
        *given = kept;
        Ok(LeaseReply::Granted { token })
    }

    /// Sees to it that the next token is above `seen`: a pair may remember more than a store that was lost.
    pub(crate) fn outrun(&self, store: &Store, seen: u64) -> Result<(), StoreError> {
        let _held = self.given();
        let token: u64 = store.get(Table::Ids, NEXT_TOKEN)?.unwrap_or(1);
        if token <= seen {
            let mut batch = Batch::default();
            batch.put(Table::Ids, NEXT_TOKEN, &(seen + 1))?;
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

    /// Waits until there were more releases than `seen`.
    pub(crate) async fn wait(&self, seen: u64) {
        let mut releases = self.releases.subscribe();
        // The sender lives as long as this value does.
        let _ = releases.wait_for(|count| *count > seen).await;
    }

    /// All leases that stand.
    pub(crate) fn all(&self) -> Vec<Lease> {
        self.given().clone()
    }

    /// Whether an engine other than this one, and alive, holds a lease here.
    pub(crate) fn any_alive(&self, this: &Owner) -> bool {
        self.given().iter().any(|lease| lease.owner != *this && lease.owner.is_alive())
    }
}
