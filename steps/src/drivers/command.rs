//! What runs an operator's own commands, so that they outlive the engine and are found again.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use resplit_operations::pair::Tag;
use serde::{Deserialize, Serialize};

use crate::{context::Work, failure::Failure};

/// Runs external commands under a shim that survives the engine and writes process ID, start time and exit status to a
/// synced file.
///
/// # Contract
///
/// - A command is known by its tag, attempt and directory. [`CommandRunner::probe`] says what became of it from the shim's file and the process
///   table; a reused process ID deceives nobody.
/// - Never a shell. Standard output and error go to a file beside the shim's.
pub trait CommandRunner: Send + Sync {
    /// Runs it, or waits for the one that already runs under this tag, and gives how it ended. On a timeout or a cancellation its
    /// process group is ended: first asked, then killed after a grace period.
    fn run(&self, command: &ExternalCommand, work: &Work) -> Result<Ended, Failure>;

    /// What became of it.
    fn probe(&self, command: &ExternalCommand) -> Result<CommandState, Failure>;
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalCommand {
    /// Who asks.
    pub tag: Tag,
    /// The directory for the shim's files: made if it is not there.
    pub directory: PathBuf,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The environment, whole: nothing is inherited but `PATH`.
    pub environment: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit code, or 128 and the signal's number.
    pub code: i32,
    /// The last lines of its output, at most 4 KiB, without control characters.
    pub output: String,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CommandState {
    /// It was not started.
    NotStarted,
    /// It runs.
    Running {
        /// Its process ID.
        pid: u32,
    },
    /// It ended.
    Ended(Ended),
    /// It was started, runs no longer, and nobody saw how it ended.
    Lost,
}
