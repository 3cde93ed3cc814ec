//! Windows: an application held still, and the watchdog that lets it go.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use resplit_operations::{action::Quiesce, ids::RunId, operation::QuiesceMode};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use self::guard::{Guard, Program};
use super::{
    clocks::Since,
    quiesce::{LeftFrozen, Watchdog, WindowKeeper},
    system,
};
use crate::{drivers::mounts, facts::Window, failure::Failure};

mod check;
mod frozen;
mod guard;
mod marker;
mod protocol;
mod seen;
mod watchdog;

pub use self::{frozen::try_write_main, watchdog::watchdog_main};

/// The pause before what could not be thawed is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// The windows that this engine holds open. Dropping it closes them.
pub struct Windows {
    program: PathBuf,
    prefix: Vec<OsString>,
    open: Mutex<HashMap<RunId, Opened>>,
}

struct Opened {
    at: Timestamp,
    budget: Duration,
    held: Held,
}

enum Held {
    /// Flushed at this moment; nothing is held.
    Flushed(Since),
    Frozen(Guard),
}

impl Windows {
    /// Windows whose watchdogs are `program` with the arguments `prefix`, then `watchdog --filesystem PATH --budget-ms N`,
    /// which must call [`watchdog_main`]; with `try-write --filesystem PATH` it must call [`try_write_main`]. `/proc/self/exe` is this program, also after its file was replaced.
    pub fn new(program: PathBuf, prefix: Vec<OsString>) -> Self {
        Self { program, prefix, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Opened>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a window of this engine holds it.
    fn is_held(&self, filesystem: &Path) -> bool {
        self.lock().values().any(|opened| match &opened.held {
            Held::Flushed(_) => false,
            Held::Frozen(guard) => guard.filesystem() == filesystem,
        })
    }

    fn hold(&self, quiesce: &Quiesce) -> Result<Held, Failure> {
        let path = &quiesce.filesystem;
        match quiesce.mode {
            QuiesceMode::Online => {
                let file = check::open(path)?;
                let began = Since::now();
                rustix::fs::syncfs(&file).map_err(|error| Failure::io("flush", path, &error.into()))?;
                Ok(Held::Flushed(began))
            }
            QuiesceMode::Freeze => {
                let program = Program { path: &self.program, prefix: &self.prefix };
                Guard::open(&program, path, quiesce.window.duration()).map(Held::Frozen)
            }
            QuiesceMode::Cold => Err(cold()),
        }
    }
}

impl WindowKeeper for Windows {
    fn check(&self, quiesce: &Quiesce, kept_clear: &[PathBuf]) -> Result<(), Failure> {
        let path = &quiesce.filesystem;
        match quiesce.mode {
            QuiesceMode::Online => check::open(path).map(drop),
            QuiesceMode::Freeze => {
                let (_, mount) = check::open_freezable(path)?;
                check::keep_clear(path, &mount, &self.program, kept_clear)
            }
            QuiesceMode::Cold => Err(cold()),
        }
    }

    fn open(&self, run: &RunId, quiesce: &Quiesce) -> Result<(), Failure> {
        if self.lock().contains_key(run) {
            return Err(Failure::permanent(format!("run {run} has a window open already")));
        }
        let at = Timestamp::now();
        // Not under the lock: a freeze may take long, and other runs have windows of their own.
        let held = self.hold(quiesce)?;
        let _ = self.lock().insert(run.clone(), Opened { at, budget: quiesce.window.duration(), held });
        Ok(())
    }

    fn close(&self, run: &RunId) -> Result<Window, Failure> {
        let Some(opened) = self.lock().remove(run) else {
            return Err(Failure::permanent(format!("run {run} has no window open")));
        };
        let window =
            |length_ms| Window { opened: opened.at, length_ms, budget_ms: milliseconds(opened.budget) };
        match opened.held {
            Held::Flushed(began) => Ok(window(began.elapsed_ms())),
            Held::Frozen(guard) => guard.close().map(window).map_err(|(failure, measured)| match measured {
                Some(length_ms) => failure.of_window(window(length_ms)),
                None => failure,
            }),
        }
    }

    fn is_open(&self, run: &RunId) -> bool {
        match self.lock().get(run).map(|opened| &opened.held) {
            Some(Held::Flushed(_)) => true,
            Some(Held::Frozen(guard)) => guard.is_frozen(),
            None => false,
        }
    }

    fn is_frozen(&self, filesystem: &Path) -> Result<bool, Failure> {
        frozen::is_frozen(&Program { path: &self.program, prefix: &self.prefix }, filesystem)
    }

    fn watchdogs(&self) -> Result<Vec<Watchdog>, Failure> {
        frozen::watchdogs().map_err(|error| Failure::io("list the processes in", Path::new("/proc"), &error))
    }

    fn left_frozen(&self) -> Result<Vec<LeftFrozen>, Failure> {
        let directory = Path::new(marker::DIRECTORY);
        marker::left(directory).map_err(|error| Failure::io("read", directory, &error))
    }

    /// What is no mount point (any more) is not frozen through this path.
    fn thaw(&self, filesystem: &Path) -> Result<bool, Failure> {
        let file = match mounts::open_directory(filesystem) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Failure::io("open", filesystem, &error)),
        };
        let (mount, is_mount_point) = mounts::Mount::of_file(&file)
            .map_err(|error| Failure::io("find the mount of", filesystem, &error))?;
        if !is_mount_point {
            return Ok(false);
        }
        // A watchdog that was killed while it was freezing is gone only when the freeze has ended: thawed before that, the
        // file system would be frozen afterwards. One of this engine's own windows is not waited for.
        if !self.is_held(filesystem) {
            wait_for_watchdogs(&file);
        }
        let thawed = thaw_open(&file).map_err(|error| {
            Failure::io("thaw", filesystem, &error)
                .with_help(format!("as root: fsfreeze --unfreeze {}", filesystem.display()))
        })?;
        marker::forget(Path::new(marker::DIRECTORY), &mount);
        Ok(thawed)
    }
}

/// Marks a file system as held by this process, until its last thread has ended. Not where somebody else has locked it.
fn mark_held(file: &File) {
    let _ = try_lock(file, FlockOperation::NonBlockingLockShared, Duration::from_millis(200));
}

/// Waits until no watchdog holds a file system. An orphan thaws at once; one that hangs is not waited for.
fn wait_for_watchdogs(file: &File) {
    let _ = try_lock(file, FlockOperation::NonBlockingLockExclusive, Duration::from_secs(2));
}

/// Whether a lock was got within so long.
fn try_lock(file: &File, lock: FlockOperation, limit: Duration) -> bool {
    let began = Instant::now();
    while flock(file, lock).is_err() {
        if began.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Thaws; `false` if it was not frozen.
fn thaw_open(file: &File) -> io::Result<bool> {
    match system::thaw(file) {
        Ok(()) => Ok(true),
        // Not frozen, or of a kind that cannot be.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::OPNOTSUPP)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn cold() -> Failure {
    Failure::permanent("quiesce mode `cold` is not built").with_help("use `online` or `freeze`")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
