//! What holds an application still, and who lets it go.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use resplit_operations::{action::Quiesce, ids::RunId};

use super::identity::Owner;
use crate::{facts::Window, failure::Failure};

/// Holds windows open across steps.
///
/// # Contract
///
/// - A frozen file system is held by a watchdog process of its own, started before the freeze. It thaws when it is told
///   to, when the engine's end of its pipe closes, or when the budget ends, whichever comes first. The budget goes on while
///   the machine is suspended: whoever waits for the file system does, too.
/// - Before it freezes, the watchdog notes that it does, outside of any state directory; once it has thawed, it takes that
///   back.
/// - If the watchdog cannot be started, or dies, nothing is (or stays) frozen.
pub trait WindowKeeper: Send + Sync {
    /// Whether the file system can be held still this way, without touching it: what is no mount point, holds anything in
    /// `kept_clear` (state, binary, secondaries), or cannot freeze is refused.
    fn check(&self, quiesce: &Quiesce, kept_clear: &[PathBuf]) -> Result<(), Failure>;

    /// Opens a window: flushes (`online`) or freezes. One window a run.
    fn open(&self, run: &RunId, quiesce: &Quiesce) -> Result<(), Failure>;

    /// Closes it. A window that was over its budget was thawed when the budget ended: that is a failure, which carries
    /// what was measured.
    fn close(&self, run: &RunId) -> Result<Window, Failure>;

    /// Whether a window of this run is open, and still held if it is a frozen one.
    fn is_open(&self, run: &RunId) -> bool;

    /// Thaws a file system that a dead engine may have left frozen. One that is not frozen is left alone. `true` if it
    /// was frozen.
    fn thaw(&self, filesystem: &Path) -> Result<bool, Failure>;

    /// Whether a file system is frozen, by whomever. Changes nothing, and returns within seconds.
    fn is_frozen(&self, filesystem: &Path) -> Result<bool, Failure>;

    /// The watchdogs of this machine, whichever engine started them.
    fn watchdogs(&self) -> Result<Vec<Watchdog>, Failure>;

    /// What watchdogs of this machine that are gone have frozen, by their own word, and not thawed. Somebody else may have
    /// thawed it since.
    fn left_frozen(&self) -> Result<Vec<LeftFrozen>, Failure>;
}

/// A file system that was frozen by a watchdog which is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftFrozen {
    /// The mount point.
    pub filesystem: PathBuf,
    /// Who froze it.
    pub watchdog: Owner,
    /// When.
    pub since: Timestamp,
}

/// A process that holds a file system still, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// The process.
    pub process: Owner,
    /// Whether the engine that started it is gone.
    pub is_orphan: bool,
    /// The mount point.
    pub filesystem: PathBuf,
}

impl Watchdog {
    /// Asks it to end: it thaws what it holds first. Returns once it is gone.
    pub fn end(&self) -> Result<(), Failure> {
        /// A thaw is tried until it is done; longer is worth telling.
        const GRACE: Duration = Duration::from_secs(5);
        super::shim::end_process(&self.process, GRACE)
    }
}
