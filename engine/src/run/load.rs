//! A run's rows, written once when it is accepted, and read again.

use resplit_operations::{
    ids::RunId,
    plan::{Plan, PlanStep},
};
use resplit_steps::failure::Failure;

use super::state::RunState;
use crate::{
    rows::{self, PlanRow, RunRow, StepRow, step_key},
    store::{Batch, Store, StoreError, Table},
};

/// Adds a new run to a batch: its row, its plan, and a waiting row for each step.
pub(crate) fn put_new(batch: &mut Batch, state: &RunState) -> Result<(), StoreError> {
    let run = state.run();
    put_row(batch, &state.row)?;
    let plan = &state.plan;
    let head = PlanRow {
        operation: plan.operation.clone(),
        purpose: plan.purpose,
        coordinator: plan.coordinator.clone(),
        site: plan.site.clone(),
    };
    rows::put(batch, run.as_str(), &head)?;
    for (index, step) in plan.graph().node_weights().enumerate() {
        rows::put(batch, &step_key(run, index), step)?;
    }
    for (index, row) in state.steps.iter().enumerate() {
        rows::put(batch, &step_key(run, index), row)?;
    }
    Ok(())
}

/// Adds a run's own row to a batch.
pub(crate) fn put_row(batch: &mut Batch, row: &RunRow) -> Result<(), StoreError> {
    rows::put(batch, row.run.as_str(), row)
}

/// All runs' rows.
pub(crate) fn rows(store: &Store) -> Result<Vec<RunRow>, StoreError> {
    rows::scan(store, "")
}

/// A run's own row.
pub(crate) fn row(store: &Store, run: &RunId) -> Result<Option<RunRow>, StoreError> {
    rows::get(store, run.as_str())
}

/// A run, whole.
pub(crate) fn state(store: &Store, row: RunRow) -> Result<RunState, Failure> {
    let run = row.run.clone();
    let head: Option<PlanRow> = rows::get(store, run.as_str())?;
    let head = head.ok_or_else(|| Failure::permanent(format!("the store has no plan of run {run}")))?;
    let steps: Vec<PlanStep> = rows::scan(store, &format!("{run}/"))?;
    let plan = Plan::new(head.with(steps))
        .map_err(|error| Failure::permanent(format!("the plan of run {run}, as stored, is none: {error}")))?;
    let rows: Vec<StepRow> = rows::scan(store, &format!("{run}/"))?;
    if rows.len() != plan.graph().node_count() || plan.hash() != row.plan {
        return Err(Failure::permanent(format!(
            "the steps of run {run}, as stored, are not those of its plan"
        )));
    }
    Ok(RunState::new(row, plan, rows))
}

/// Adds to a batch that a run, over for long, is forgotten.
pub(crate) fn forget(store: &Store, batch: &mut Batch, run: &RunId) -> Result<(), StoreError> {
    batch.delete(Table::Runs, run.as_str());
    batch.delete(Table::Plans, run.as_str());
    for table in [Table::Plans, Table::Steps, Table::Served] {
        for key in store.keys(table, &format!("{run}/"))? {
            batch.delete(table, &key);
        }
    }
    Ok(())
}
