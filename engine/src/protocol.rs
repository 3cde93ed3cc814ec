//! What goes over the socket: one protocol, whoever speaks. JSON; names in `snake_case`, times in RFC 3339.

mod events;
mod leases;
mod leftovers;
mod repair;
mod runs;
mod steps;
mod survey;
mod world;

use jiff::Timestamp;
use resplit_operations::ids::HostId;
use resplit_operations::ids::RunId;
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};

use crate::store::Damage;

pub use self::leftovers::{Leftover, LeftoverKind, LeftoversRequest, ReleaseRequest, Released, RunStanding};
pub use events::{Event, What};
pub use leases::{Lease, LeaseReply, LeaseRequest};
pub use repair::{Repair, RepairRequest};
pub use runs::{
    Accepted, Again, Answer, AnswerRequest, Recovery, RunDetail, RunOptions, RunStatus, RunSummary,
    RunsQuery, Selector, StepDetail, StepStatus, Submit,
};
pub use steps::{Placed, StepEnd, StepMessage, StepRequest};
pub use survey::{Finding, Survey, SurveyRequest};
pub use world::{
    EnterRequest, Entered, HeldNow, PairView, PlanPreview, PreviewRow, RecordVerb, World, WorldRequest,
};

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
    /// Why it only reads, if it does: what it has stored is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<Damage>,
    /// Whether it was started with `--hold`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
    /// The interrupted runs that it holds on that account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<RunId>,
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
