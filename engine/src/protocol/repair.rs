//! What is given up with a damaged state.

use jiff::Timestamp;
use resplit_operations::{
    ids::{BackupId, RunId},
    site::Site,
};
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use crate::store::Damage;

/// Asks an engine that only reads what a repair would give up; or, confirmed, to repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairRequest {
    /// The site, with absolute paths: what is in the world is looked at, too.
    pub site: Site,
    /// What was shown and agreed to; nothing is done if the damage is another by now.
    pub confirmed: Option<Damage>,
}

/// What a repair would give up, or has given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// What is damaged.
    pub damage: Damage,
    /// When the newest thing that can be trusted happened.
    pub newest: Option<Timestamp>,
    /// Records that stay in the catalog.
    pub records: usize,
    /// Those of them that become stale, since their images were overwritten in the part that is lost.
    pub stale: Vec<BackupId>,
    /// Runs that were not over as far as can be trusted: what became of them is asked of the world.
    pub open_runs: Vec<RunId>,
    /// The next backup ID: above every one that may have been given.
    pub next_backup: BackupId,
    /// The next fencing token, likewise.
    pub next_token: u64,
    /// What could not be looked at, so that it does not count in these numbers.
    pub unseen: Vec<Failure>,
    /// The directory that the damaged files are in, once it is done.
    pub set_aside: Option<PathBuf>,
}
