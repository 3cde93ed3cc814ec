//! What happens in a run, as it happens.

use super::RunSummary;
use jiff::Timestamp;
use resplit_operations::bound::Binding;
use resplit_operations::ids::HostId;
use resplit_operations::ids::RunId;
use resplit_operations::ids::StepId;
use resplit_steps::context::Progress;
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};

/// Something that happened in a run: one line of its log, and of `run --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// The run.
    pub run: RunId,
    /// The step, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The run was accepted.
    Accepted {
        /// Steps in all.
        steps: u32,
    },
    /// It waits for leases.
    Waiting {
        /// Which, and who holds them.
        waiting_for: String,
    },
    /// An engine took an interrupted run up again.
    Recovering {
        /// What was decided, step by step.
        because: String,
    },
    /// The plan was bound.
    Bound {
        /// What it means.
        binding: Box<Binding>,
    },
    /// A step began.
    Started {
        /// Which try this is, from 1.
        attempt: u32,
    },
    /// How far it has come. Not kept in the log.
    Progress {
        /// How far.
        progress: Progress,
    },
    /// A step is done.
    Done {
        /// What it did.
        summary: String,
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// How that is known, if it was probed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adopted: Option<String>,
    },
    /// A step failed.
    Failed {
        /// Why.
        failure: Failure,
        /// The pause before the next try, in milliseconds, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
    },
    /// A step was not run.
    Skipped {
        /// Why.
        because: String,
    },
    /// A step needs an operator's answer.
    Parked {
        /// The question.
        question: String,
    },
    /// Something an operator should know.
    Note {
        /// It.
        text: String,
    },
    /// The run is over.
    Ended {
        /// How, and what came of it.
        summary: Box<RunSummary>,
    },
}
