//! What is set back before a run goes on: a window that was lost or over its budget, and, when an operator resumes a
//! run, what failed.

use std::collections::HashSet;

use petgraph::{Direction, graph::NodeIndex};
use resplit_operations::action::Action;

use super::{
    journal::{Illegal, steps::StepEvent},
    state::RunState,
};
use crate::rows::{StepRow, StepState};

/// Why the steps of a lost window run again.
pub(crate) const LOST: &str = "the engine ended inside the window, which ended with it";
/// Why what failed runs again when an operator resumes a run, and with it what follows, or has to be made anew.
const RESUMED: &str = "an operator resumed the run";

/// Sets steps back that are not waiting; gives those.
fn set_back(
    state: &mut RunState,
    nodes: impl IntoIterator<Item = NodeIndex>,
    because: &str,
) -> Result<Vec<NodeIndex>, Illegal> {
    let mut set = Vec::new();
    let event = StepEvent::SetBack { because: because.to_owned() };
    for node in nodes {
        if !state.row_of(node).is_waiting() {
            state.apply(node, &event)?;
            set.push(node);
        }
    }
    state.recount();
    Ok(set)
}

/// The steps that stand between the resyncs of a window, or its quiesce, and its thaw; these included.
fn in_window(state: &RunState, quiesce: NodeIndex, thaw: NodeIndex) -> Vec<NodeIndex> {
    let mut from = state.resyncs();
    from.push(quiesce);
    state.between(&from, thaw)
}

/// A window ends with the engine that opened it: whatever stands between the resyncs and its thaw runs again, for every
/// pair of the window. Gives what was set back.
pub(crate) fn lost_windows(state: &mut RunState) -> Result<Vec<NodeIndex>, Illegal> {
    let begun = |row: &StepRow| !matches!(row.state, StepState::Waiting | StepState::Skipped { .. });
    let mut lost = Vec::new();
    for (quiesce, thaw) in state.windows().iter().copied() {
        if begun(state.row_of(quiesce)) && !state.row_of(thaw).is_done() {
            lost.extend(in_window(state, quiesce, thaw));
        }
    }
    set_back(state, lost, LOST)
}

/// The quiesce of the window that a thaw has just ended, if that was over its budget: the thaw says so, or a step inside
/// was stopped for it.
pub(crate) fn over_budget(state: &RunState, thaw: NodeIndex) -> Option<NodeIndex> {
    let (quiesce, _) = state.windows().iter().copied().find(|(_, end)| *end == thaw)?;
    let is_over = |node: &NodeIndex| match &state.row_of(*node).state {
        StepState::Failed { failure, .. } => failure.is_over_budget(),
        _ => false,
    };
    state.between(&[quiesce], thaw).iter().any(is_over).then_some(quiesce)
}

/// Readies everything from the resyncs of a window on to run again, for every pair of it. Gives what was set back, or
/// nothing where something that follows from it is at work already.
pub(crate) fn repeat_window(
    state: &mut RunState,
    quiesce: NodeIndex,
    thaw: NodeIndex,
    because: &str,
) -> Result<Vec<NodeIndex>, Illegal> {
    let inside = in_window(state, quiesce, thaw);
    // What follows, and has begun, runs again with all that it undid; mostly nothing has.
    let within: HashSet<NodeIndex> = inside.iter().copied().collect();
    let is_untouched = |node: &NodeIndex| within.contains(node) || state.row_of(*node).is_waiting();
    let again = if state.after(&inside).iter().all(is_untouched) { inside } else { state.again(&inside) };
    let at_work = |node: &NodeIndex| !state.row_of(*node).is_waiting() && !state.row_of(*node).is_over();
    if again.iter().any(at_work) {
        return Ok(Vec::new());
    }
    set_back(state, again, because)
}

/// Readies a run that is over to be resumed: what failed, was stopped, or was skipped for that waits again, and so does
/// all that follows it, and what had been undone since (a mount whose unmount has run). A step that waited for a failure
/// and saw none has nothing to catch up on. While the image that the run makes is not there yet, all that it did to its
/// pairs is done anew: it held no lease meanwhile, and others may have used them. Gives what was set back.
pub(crate) fn resume(state: &mut RunState) -> Result<Vec<NodeIndex>, Illegal> {
    let mut first: Vec<NodeIndex> =
        state.order().iter().copied().filter(|node| state.is_bad(*node)).collect();
    // What was begun and has not ended is asked about first, and only then is it known what there is to do anew.
    if state.has_no_image_yet() && !state.is_interrupted() {
        first.extend(state.on_pairs());
    }
    first.extend(carriers(state, &first));
    let again = state.again(&first);
    set_back(state, again, RESUMED)
}

/// The steps that have handed over what these have not taken: what was handed over went when the run ended.
fn carriers(state: &RunState, first: &[NodeIndex]) -> Vec<NodeIndex> {
    let graph = state.plan.graph();
    let takes = |node: &NodeIndex| matches!(graph[*node].action, Action::Transfer(_) | Action::Import(_));
    let hands = |node: &NodeIndex| matches!(graph[*node].action, Action::Export(_) | Action::Transfer(_));
    let mut open: Vec<NodeIndex> = first.iter().copied().filter(takes).collect();
    let mut seen = HashSet::new();
    while let Some(node) = open.pop() {
        open.extend(
            graph.neighbors_directed(node, Direction::Incoming).filter(|before| seen.insert(*before)),
        );
    }
    seen.into_iter().filter(hands).collect()
}
