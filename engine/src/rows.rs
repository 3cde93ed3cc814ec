//! What the store keeps of a run and its steps. A transition writes a row of its own size. How rows change is the
//! [`crate::run::journal`]'s; how they are stored, and in which version, is in [`version`].

pub(crate) mod formats;
#[cfg(test)]
mod tests;
pub(crate) mod version;

use std::path::PathBuf;

use jiff::Timestamp;
use resplit_operations::{
    bound::Binding,
    ids::{HostId, OperationId, RunId},
    plan::{Plan, PlanData, PlanStep, Purpose},
    site::{Host, Site},
};
use resplit_steps::{
    contract::Intent,
    facts::{Facts, Window},
    failure::Failure,
};
use serde::{Deserialize, Serialize};

use crate::protocol::{Again, RunOptions, RunStatus, RunSummary, StepEnd, StepStatus};

pub(crate) use version::{get, put, scan};

/// A run, without its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunRow {
    pub run: RunId,
    pub operation: OperationId,
    pub purpose: Purpose,
    #[serde(flatten)]
    pub status: RunStatus,
    pub accepted: Timestamp,
    pub ended: Option<Timestamp>,
    pub steps: u32,
    pub plan: String,
    pub options: RunOptions,
    /// What the plan means; decided under the leases, before the first step.
    pub binding: Option<Binding>,
    /// Hosts that could not be told that the run is over.
    #[serde(default)]
    pub unreleased: Vec<HostId>,
    /// Its windows, good and bad, as they were measured; in the order in which they were closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    pub result: Vec<String>,
}

impl RunRow {
    /// A run that has been accepted.
    pub(crate) fn accepted(run: RunId, plan: &Plan, options: RunOptions, at: Timestamp) -> Self {
        Self {
            run,
            operation: plan.operation.clone(),
            purpose: plan.purpose,
            status: RunStatus::Waiting { waiting_for: "its turn".to_owned() },
            accepted: at,
            ended: None,
            steps: u32::try_from(plan.graph().node_count()).unwrap_or(u32::MAX),
            plan: plan.hash().to_owned(),
            options,
            binding: None,
            unreleased: Vec::new(),
            windows: Vec::new(),
            result: Vec::new(),
        }
    }

    pub(crate) fn summary(&self) -> RunSummary {
        RunSummary {
            run: self.run.clone(),
            operation: self.operation.clone(),
            purpose: self.purpose,
            status: self.status.clone(),
            accepted: self.accepted,
            ended: self.ended,
            steps: self.steps,
            plan: self.plan.clone(),
            result: self.result.clone(),
        }
    }
}

/// The head of a run's plan; its steps are rows of their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PlanRow {
    pub operation: OperationId,
    pub purpose: Purpose,
    pub coordinator: HostId,
    pub site: Site,
}

impl PlanRow {
    pub(crate) fn with(self, steps: Vec<PlanStep>) -> PlanData {
        PlanData {
            operation: self.operation,
            purpose: self.purpose,
            coordinator: self.coordinator,
            site: self.site,
            steps,
        }
    }
}

/// A step of a run that this host coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepRow {
    /// Tries so far: a number is never used twice, since it is part of what an effect is known by.
    pub attempts: u32,
    /// Why it last ran again, or ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    #[serde(flatten)]
    pub state: StepState,
}

/// The state of a step, with what is known in it and no other. The try is the last one, by `attempts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum StepState {
    /// It has not begun, or not since it was set back.
    Waiting,
    /// Its intent is durable; it may have had effects. `intent` is what was durable before the first of them.
    Started {
        at: Timestamp,
        #[serde(default)]
        intent: Intent,
    },
    /// Its last try failed, and the next one has not begun.
    Retrying { at: Timestamp, failure: Failure },
    /// It is done. Facts are in a box: most steps establish little, and a plan may have many steps.
    Done {
        began: Timestamp,
        at: Timestamp,
        summary: String,
        adopted: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Box<Facts>>,
    },
    /// It failed for good.
    Failed { at: Timestamp, failure: Failure },
    /// It was not run.
    Skipped { because: String },
    /// It needs an operator's answer. With an intent if it could not be asked about: then the same try is gone on with.
    Parked {
        at: Timestamp,
        question: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        intent: Option<Intent>,
    },
}

impl StepState {
    /// The word for it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Started { .. } => "started",
            Self::Retrying { .. } => "retrying",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Parked { .. } => "parked",
        }
    }
}

impl StepRow {
    /// A step that has not begun.
    pub(crate) const fn new() -> Self {
        Self { attempts: 0, again: None, state: StepState::Waiting }
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.state, StepState::Waiting)
    }

    pub(crate) const fn is_started(&self) -> bool {
        matches!(self.state, StepState::Started { .. })
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.state, StepState::Done { .. })
    }

    /// Whether nothing more happens to it by itself. A parked step is not over: what needs it waits.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, StepState::Done { .. } | StepState::Failed { .. } | StepState::Skipped { .. })
    }

    /// What it established, if it is done and that is anything.
    pub(crate) fn facts(&self) -> Option<&Facts> {
        match &self.state {
            StepState::Done { facts, .. } => facts.as_deref(),
            _ => None,
        }
    }

    /// What is told of it.
    pub(crate) fn status(&self) -> StepStatus {
        let attempt = self.attempts;
        match self.state.clone() {
            StepState::Waiting => StepStatus::Waiting,
            StepState::Started { at, .. } => StepStatus::Started { attempt, at },
            StepState::Retrying { at, failure } => StepStatus::Retrying { attempt, at, failure },
            StepState::Done { began, at, summary, adopted, .. } => {
                StepStatus::Done { began, at, summary, adopted }
            }
            StepState::Failed { at, failure } => StepStatus::Failed { at, failure },
            StepState::Skipped { because } => StepStatus::Skipped { because },
            StepState::Parked { at, question, .. } => StepStatus::Parked { attempt, at, question },
        }
    }
}

/// A step that this host runs, or ran, for another that coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServedRow {
    /// Who asked: it is asked when this may be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<HostId>,
    pub attempt: u32,
    pub token: u64,
    /// Why it ran again, or ran on, after it had been interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    #[serde(flatten)]
    pub state: ServedState,
}

/// The state of a served step, with what is known in it and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum ServedState {
    /// It runs, or was interrupted.
    Running { intent: Intent },
    /// It has ended, and this is what whoever asks again is answered.
    Ended { end: Box<StepEnd> },
}

impl ServedState {
    /// The word for it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Running { .. } => "running",
            Self::Ended { .. } => "ended",
        }
    }
}

/// The next number of a kind: backup ID, fencing token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct NextNumber(pub u64);

/// How long a step took last time, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TookMs(pub u64);

/// Where a library of this host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LibraryPlace(pub PathBuf);

/// Where a host that asked for steps keeps its state: it is asked when they may be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct HostPlace(pub Host);

/// The key of a step's row: the run, and the step's place in topological order.
pub(crate) fn step_key(run: &RunId, index: usize) -> String {
    format!("{run}/{index:06}")
}
