//! Whether a step whose needs have ended runs or is skipped. Pure.

use petgraph::graph::NodeIndex;
use resplit_operations::operation::On;

use super::state::RunState;
use crate::protocol::StepStatus;

/// What becomes of a step that waits for nothing any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Run,
    Skip(String),
}

/// Decides about one step.
pub(crate) fn decide(state: &RunState, node: NodeIndex, cancelled: bool) -> Decision {
    let step = state.step(node);
    if let Some(owner) = state.owner(node) {
        // A finally-step runs whatever happened, once what it undoes has begun.
        return match &state.row_of(owner).status {
            StepStatus::Skipped { .. } => Decision::Skip(format!("'{}' did not begin", state.step(owner).id)),
            _ => Decision::Run,
        };
    }
    let bad = state.needs(node).find(|need| is_bad(state, *need));
    match (step.on, bad) {
        (On::Failure, None) => Decision::Skip("nothing failed".to_owned()),
        (On::Success, Some(bad)) => {
            let word = state.row_of(bad).status.word();
            Decision::Skip(format!("'{}' was {word}", state.step(bad).id).replace("was failed", "failed"))
        }
        (On::Success, None) if cancelled => Decision::Skip("the run was cancelled".to_owned()),
        (On::Always, _) | (On::Failure, Some(_)) | (On::Success, None) => Decision::Run,
    }
}

/// Whether what needs a step must not run: it failed, or it was skipped although it should have run. A step that waits
/// for a failure and saw none is no failure; a finally-step that was skipped counts as what it would have undone.
pub(crate) fn is_bad(state: &RunState, node: NodeIndex) -> bool {
    match state.row_of(node).status {
        StepStatus::Failed { .. } => true,
        StepStatus::Skipped { .. } => state.step(state.root(node)).on != On::Failure,
        _ => false,
    }
}
