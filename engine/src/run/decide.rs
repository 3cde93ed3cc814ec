//! Whether a step whose needs have ended runs or is skipped. Pure.

use petgraph::graph::NodeIndex;
use resplit_operations::operation::On;

use super::state::RunState;
use crate::rows::StepState;

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
        return match &state.row_of(owner).state {
            StepState::Skipped { .. } => Decision::Skip(format!("'{}' did not begin", state.step(owner).id)),
            _ => Decision::Run,
        };
    }
    match (step.on, state.bad_need(node)) {
        (On::Failure, None) => Decision::Skip("nothing failed".to_owned()),
        (On::Success, Some(bad)) => {
            let word = state.row_of(bad).state.word();
            Decision::Skip(format!("'{}' was {word}", state.step(bad).id).replace("was failed", "failed"))
        }
        (On::Success, None) if cancelled => Decision::Skip("the run was cancelled".to_owned()),
        (On::Always, _) | (On::Failure, Some(_)) | (On::Success, None) => Decision::Run,
    }
}
