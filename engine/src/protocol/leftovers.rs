//! What resplit made in the world and has not undone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jiff::Timestamp;
use resplit_operations::{
    ids::{OperationId, RunId, VolumeId},
    operation::UsualState,
    site::Site,
};
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};

/// Asks a host what was left on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftoversRequest {
    /// The site, with absolute paths: its pairs and libraries are looked at, its hosts are asked about their runs.
    pub site: Site,
    /// How the pairs of each volume rest, by the operation that protects it.
    pub resting: BTreeMap<VolumeId, (OperationId, UsualState)>,
    /// The file systems that operations freeze on this host.
    pub filesystems: BTreeSet<PathBuf>,
}

/// Something that resplit made and has not undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Names it for [`ReleaseRequest`]; the same as long as it stands.
    pub id: String,
    /// What kind of thing it is.
    pub kind: LeftoverKind,
    /// What it is, in words.
    pub what: String,
    /// Since when it stands, as far as is known.
    pub since: Option<Timestamp>,
    /// The run that made it, as far as is known.
    pub run: Option<RunId>,
    /// How that run stands.
    pub standing: RunStanding,
    /// Whether it is undone by being released.
    pub releasable: bool,
    /// The command that undoes it, or what else does.
    pub next: String,
}

/// Kinds of leftovers, in the order in which they are listed, and released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftoverKind {
    /// A file system that is, or may be, frozen.
    Freeze,
    /// A watchdog, a shim or a command that still runs.
    Process,
    /// A run that was interrupted and is held, or is parked.
    Run,
    /// A backup that is mounted, and so locked.
    Mount,
    /// A pair that does not rest in its usual state.
    Pair,
    /// A temporary file of a pair.
    TemporaryFile,
    /// A staging file or directory.
    Staging,
    /// What a command of a run that nobody knows left.
    CommandFiles,
    /// A backup that is wanted on tape and is not there: its pairs are interlocked.
    Interlock,
    /// The beginning of a dataset that was never closed.
    UnclosedDataset,
    /// The right to touch a pair or a drive.
    Lease,
    /// A host that has not been told that a run is over.
    Untold,
}

/// How the run that made something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStanding {
    /// It is at work: what it made is not left behind.
    AtWork,
    /// It was interrupted, and is held.
    Held,
    /// It waits for an operator's answer.
    Parked,
    /// It is over.
    Over,
    /// No host of the site knows it, or no run is known to have made it.
    Unknown,
    /// A host that may know it cannot be asked.
    Unreachable,
}

/// Asks a host to undo leftovers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRequest {
    /// As it was asked for the listing: what is released is looked at anew.
    pub of: LeftoversRequest,
    /// [`Leftover::id`] of each: what is gone by now, or may not be released any more, is left alone.
    pub ids: BTreeSet<String>,
}

/// What became of a leftover that was to be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// It.
    #[serde(flatten)]
    pub leftover: Leftover,
    /// Why it still stands, if it does.
    pub failure: Option<Failure>,
}
