//! One commit in the making: the rows to be written, and the catalog as it will be. Intents that are prepared for the
//! same commit see the outcomes that are in it.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use resplit_operations::{
    ids::{RunId, StepId},
    record::{CatalogChange, Record},
};
use resplit_steps::contract::{Intent, Obligation, Outcome};

use crate::{
    catalog,
    engine::Engine,
    obligations,
    store::{Batch, StoreError},
};

/// One commit in the making.
pub(crate) struct Transaction {
    pub batch: Batch,
    before: Arc<Vec<Record>>,
    /// Copied once something in it changes.
    pub catalog: Arc<Vec<Record>>,
    reserves: bool,
}

impl Transaction {
    pub(crate) fn new(engine: &Engine) -> Result<Self, StoreError> {
        let before = engine.catalog()?;
        Ok(Self { batch: Batch::default(), catalog: Arc::clone(&before), before, reserves: false })
    }

    /// Adds changes to the catalog.
    pub(crate) fn change(&mut self, engine: &Engine, changes: &[CatalogChange]) {
        let now = engine.clock.now();
        for change in changes {
            catalog::apply(Arc::make_mut(&mut self.catalog), change, now);
        }
    }

    /// Adds a record under an ID that was reserved for it.
    pub(crate) fn enter(&mut self, engine: &Engine, record: Record) {
        self.change(engine, &[CatalogChange::Insert { record: Box::new(record) }]);
        self.reserves = true;
    }

    /// Adds what an intent makes durable on the host where the step runs.
    pub(crate) fn intend(
        &mut self,
        engine: &Engine,
        run: &RunId,
        step: &StepId,
        intent: &Intent,
    ) -> Result<(), StoreError> {
        self.change(engine, &intent.changes);
        for obligation in &intent.obligations {
            let (now, taken) = (engine.clock.now(), engine.next_duty());
            obligations::put(&mut self.batch, run, step, obligation, now, taken)?;
        }
        self.reserves |= intent.reserved.is_some();
        Ok(())
    }

    /// Adds what an outcome makes durable on the host where the step ran.
    pub(crate) fn conclude(
        &mut self,
        engine: &Engine,
        run: &RunId,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        self.change(engine, &outcome.changes);
        self.discharge(engine, run, &outcome.discharged)
    }

    /// Removes obligations that are discharged.
    pub(crate) fn discharge(
        &mut self,
        engine: &Engine,
        run: &RunId,
        done: &[Obligation],
    ) -> Result<(), StoreError> {
        obligations::remove(&engine.store, &mut self.batch, run, done)
    }

    fn put_catalog(&mut self) -> Result<(), StoreError> {
        if Arc::ptr_eq(&self.before, &self.catalog) {
            return Ok(());
        }
        catalog::put_difference(&mut self.batch, &self.before, &self.catalog)
    }

    /// Makes it durable.
    pub(crate) async fn commit(mut self, engine: &Engine) -> Result<(), StoreError> {
        self.put_catalog()?;
        let mut commit = {
            // Whoever comes later writes a larger next ID: commits that reserve one are queued in that order.
            let _order = engine.reserving();
            if self.reserves {
                catalog::put_next_id(&mut self.batch, engine.next_backup())?;
            }
            let mut commit = Box::pin(engine.store.commit_async(self.batch));
            match commit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(ended) => return ended.map(|_| ()),
                Poll::Pending => commit,
            }
        };
        commit.as_mut().await.map(|_| ())
    }

    /// Makes it durable, on a thread that may block. Not for what reserves IDs.
    pub(crate) fn commit_blocking(mut self, engine: &Engine) -> Result<(), StoreError> {
        self.put_catalog()?;
        engine.store.commit(self.batch).map(|_| ())
    }
}
