//! What is set back before a run goes on: a lost window, and, when an operator resumes a run, what failed.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;

use super::state::RunState;
use crate::{protocol::StepStatus, rows::StepRow};

/// Why the steps of a lost window run again.
pub(crate) const LOST: &str = "the engine ended inside the window, which ended with it";

fn set_back(
    state: &mut RunState,
    nodes: impl IntoIterator<Item = NodeIndex>,
    because: Option<&str>,
) -> Vec<NodeIndex> {
    let mut set = Vec::new();
    for node in nodes {
        let row = state.row_of(node);
        if !matches!(row.status, StepStatus::Waiting) {
            let again = because.map(str::to_owned);
            *state.row_mut(node) = StepRow { again, ..StepRow::waiting(row.attempts) };
            set.push(node);
        }
    }
    set
}

/// A window ends with the engine that opened it: whatever stands between the resyncs and its thaw runs again, for every
/// pair of the window. Gives what was set back.
pub(crate) fn lost_windows(state: &mut RunState) -> Vec<NodeIndex> {
    let begun = |row: &StepRow| !matches!(row.status, StepStatus::Waiting | StepStatus::Skipped { .. });
    let done = |row: &StepRow| matches!(row.status, StepStatus::Done { .. });
    let mut lost = Vec::new();
    for (quiesce, thaw) in state.windows() {
        if begun(state.row_of(quiesce)) && !done(state.row_of(thaw)) {
            let mut from = state.resyncs();
            from.push(quiesce);
            lost.extend(state.between(&from, thaw));
        }
    }
    let lost = set_back(state, lost, Some(LOST));
    state.recount();
    lost
}

/// Readies a run that is over to be resumed: what failed, was skipped or was stopped waits again, and so does what had
/// been undone since (a mount whose unmount has run). Gives what was set back.
pub(crate) fn resume(state: &mut RunState) -> Vec<NodeIndex> {
    let unfinished =
        |row: &StepRow| matches!(row.status, StepStatus::Failed { .. } | StepStatus::Skipped { .. });
    let order = state.order().to_vec();
    let mut again: BTreeSet<NodeIndex> =
        order.iter().copied().filter(|node| unfinished(state.row_of(*node))).collect();
    for last in order {
        let Some(owner) = state.owner(last) else { continue };
        let inside = state.between(&[owner], last);
        if inside.iter().any(|node| *node != last && again.contains(node)) {
            again.extend([owner, last]);
        }
    }
    // Whatever follows what runs again, runs again: a hook that comes after everything, say.
    let after = state.after(&again.into_iter().collect::<Vec<_>>());
    let set = set_back(state, after, None);
    state.recount();
    set
}
