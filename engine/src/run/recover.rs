//! What is set back before a run goes on: a lost window, and, when an operator resumes a run, what failed.

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

/// Readies a run that is over to be resumed: what failed, was stopped, or was skipped for that waits again, and so does
/// all that follows it, and what had been undone since (a mount whose unmount has run). A step that waited for a failure
/// and saw none has nothing to catch up on. While the image that the run makes is not there yet, all that it did to its
/// pairs is done anew: it held no lease meanwhile, and others may have used them. Gives what was set back.
pub(crate) fn resume(state: &mut RunState) -> Vec<NodeIndex> {
    let mut first: Vec<NodeIndex> =
        state.order().iter().copied().filter(|node| state.is_bad(*node)).collect();
    // What was begun and has not ended is asked about first, and only then is it known what there is to do anew.
    if state.has_no_image_yet() && !state.is_interrupted() {
        first.extend(state.on_pairs());
    }
    let again = state.again(&first);
    let set = set_back(state, again, None);
    state.recount();
    set
}
