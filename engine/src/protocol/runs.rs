//! Runs: how they are asked for, and what is told of them and their steps.

use jiff::Timestamp;
use resplit_operations::bound::Binding;
use resplit_operations::ids::BackupId;
use resplit_operations::ids::HostId;
use resplit_operations::ids::OperationId;
use resplit_operations::ids::RunId;
use resplit_operations::ids::StepId;
use resplit_operations::ids::VolumeId;
use resplit_operations::plan::Plan;
use resplit_operations::plan::Purpose;
use resplit_steps::facts::Window;
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A run to be started, or previewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submit {
    /// The plan, whole: a later edit of the files does not change the run.
    pub plan: Plan,
    /// How.
    #[serde(default)]
    pub options: RunOptions,
    /// For a preview: whether to measure what differs between the primaries and their secondaries, which reads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub measure: bool,
}

/// How a run is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// Fail with "busy" rather than wait for another run's leases.
    pub no_wait: bool,
    /// This generation, rather than the least recently backed up.
    pub generation: Option<u32>,
    /// The pairs that a verb is asked of: a generation of each volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pairs: BTreeMap<VolumeId, u32>,
    /// The backup to restore; the newest current one if not said.
    pub backup: Option<Selector>,
    /// Restore even though processes use the primary.
    pub force: bool,
    /// Restore even over something else than the backup was made from.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accept_drift: bool,
    /// What was accepted beforehand: refused if the plan means anything else by the time it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Box<Binding>>,
}

/// Names a backup: an ID, on a host if it is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// The host whose catalog is meant; the coordinator's, then the others', if not said.
    pub host: Option<HostId>,
    /// The ID there.
    pub id: BackupId,
}

/// A run that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its name.
    pub run: RunId,
}

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RunStatus {
    /// It was accepted, and waits for leases.
    Waiting {
        /// Which, and who holds them.
        waiting_for: String,
    },
    /// It runs.
    Running,
    /// All that should be done is done.
    Done,
    /// A step failed.
    Failed {
        /// Which, and why.
        failure: Failure,
    },
    /// Nothing was touched: it cannot succeed from the present state.
    Refused {
        /// Why.
        failure: Failure,
    },
    /// A step needs an operator's answer.
    Parked {
        /// The questions, by step.
        questions: BTreeMap<StepId, String>,
    },
    /// It was cancelled.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing more happens by itself.
    pub const fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting { .. } | Self::Running)
    }

    /// The word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Parked { .. } => "parked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A run, in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its name.
    pub run: RunId,
    /// The operation.
    pub operation: OperationId,
    /// What it is for.
    pub purpose: Purpose,
    /// Its state.
    #[serde(flatten)]
    pub status: RunStatus,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it ended, or parked.
    pub ended: Option<Timestamp>,
    /// Steps in all.
    pub steps: u32,
    /// Hash of its plan.
    pub plan: String,
    /// What came of it, in plain words, a line each.
    pub result: Vec<String>,
}

/// A run, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetail {
    /// In short.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// Whether it was interrupted, and the engine, started with `--hold`, does not take it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// What the plan meant, once it was bound.
    pub binding: Option<Binding>,
    /// Its windows, good and bad, as they were measured, in the order in which they were closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// The steps, in topological order.
    pub step_list: Vec<StepDetail>,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDetail {
    /// Its name.
    pub step: StepId,
    /// Its kind.
    pub kind: String,
    /// Its host.
    pub host: HostId,
    /// How often it was tried.
    pub attempts: u32,
    /// Its state.
    #[serde(flatten)]
    pub status: StepStatus,
    /// Why it last ran again, or ran on, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// What recovery would do of it, where the run was interrupted and is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// Why a step ran, or runs, again, or ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Again {
    /// It was asked about, and had not happened: the same try ran again.
    RanAgain {
        /// How that is known.
        because: String,
    },
    /// It was asked about, and still ran, or had ended unseen: it was waited for.
    Reattached {
        /// How that is known.
        because: String,
    },
    /// A try failed for a reason that may pass: another one was made.
    Retried {
        /// How it failed.
        because: String,
    },
    /// It was set back, whatever it had come to: the window that it is part of was lost, or an operator resumed the run.
    SetBack {
        /// Why.
        because: String,
    },
}

impl Again {
    /// The reason.
    pub fn because(&self) -> &str {
        match self {
            Self::RanAgain { because }
            | Self::Reattached { because }
            | Self::Retried { because }
            | Self::SetBack { because } => because,
        }
    }

    /// It in words, with the reason.
    pub fn words(&self) -> String {
        match self {
            Self::RanAgain { because } => format!("ran again because {because}"),
            Self::Reattached { because } => format!("re-attached because {because}"),
            Self::Retried { because } => format!("tried again because: {because}"),
            Self::SetBack { because } => format!("set back because {because}"),
        }
    }
}

/// What recovery would do of a step that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "recovery", rename_all = "snake_case")]
pub enum Recovery {
    /// It did not happen, or so that doing it again completes it: run it.
    Run {
        /// How that is known.
        because: String,
    },
    /// It happened: adopt it.
    Adopt {
        /// How that is known.
        because: String,
    },
    /// It still runs: wait for it.
    WaitFor {
        /// How that is known.
        because: String,
    },
    /// It cannot be known: park, and ask this.
    Park {
        /// The question.
        question: String,
    },
    /// It could not be asked now.
    Unknown {
        /// Why.
        failure: Failure,
    },
}

/// The state of a step, with what is known in that state and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum StepStatus {
    /// Its needs have not ended.
    Waiting,
    /// Its intent is durable; it may have had effects.
    Started {
        /// Which try this is, from 1.
        attempt: u32,
        /// Since when.
        at: Timestamp,
    },
    /// Its last try failed, and another one follows.
    Retrying {
        /// Which try failed, from 1.
        attempt: u32,
        /// When.
        at: Timestamp,
        /// Why.
        failure: Failure,
    },
    /// It is done.
    Done {
        /// When it began, and
        began: Timestamp,
        /// when it ended.
        at: Timestamp,
        /// What it did.
        summary: String,
        /// How that is known, if it was probed after a crash rather than seen.
        adopted: Option<String>,
    },
    /// It failed for good.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        failure: Failure,
    },
    /// It was not run.
    Skipped {
        /// Why.
        because: String,
    },
    /// It needs an operator's answer.
    Parked {
        /// Which try this is.
        attempt: u32,
        /// Since when.
        at: Timestamp,
        /// The question.
        question: String,
    },
}

impl StepStatus {
    /// The word for it.
    pub const fn word(&self) -> &'static str {
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

/// An operator's answer to a parked step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It happened: go on after it.
    Done,
    /// It did not: run it again.
    Redo,
    /// Give it up: it failed.
    Abort,
}

/// An answer to a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRequest {
    /// The step.
    pub step: StepId,
    /// The answer.
    pub answer: Answer,
}

/// Which runs a listing shows: the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    /// Only of this operation.
    pub operation: Option<OperationId>,
    /// At most so many; 20 if not said.
    pub limit: Option<usize>,
    /// Only those that are not over.
    pub open: bool,
}
