//! A run's rows, written once when it is accepted, and read again.

use resplit_operations::{
    ids::RunId,
    plan::{Plan, PlanStep},
};
use resplit_steps::failure::Failure;

use super::state::RunState;
use crate::{
    rows::{PlanRow, RunRow, StepRow, step_key},
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
    batch.put(Table::Plans, run.as_str(), &head)?;
    for (index, step) in plan.graph().node_weights().enumerate() {
        batch.put(Table::Plans, &step_key(run, index), step)?;
    }
    for (index, row) in state.steps.iter().enumerate() {
        batch.put(Table::Steps, &step_key(run, index), row)?;
    }
    Ok(())
}

/// Adds a run's own row to a batch.
pub(crate) fn put_row(batch: &mut Batch, row: &RunRow) -> Result<(), StoreError> {
    batch.put(Table::Runs, row.run.as_str(), row)
}

/// All runs' rows.
pub(crate) fn rows(store: &Store) -> Result<Vec<RunRow>, StoreError> {
    Ok(store.scan(Table::Runs, "")?.into_iter().map(|(_, row)| row).collect())
}

/// A run's own row.
pub(crate) fn row(store: &Store, run: &RunId) -> Result<Option<RunRow>, StoreError> {
    store.get(Table::Runs, run.as_str())
}

/// A run, whole.
pub(crate) fn state(store: &Store, row: RunRow) -> Result<RunState, Failure> {
    let run = row.run.clone();
    let head: Option<PlanRow> = store.get(Table::Plans, run.as_str())?;
    let head = head.ok_or_else(|| Failure::permanent(format!("the store has no plan of run {run}")))?;
    let steps: Vec<PlanStep> =
        store.scan(Table::Plans, &format!("{run}/"))?.into_iter().map(|(_, step)| step).collect();
    let plan = Plan::new(head.with(steps))
        .map_err(|error| Failure::permanent(format!("the plan of run {run}, as stored, is none: {error}")))?;
    let rows: Vec<StepRow> =
        store.scan(Table::Steps, &format!("{run}/"))?.into_iter().map(|(_, row)| row).collect();
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
