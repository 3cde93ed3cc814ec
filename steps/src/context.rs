//! What a step is given: enough to act, and nothing to write the store with.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use resplit_operations::{
    action::Action,
    bound::{Binding, BoundPair},
    ids::{BackupId, HostId, LibraryId, OperationId, RunId, StepId, VolumeId},
    pair::Tag,
    plan::Purpose,
    record::Record,
    site::Site,
};

use crate::{
    contract::Obligation,
    drivers::{
        Drivers,
        media::{LibraryRef, MediaDriver},
        pairs::{Asked, PairDriver},
        quiesce::WindowKeeper,
    },
    facts::Facts,
    failure::Failure,
};

/// What a step is given.
pub struct Context<'a> {
    /// The operation.
    pub operation: &'a OperationId,
    /// What the plan is for.
    pub purpose: Purpose,
    /// The run.
    pub run: &'a RunId,
    /// The step.
    pub step: &'a StepId,
    /// Which try this is, from 1. A step whose window was lost is tried anew, under a number of its own.
    pub attempt: u32,
    /// What it does.
    pub action: &'a Action,
    /// How long this attempt may take, if that is limited.
    pub timeout: Option<Duration>,
    /// This host.
    pub host: &'a HostId,
    /// The parts of the site that the plan names, with absolute paths.
    pub site: &'a Site,
    /// What the plan means now.
    pub binding: &'a Binding,
    /// What earlier steps of the run have established.
    pub facts: &'a Facts,
    /// The records of this host, as they are at this moment.
    pub catalog: &'a [Record],
    /// This host's directories.
    pub directories: &'a Directories,
    /// The fencing token of the lease under which this step acts.
    pub token: u64,
    /// Allocates an ID of this host. It is only used if the intent that carries it is committed.
    pub reserve: &'a dyn Fn() -> BackupId,
    /// What touches the world.
    pub drivers: &'a Drivers,
    /// Holds windows open across steps.
    pub windows: &'a dyn WindowKeeper,
    /// Reaches the engines of other hosts.
    pub peers: &'a dyn Peers,
    /// Progress and cancellation.
    pub work: &'a Work,
    /// The time.
    pub clock: &'a dyn Clock,
}

impl Context<'_> {
    /// Who asks: written beside every effect, so that a probe can tell whose it was.
    pub fn tag(&self) -> Tag {
        Tag::of(self.run, self.step, self.attempt)
    }

    /// The pair that was chosen for a volume.
    pub fn bound(&self, volume: &VolumeId) -> Result<&BoundPair, Failure> {
        let missing = || Failure::permanent(format!("no pair of volume '{volume}' was chosen for this run"));
        self.binding.pairs.get(volume).ok_or_else(missing)
    }

    /// The pairs whose images this host can mount: of several targets, those that are here.
    pub fn mountable(&self) -> impl Iterator<Item = &BoundPair> {
        let any = self.binding.pairs.values().any(|bound| bound.secondary_host == *self.host);
        self.binding.pairs.values().filter(move |bound| !any || bound.secondary_host == *self.host)
    }

    /// The driver of a volume's pairs.
    pub fn pair_driver(&self, volume: &VolumeId) -> Result<&dyn PairDriver, Failure> {
        let missing = || Failure::permanent(format!("the plan's site has no volume '{volume}'"));
        self.drivers.pairs(self.site.volumes.get(volume).ok_or_else(missing)?.driver)
    }

    /// A library and its driver.
    pub fn library<'s>(
        &'s self,
        id: &'s LibraryId,
    ) -> Result<(LibraryRef<'s>, &'s dyn MediaDriver), Failure> {
        let missing = || Failure::permanent(format!("the plan's site has no library '{id}'"));
        let library = self.site.libraries.get(id).ok_or_else(missing)?;
        Ok((LibraryRef { id, library }, self.drivers.media(library)))
    }

    /// How a driver is asked by this step.
    pub fn asked(&self) -> Asked<'_> {
        Asked { tag: self.tag(), token: self.token, work: self.work }
    }

    /// Where this run mounts images that are volumes.
    pub fn mounts(&self) -> PathBuf {
        self.directories.mounts.join(&self.run.0)
    }

    /// The duty to unmount what this run mounts of the images of volumes; none where they are trees.
    pub fn close_images<'v>(
        &self,
        volumes: impl IntoIterator<Item = &'v VolumeId>,
    ) -> Result<Option<Obligation>, Failure> {
        for volume in volumes {
            if self.pair_driver(volume)?.mounts_images() {
                return Ok(Some(Obligation::CloseImages { at: self.mounts() }));
            }
        }
        Ok(None)
    }

    /// A record of this host.
    pub fn record(&self, id: BackupId) -> Option<&Record> {
        self.catalog.iter().find(|r| r.id == id)
    }
}

/// A host's directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// Everything below is in it.
    pub state: PathBuf,
    /// Files on their way from or to another host.
    pub staging: PathBuf,
    /// What shims of external commands write.
    pub commands: PathBuf,
    /// Where images that are volumes are mounted: a directory for each run, in it one for each volume.
    pub mounts: PathBuf,
}

impl Directories {
    /// Those of a state directory.
    pub fn of(state: &Path) -> Self {
        let below = |name| state.join(name);
        Self {
            state: state.to_owned(),
            staging: below("staging"),
            commands: below("commands"),
            mounts: below("mounts"),
        }
    }
}

/// Reaches the engines of other hosts.
pub trait Peers: Send + Sync {
    /// Puts a file into the staging directory of another host, whole or not at all, and gives its path there. The
    /// digest is BLAKE3 in hexadecimal; what arrives with another one is refused.
    fn send_file(&self, to: &HostId, name: &str, bytes: &[u8], digest: &str) -> Result<PathBuf, Failure>;
}

/// The time. Tests own theirs.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What long work looks at and reports to.
#[derive(Clone)]
pub struct Work {
    cancelled: Arc<AtomicBool>,
    /// What stops this work when it is stopped.
    whole: Vec<Arc<AtomicBool>>,
    progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

/// How far long work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all, if known.
    pub of_bytes: Option<u64>,
    /// Files and so on done.
    pub entries: u64,
    /// Files and so on in all, if known.
    pub of_entries: Option<u64>,
}

impl Work {
    /// Work that reports to `progress`. It is called from the thread that works; it must be quick.
    pub fn new(progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { cancelled: Arc::default(), whole: Vec::new(), progress: Arc::new(progress) }
    }

    /// Work that reports to nobody.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// A part of this work: stopped with it, or alone. What it reports is reported of the whole.
    #[must_use]
    pub fn part(&self) -> Self {
        let whole = self.whole.iter().chain([&self.cancelled]).map(Arc::clone).collect();
        Self { cancelled: Arc::default(), whole, progress: Arc::clone(&self.progress) }
    }

    /// Reports how far it has come. Call it at most some ten times a second.
    pub fn report(&self, progress: Progress) {
        (self.progress)(progress);
    }

    /// Asks the work to stop at its next safe point.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.whole.iter().chain([&self.cancelled]).any(|flag| flag.load(Ordering::Relaxed))
    }

    /// A failure if it was asked to stop: for safe points of long work.
    pub fn check(&self) -> Result<(), Failure> {
        if self.is_cancelled() { Err(Failure::cancelled()) } else { Ok(()) }
    }
}
