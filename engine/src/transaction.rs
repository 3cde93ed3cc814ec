//! One commit in the making: the rows to be written, and the catalog as it will be. Intents that are prepared for the
//! same commit see the outcomes that are in it.

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
    before: Vec<Record>,
    pub catalog: Vec<Record>,
}

impl Transaction {
    pub(crate) fn new(engine: &Engine) -> Result<Self, StoreError> {
        let before = catalog::all(&engine.store)?;
        Ok(Self { batch: Batch::default(), catalog: before.clone(), before })
    }

    /// Adds changes to the catalog.
    pub(crate) fn change(&mut self, engine: &Engine, changes: &[CatalogChange]) {
        let now = engine.clock.now();
        for change in changes {
            catalog::apply(&mut self.catalog, change, now);
        }
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
            obligations::put(&mut self.batch, run, step, obligation)?;
        }
        if intent.reserved.is_some() {
            catalog::put_next_id(&mut self.batch, engine.next_backup())?;
        }
        Ok(())
    }

    /// Adds what an outcome makes durable on the host where the step ran.
    pub(crate) fn conclude(&mut self, engine: &Engine, run: &RunId, outcome: &Outcome) -> Result<(), StoreError> {
        self.change(engine, &outcome.changes);
        self.discharge(engine, run, &outcome.discharged)
    }

    /// Removes obligations that are discharged.
    pub(crate) fn discharge(&mut self, engine: &Engine, run: &RunId, done: &[Obligation]) -> Result<(), StoreError> {
        obligations::remove(&engine.store, &mut self.batch, run, done)
    }

    /// The batch, with what changes in the catalog.
    pub(crate) fn finish(mut self) -> Result<Batch, StoreError> {
        catalog::put_difference(&mut self.batch, &self.before, &self.catalog)?;
        Ok(self.batch)
    }
}
