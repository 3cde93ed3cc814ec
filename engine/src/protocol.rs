//! What goes over the socket: one protocol, whoever speaks. JSON; names in `snake_case`, times in RFC 3339.

mod leftovers;

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use resplit_operations::{
    bound::Binding,
    ids::{BackupId, HostId, LibraryId, OperationId, RunId, StepId},
    pair::{PairRef, PairState},
    plan::{Plan, PlanStep, Purpose, Resource},
    record::Record,
    site::{Library, PairDriverKind, Site},
};
use resplit_steps::{
    context::Progress,
    contract::{Outcome, Preview},
    drivers::media::Cartridge,
    facts::Facts,
    failure::Failure,
};
use serde::{Deserialize, Serialize};

pub use self::leftovers::{Leftover, LeftoverKind, LeftoversRequest, ReleaseRequest, Released, RunStanding};

/// The version of this protocol. An engine and a client of different versions do not talk; an idle engine is replaced.
pub const VERSION: u32 = 1;

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// [`VERSION`] as the engine was built.
    pub protocol: u32,
    /// The program's version and build, so that a newer client can tell.
    pub build: String,
    /// The host that it is.
    pub host: HostId,
    /// Its process ID.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
    /// Whether anything runs, waits or is leased now.
    pub busy: bool,
    /// What opening the store found, if it was anything but a clean shutdown.
    pub store: Option<String>,
    /// Whether it was started with `--hold`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
    /// The interrupted runs that it holds on that account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<RunId>,
}

/// A run to be started, or previewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submit {
    /// The plan, whole: a later edit of the files does not change the run.
    pub plan: Plan,
    /// How.
    #[serde(default)]
    pub options: RunOptions,
}

/// How a run is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// Fail with "busy" rather than wait for another run's leases.
    pub no_wait: bool,
    /// This generation, rather than the least recently backed up.
    pub generation: Option<u32>,
    /// The backup to restore; the newest current one if not said.
    pub backup: Option<Selector>,
    /// Restore even though processes use the primary.
    pub force: bool,
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
    /// Its state.
    #[serde(flatten)]
    pub status: StepStatus,
    /// Why it ran again, or ran on, after it had been interrupted, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// What recovery would do of it, where the run was interrupted and is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
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
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Parked { .. } => "parked",
        }
    }
}

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

/// What a plan would do now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPreview {
    /// What it would be bound to, as far as it can be.
    pub binding: Binding,
    /// Why it cannot succeed from the present state; empty if it can.
    pub refusals: Vec<Failure>,
    /// What would be waited for: who holds which lease.
    pub waits: Vec<String>,
    /// One row for each step, in topological order.
    pub rows: Vec<PreviewRow>,
}

/// One step of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRow {
    /// Its name.
    pub step: StepId,
    /// Its kind.
    pub kind: String,
    /// Its host.
    pub host: HostId,
    /// Whether the application is held still while it runs.
    pub in_window: bool,
    /// What it would do.
    #[serde(flatten)]
    pub preview: Preview,
    /// How long it took last time, in milliseconds.
    pub last_ms: Option<u64>,
}

/// Asks a host for the state of the world as it sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorldRequest {
    /// The pairs to be asked, each with its volume's driver.
    pub pairs: Vec<(PairDriverKind, PairRef)>,
    /// The libraries to be asked, with absolute paths.
    pub libraries: BTreeMap<LibraryId, Library>,
}

/// The state of the world, as one host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// Its records.
    pub catalog: Vec<Record>,
    /// The pairs that were asked.
    pub pairs: Vec<PairView>,
    /// The cartridges that were asked, or why they cannot be told.
    pub cartridges: BTreeMap<LibraryId, Result<Vec<Cartridge>, Failure>>,
    /// The leases that it has given.
    pub leases: Vec<Lease>,
    /// Runs that are parked here.
    pub parked: Vec<RunId>,
}

/// A pair, and what its driver says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairView {
    /// The pair.
    pub pair: PairRef,
    /// Its state, or why it cannot be told.
    #[serde(flatten, with = "told")]
    pub state: Result<PairState, Failure>,
}

/// A result as an operator reads it: the key `state`, or the key `failure`.
mod told {
    use resplit_operations::pair::PairState;
    use resplit_steps::failure::Failure;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Told<S, F> {
        State(S),
        Failure(F),
    }

    pub(super) fn serialize<S: Serializer>(
        state: &Result<PairState, Failure>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match state {
            Ok(state) => Told::State(state),
            Err(failure) => Told::Failure(failure),
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<PairState, Failure>, D::Error> {
        Ok(match Told::deserialize(deserializer)? {
            Told::State(state) => Ok(state),
            Told::Failure(failure) => Err(failure),
        })
    }
}

/// The right of a run to touch a resource, given by the host that the resource belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What.
    pub resource: Resource,
    /// To which run.
    pub run: RunId,
    /// Which host's engine coordinates it.
    pub coordinator: HostId,
    /// That engine's process.
    pub owner: resplit_steps::drivers::identity::Owner,
    /// The fencing token.
    pub token: u64,
    /// Since when.
    pub since: Timestamp,
}

/// Asks for leases: all of them, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// The run.
    pub run: RunId,
    /// Which host's engine coordinates it.
    pub coordinator: HostId,
    /// That engine's process.
    pub owner: resplit_steps::drivers::identity::Owner,
    /// What, with how many runs may hold it at once: 1 for a volume, its drives for a library.
    pub resources: Vec<(Resource, u32)>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lease", rename_all = "snake_case")]
pub enum LeaseReply {
    /// They are given.
    Granted {
        /// The fencing token.
        token: u64,
    },
    /// They are not.
    Held {
        /// By whom.
        by: Vec<Lease>,
        /// How many releases this host has seen: `lease_wait` returns when there are more.
        releases: u64,
    },
}

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
        again: Option<String>,
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
        /// The host could not be asked: then the same try is asked about again, rather than a new one made.
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

/// What an operator asks of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordVerb {
    /// Keep its pairs from being chosen.
    Lock,
    /// No longer. A lock that a run holds is only taken off when that run is over.
    Unlock,
    /// Give up on having it on tape: its pairs may be chosen again.
    Waive,
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

/// How an engine refuses: what every reply that is not a success carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which kind.
    pub kind: RefusalKind,
    /// Why.
    pub failure: Failure,
}

/// Which kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// There is no such run, record, step or file.
    NotFound,
    /// It is not possible now.
    Conflict,
    /// Somebody else holds it.
    Busy,
    /// The request makes no sense.
    BadRequest,
    /// The engine cannot, by its own fault or the machine's.
    Internal,
}
