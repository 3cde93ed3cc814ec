//! Steps that one host asks of another.

use resplit_operations::bound::Binding;
use resplit_operations::ids::HostId;
use resplit_operations::ids::OperationId;
use resplit_operations::ids::RunId;
use resplit_operations::plan::PlanStep;
use resplit_operations::plan::Purpose;
use resplit_operations::site::Site;
use resplit_steps::context::Progress;
use resplit_steps::contract::Outcome;
use resplit_steps::facts::Facts;
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::Again;

/// Asks another host's engine to run one step. Asked again with the same run, step, attempt and token it is answered, not repeated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepRequest {
    /// The host that coordinates.
    pub coordinator: HostId,
    /// The operation.
    pub operation: OperationId,
    /// What the plan is for.
    pub purpose: Purpose,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: PlanStep,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// The site, as the plan has it.
    pub site: Site,
    /// What the plan means.
    pub binding: Binding,
    /// What is known so far.
    pub facts: Facts,
    /// The fencing token of the lease.
    pub token: u64,
}

/// What the asked engine says while it runs the step: a line each, the last one `Ended`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum StepMessage {
    /// How far it has come.
    Progress {
        /// How far.
        progress: Progress,
    },
    /// It still works: sent when nothing else was for a second.
    Beat,
    /// It has ended, durably.
    Ended {
        /// How.
        end: Box<StepEnd>,
        /// Why it ran again, or ran on, after it had been interrupted, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Again>,
    },
}

/// How a step ended on the engine that ran it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one a step, and boxed where it is sent")]
pub enum StepEnd {
    /// It is done.
    Done {
        /// What came of it.
        outcome: Outcome,
        /// How that is known, if it was probed after a crash.
        adopted: Option<String>,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It needs an operator's answer.
    Parked {
        /// The question.
        question: String,
        /// It could not be asked about, since its host could not be reached or the world did not say: then the same try
        /// is asked about again, rather than a new one made.
        #[serde(default)]
        unreachable: bool,
    },
}

/// Where a file that was sent was put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its path on the host that received it.
    pub path: PathBuf,
}
