//! Leases: the right of a run to touch what belongs to a host.

use jiff::Timestamp;
use resplit_operations::ids::HostId;
use resplit_operations::ids::RunId;
use resplit_operations::plan::Resource;
use resplit_operations::site::Host;
use serde::{Deserialize, Serialize};

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
    /// Whether that process is on another machine. Then nobody here can tell whether it lives, and the lease stands until
    /// its coordinator gives it back, or does not know the run any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub far: bool,
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
    /// If that process is on another machine than the host that is asked: how its host is reached, to ask it later what
    /// became of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far: Option<Host>,
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
        /// This host's count of releases: `lease_wait` returns when it is another.
        releases: u64,
    },
}
