//! A file system for tests, in memory, served through FUSE: its power can be cut, and any call can be made to fail.
//!
//! A [`Disk`] is what is stored; [`Disk::mount`] lets programs use it. It has a volatile cache and no journal, and keeps
//! only what it must:
//!
//! - fsync and fdatasync of a file make its content and size durable, not its name;
//! - a name that was created, renamed or removed is durable once its directory was synced;
//! - of what was not synced, a power cut keeps any part: each sector of 512 bytes in any state that it went through,
//!   in any order; each change of a name or not, a rename in both places at once;
//! - a sync that fails leaves to chance what is durable of what it should have synced, and the next one does not try
//!   again, as file systems do that call a page clean whose write has failed;
//! - nothing is cached between programs and the disk, so that each call arrives, and is counted.
//!
//! What a cut keeps depends on its seed alone. Extended attributes are not supported. Locks are those of the machine.

mod content;
mod fault;
mod names;
mod serve;
mod state;

use std::{
    collections::BTreeSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fastrand::Rng;
use fuser::{BackgroundSession, Errno};
use rustix::mount::{UnmountFlags, unmount};

pub use content::{BLOCK, SECTOR};
pub use fault::{Calls, Error, Fault, Kind};

use fault::Waiting;
use state::State;

type Each = Box<dyn FnMut(u64, Disk) + Send>;

/// What is behind a disk.
struct Inner {
    state: State,
    calls: Calls,
    fault: Option<Waiting>,
    /// How often a fault was met.
    failed: u64,
    stops_at: Option<u64>,
    off: bool,
    random: Rng,
    watched: BTreeSet<u64>,
    each: Option<Each>,
}

/// A disk; a clone is the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Inner>>);

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Disk").field("calls", &self.calls().all()).finish_non_exhaustive()
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// An empty disk with all the room that is asked for.
    #[must_use]
    pub fn new() -> Self {
        Self::with(State::new())
    }

    fn with(state: State) -> Self {
        let (calls, random) = (Calls::default(), Rng::with_seed(0));
        let (fault, failed, stops_at, off, watched, each) = (None, 0, None, false, BTreeSet::new(), None);
        Self(Arc::new(Mutex::new(Inner {
            state,
            calls,
            fault,
            failed,
            stops_at,
            off,
            random,
            watched,
            each,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets programs use it at a directory. Fails where FUSE may not be used.
    pub fn mount(&self, at: &Path) -> io::Result<Mounted> {
        let at = at.canonicalize()?;
        let mut config = fuser::Config::default();
        config.mount_options = vec![
            fuser::MountOption::FSName("resplit-test-disk".to_owned()),
            fuser::MountOption::DefaultPermissions,
            fuser::MountOption::Dev,
            fuser::MountOption::Suid,
        ];
        let session = fuser::Session::new(serve::Server::new(self.clone()), &at, &config)?.spawn()?;
        Ok(Mounted { disk: self.clone(), at, session: Some(session), scratch: None })
    }

    /// Lets programs use it in a scratch directory; `None`, said aloud, where FUSE may not be used.
    #[must_use]
    pub fn mount_or_skip(&self) -> Option<Mounted> {
        let mounted = tempfile::tempdir().and_then(|scratch| {
            let mut mounted = self.mount(scratch.path())?;
            mounted.scratch = Some(scratch);
            Ok(mounted)
        });
        mounted
            .inspect_err(|error| eprintln!("skipped: no FUSE file system can be mounted here: {error}"))
            .ok()
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.inner().calls
    }

    /// Has a call fail. One fault at a time: this one takes the place of any other.
    pub fn inject(&self, fault: Fault) {
        let mut inner = self.inner();
        inner.fault = Some(Waiting::new(fault));
        inner.failed = 0;
    }

    /// Has no more calls fail. How many did since the fault was injected.
    pub fn lift(&self) -> u64 {
        let mut inner = self.inner();
        inner.fault = None;
        inner.failed
    }

    /// Has every call fail from this one on, counted from the first call ever, as if the program that makes them were
    /// gone: nothing more reaches the disk, and nothing is lost of what did.
    pub fn stop_at(&self, call: u64) {
        self.inner().stops_at = Some(call);
    }

    /// Ends that.
    pub fn go_on(&self) {
        let mut inner = self.inner();
        inner.stops_at = None;
        inner.off = false;
    }

    /// Gives a copy of the disk before each of these calls, counted from the first call ever, as it is at that moment:
    /// for [`Disk::cut`]. `each` is called while the program that makes the call waits, and must not use any disk itself.
    pub fn watch(&self, calls: impl IntoIterator<Item = u64>, each: impl FnMut(u64, Disk) + Send + 'static) {
        let mut inner = self.inner();
        inner.watched = calls.into_iter().collect();
        inner.each = Some(Box::new(each));
    }

    /// What is left of it when the power is cut now, as another disk; this one stays as it is.
    #[must_use]
    pub fn cut(&self, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let left = self.inner().state.cut(&mut random);
        Self::with(left)
    }

    /// Another disk with the same on it, whatever becomes of this one.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::with(self.inner().state.clone())
    }

    /// Has so many bytes of room in all from now on, or as many as are asked for.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.inner().state.room = bytes.map(state::blocks);
    }

    /// How many bytes are taken.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.inner().state.used() * BLOCK as u64
    }

    /// Whether fsync and fdatasync of files do nothing from now on, as on a disk that lies.
    pub fn set_forgetful(&self, forgetful: bool) {
        self.inner().state.forgetful = forgetful;
    }

    /// Counts a call, and gives what is to be done it; or the error that it is to fail with.
    fn call(&self, kind: Kind, changes: bool) -> Result<MutexGuard<'_, Inner>, Errno> {
        let mut inner = self.inner();
        inner.off |= inner.stops_at.is_some_and(|call| call <= inner.calls.all() + 1);
        if inner.off {
            return Err(Errno::EIO);
        }
        inner.calls.count(kind, changes);
        let number = inner.calls.all();
        if inner.watched.remove(&number)
            && let Some(mut each) = inner.each.take()
        {
            let copy = Self::with(inner.state.clone());
            each(number, copy);
            inner.each = Some(each);
        }
        if let Some(fault) = &mut inner.fault
            && fault.meets(kind, changes)
        {
            let error = fault.error();
            inner.failed += 1;
            return Err(error.number());
        }
        Ok(inner)
    }
}

/// A disk that programs can use. Dropped, it is not reachable any more, whoever still has a file of it open.
#[derive(Debug)]
pub struct Mounted {
    disk: Disk,
    at: PathBuf,
    session: Option<BackgroundSession>,
    /// Removed once nothing is mounted there.
    scratch: Option<tempfile::TempDir>,
}

impl Mounted {
    /// Where.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What is still open keeps the file system in being: its thread ends with the last file.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
        drop(self.session.take());
        drop(self.scratch.take());
    }
}
