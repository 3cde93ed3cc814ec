//! What the store keeps of a run and its steps. A transition writes a row of its own size.

use jiff::Timestamp;
use resplit_operations::{
    bound::Binding,
    ids::{HostId, OperationId, RunId},
    plan::{PlanData, PlanStep, Purpose},
    site::Site,
};
use resplit_steps::{contract::Intent, facts::Facts};
use serde::{Deserialize, Serialize};

use crate::protocol::{RunOptions, RunStatus, RunSummary, StepEnd, StepStatus};

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
    pub result: Vec<String>,
}

impl RunRow {
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
    #[serde(flatten)]
    pub status: StepStatus,
    /// Tries so far: a number is never used twice, since it is part of what an effect is known by.
    pub attempts: u32,
    /// What was durable before its first effect, where it runs on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// What it established, once it is done, if that is anything. In a box: most steps establish little, and a plan may
    /// have many steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<Facts>>,
    /// Why it ran again, or ran on, after it had been interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

impl StepRow {
    pub(crate) const fn waiting(attempts: u32) -> Self {
        Self { status: StepStatus::Waiting, attempts, intent: None, facts: None, again: None }
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
    pub intent: Intent,
    /// How it ended; `None` while it runs, or was interrupted.
    pub end: Option<StepEnd>,
    /// Why it ran again, or ran on, after it had been interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

/// The key of a step's row: the run, and the step's place in topological order.
pub(crate) fn step_key(run: &RunId, index: usize) -> String {
    format!("{run}/{index:06}")
}
