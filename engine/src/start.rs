//! What an engine does before anything else: it discharges obligations, then recovers every interrupted run.

use std::{collections::BTreeSet, sync::Arc};

use resplit_operations::ids::RunId;
use resplit_steps::{contract::Obligation, failure::Failure};

use crate::{
    engine::Engine,
    forget, obligations,
    protocol::{Event, Lease, RunStatus, What},
    rows::RunRow,
    run::{
        claim::Claim, drive::Control, finish, journal::runs::RunEvent, load, perform, set_back,
        state::RunState,
    },
    store::Batch,
};

impl Engine {
    /// Thaws what a dead engine may have left frozen. Before the socket is bound: nothing may delay it.
    pub fn thaw_all(&self) -> Result<(), Failure> {
        for duty in obligations::standing(&self.store, None)? {
            let Obligation::Thaw { filesystem } = &duty.obligation else { continue };
            match self.windows.thaw(filesystem) {
                Ok(true) => {
                    tracing::warn!(run = %duty.run, "{} was frozen, and is thawed", filesystem.display());
                }
                Ok(false) => {}
                Err(failure) => tracing::error!(run = %duty.run, "cannot thaw: {failure}"),
            }
        }
        Ok(())
    }

    /// Undoes and releases what runs that are over have left, and takes up every run that was interrupted. An engine that
    /// was started to hold does neither, nor does one that only reads: all is as it was found, but for what was thawed.
    pub async fn recover(self: &Arc<Self>) -> Result<(), Failure> {
        let rows = load::rows(&self.store)?;
        if self.store.damage().is_some() {
            // Nothing that is done could be recorded.
            self.held().extend(rows.into_iter().filter(|row| !row.status.is_over()).map(|row| row.run));
            return Ok(());
        }
        let owing: BTreeSet<RunId> =
            obligations::standing(&self.store, None)?.into_iter().map(|duty| duty.run).collect();
        let leasing: BTreeSet<RunId> = self.leases.all().into_iter().map(|lease| lease.run).collect();
        let is_ended = |row: &RunRow| row.status.is_over() && !matches!(row.status, RunStatus::Parked { .. });
        for row in rows.iter().filter(|row| is_ended(row) && !self.holds()) {
            if owing.contains(&row.run) || leasing.contains(&row.run) {
                let (engine, run) = (Arc::clone(self), row.run.clone());
                let undone = tokio::task::spawn_blocking(move || engine.leave(&run)).await;
                // It stays a duty, and is listed as left behind: no reason for an engine not to start.
                if let Err(failure) = undone.unwrap_or_else(|error| Err(crate::failures::defect(&error))) {
                    tracing::error!(run = %row.run, "what it left cannot be undone: {failure}");
                }
            }
        }
        if !self.holds() {
            self.release_unaccepted(&rows)?;
            // Nothing waits for hosts that may be slow to answer.
            let engine = Arc::clone(self);
            drop(tokio::spawn(async move {
                finish::release_late(&engine).await;
                if let Err(failure) = forget::release_far(&engine).await {
                    tracing::warn!("cannot release what runs on other machines held: {failure}");
                }
            }));
        }
        let (over, open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.status.is_over());
        if !self.holds() {
            self.forget_later(over);
        }
        for row in open {
            let run = row.run.clone();
            if self.holds() {
                let _ = self.held().insert(run);
                continue;
            }
            match load::state(&self.store, row) {
                Ok(state) => {
                    let Some(claim) = Claim::of(self, &run) else { continue };
                    drop(self.take_up(claim, state).await?);
                }
                Err(failure) => tracing::error!(%run, "cannot be recovered: {failure}"),
            }
        }
        Ok(())
    }

    /// Releases what was leased to runs of this host that were never accepted: where nobody was to wait, the leases are taken
    /// first, and an engine may end between the two.
    fn release_unaccepted(&self, rows: &[RunRow]) -> Result<(), Failure> {
        let accepted: BTreeSet<&RunId> = rows.iter().map(|row| &row.run).collect();
        let is_dead = |lease: &Lease| lease.coordinator == self.host && !lease.owner.is_alive();
        for lease in self.leases.all().iter().filter(|lease| is_dead(lease) && !accepted.contains(&lease.run))
        {
            let _ = self.leases.release(&self.store, &lease.run)?;
        }
        Ok(())
    }

    /// Forgets what may be forgotten; nothing waits for that.
    fn forget_later(self: &Arc<Self>, over: Vec<RunRow>) {
        let engine = Arc::clone(self);
        drop(tokio::spawn(async move {
            let (store, asked) = (Arc::clone(&engine), Arc::clone(&engine));
            let forgotten = tokio::task::spawn_blocking(move || store.forget_old_runs(over)).await;
            let forgotten = forgotten.unwrap_or_else(|error| Err(crate::failures::defect(&error)));
            if let Err(failure) = forgotten.and(forget::forget_served(&asked).await) {
                tracing::warn!("cannot forget what is long over: {failure}");
            }
        }));
    }

    /// Takes up a run that was interrupted.
    pub(crate) async fn take_up(
        self: &Arc<Self>,
        claim: Claim,
        mut state: RunState,
    ) -> Result<Arc<Control>, Failure> {
        let run = state.run().clone();
        let lost = set_back::lost_windows(&mut state)?;
        state.apply_to_run(&RunEvent::TakenUp)?;
        let because = if lost.is_empty() {
            "the engine ended while this run was at work: what was begun is asked about first".to_owned()
        } else {
            let names: Vec<_> = lost.iter().map(|node| state.step(*node).id.to_string()).collect();
            format!("the engine ended inside the window: {} run again", names.join(", "))
        };
        let mut batch = Batch::default();
        for node in lost {
            state.put_step(&mut batch, node)?;
        }
        let _ = self.store.commit_async(batch).await?;
        let (time, what) = (self.clock.now(), What::Recovering { because });
        self.logs.tell(Event { time, run: run.clone(), step: None, host: None, what });
        let control = perform::start(claim, state);
        let _ = self.held().remove(&run);
        Ok(control)
    }
}
