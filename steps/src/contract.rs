//! What every step kind promises.

use resplit_operations::{
    ids::{BackupId, TransportId},
    record::CatalogChange,
    site::Transport,
};
use serde::{Deserialize, Serialize};

use crate::{context::Context, facts::Facts, failure::Failure};

/// A step kind.
///
/// # Contract
///
/// - `preview` and `prepare` change nothing.
/// - The engine makes the intent durable before it calls `run`, and the outcome durable before anything that needs
///   the step begins.
/// - `run` may be killed at any point, and is then never called again before `probe` has been.
/// - `probe` says what became of a `run` that was given the same intent, by asking the world, not by remembering.
/// - Whatever overwrites an image evicts, in its intent, every record of this host that describes that image.
pub trait Step: Send + Sync {
    /// What it would do, in a few words, from the present state of the world.
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure>;

    /// What must be durable before its first effect.
    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure>;

    /// Whether `prepare` asks neither drivers nor files, so that it needs no thread that may block.
    fn prepares_at_once(&self) -> bool {
        false
    }

    /// Whether `run`, as things stand, asks neither drivers nor files, so that it needs no thread that may block.
    fn runs_at_once(&self, context: &Context<'_>) -> bool {
        let _ = context;
        false
    }

    /// What became of a `run` with this intent.
    fn probe(&self, context: &Context<'_>, intent: &Intent) -> Result<Probe, Failure>;

    /// Does it.
    fn run(&self, context: &Context<'_>, intent: &Intent) -> Result<Outcome, Failure>;

    /// How it is undone, or why it cannot be.
    fn undo(&self) -> Undo;
}

/// What a step would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// What it acts on: a copy group, a file system, a record.
    pub what: String,
    /// The pair's status now, where it acts on one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub now: String,
    /// The pair's status then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub then: String,
    /// What an operator should know, a line each: evictions, refusals, what is overwritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What is durable before a step's first effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intent {
    /// The ID it will give: reserved once, never reused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<BackupId>,
    /// Evictions and stale marks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<CatalogChange>,
    /// What must be undone whatever happens, from now on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    /// What the step itself wants to find again: the moment, the cartridge it chose.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub note: serde_json::Value,
}

/// What is durable before anything that needs the step begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// What it established.
    pub facts: Facts,
    /// New records, locks, unlocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<CatalogChange>,
    /// Obligations that are discharged by it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discharged: Vec<Obligation>,
    /// What it did, in one line.
    pub summary: String,
}

/// What became of a step that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "snake_case")]
pub enum Probe {
    /// It did not happen, or so that doing it again completes it: run it.
    NotDone {
        /// How that is known.
        because: String,
    },
    /// It happened: adopt it.
    Done {
        /// What came of it.
        outcome: Box<Outcome>,
        /// How that is known.
        because: String,
    },
    /// It still runs: call `run` again, which waits for it.
    Running {
        /// How that is known.
        because: String,
    },
    /// It cannot be known: park, and ask this.
    Unknown {
        /// One precise question.
        question: String,
    },
}

/// What must be undone whatever happens. Durable before what it undoes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "obligation", rename_all = "snake_case")]
pub enum Obligation {
    /// Let the application go on.
    Thaw {
        /// The mount point of the file system that is held still.
        filesystem: std::path::PathBuf,
    },
    /// Release a mounted backup: its lock.
    Unmount {
        /// This host's ID of the mounted record.
        id: BackupId,
    },
    /// Unmount the images that are mounted in a directory of ours, and remove it.
    CloseImages {
        /// It.
        at: std::path::PathBuf,
    },
    /// Remove a staging file or directory.
    RemoveStaging {
        /// It.
        path: std::path::PathBuf,
    },
    /// Remove a file that is handed over by a transport.
    RemoveCarried {
        /// The transport.
        via: TransportId,
        /// What the site said of it.
        transport: Box<Transport>,
        /// The file's name there.
        name: String,
    },
}

/// How a step is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// It leaves nothing that would have to be undone.
    Nothing,
    /// By the step that it names as `finally`, or by discharging its obligations.
    Obligation,
    /// It cannot be; this is why.
    Irreversible(&'static str),
}
