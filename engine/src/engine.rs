//! The engine of one host: what all its parts share.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use resplit_operations::{
    ids::{BackupId, HostId, RunId},
    record::Record,
};
use resplit_steps::{
    context::{Clock, Directories},
    drivers::{Drivers, identity::Owner, quiesce::WindowKeeper, stream::Answering},
};
use tokio::sync::watch;

use crate::{
    catalog::{self, Catalog},
    leases::Leases,
    logs::Logs,
    obligations,
    peers::PeerEngines,
    progress::Progresses,
    protocol::EngineInfo,
    rows,
    run::drive::Control,
    serve_step::Serving,
    store::{Damage, Found, Opened, Store, StoreError},
};

/// What an engine is made of.
pub struct Parts {
    /// The host that it is.
    pub host: HostId,
    /// Its state directory.
    pub state: PathBuf,
    /// What touches the world.
    pub drivers: Drivers,
    /// Holds windows open.
    pub windows: Arc<dyn WindowKeeper>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Reaches the engines of other hosts.
    pub peers: PeerEngines,
    /// The program's version and build.
    pub build: String,
    /// This process.
    pub owner: Owner,
    /// Whether interrupted runs are left as they are until somebody resumes them.
    pub hold: bool,
}

/// The engine of one host.
pub struct Engine {
    pub(crate) host: HostId,
    pub(crate) directories: Directories,
    pub(crate) store: Store,
    catalog: Catalog,
    pub(crate) drivers: Drivers,
    pub(crate) windows: Arc<dyn WindowKeeper>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) peers: PeerEngines,
    pub(crate) leases: Leases,
    pub(crate) logs: Logs,
    pub(crate) progress: Progresses,
    pub(crate) owner: Owner,
    pub(crate) serving: Serving,
    /// Answers other hosts about pairs whose secondaries are here.
    pub(crate) answering: Answering,
    /// Whether a host may have to be told that a run of this one is over.
    pub(crate) unreleased: AtomicBool,
    /// Shared by runs, from when they look at the catalog until what they make of it is committed; an operator's change
    /// has it alone, so that neither overwrites what the other has seen.
    pub(crate) changing: tokio::sync::RwLock<()>,
    next_backup: AtomicU64,
    next_duty: AtomicU64,
    reserving: Mutex<()>,
    active: Mutex<HashMap<RunId, Arc<Control>>>,
    /// Counts up whenever something ends: what waits for an idle engine looks again.
    pub(crate) quiet: watch::Sender<u64>,
    /// Told when the engine is to stop.
    pub(crate) stop: tokio::sync::Notify,
    /// How many runs have ended since this engine started.
    pub(crate) ended: AtomicU64,
    started: Timestamp,
    build: String,
    opened: Option<String>,
    hold: bool,
    held: Mutex<BTreeSet<RunId>>,
}

impl Engine {
    /// Opens the store, and readies everything. Nothing runs yet: see [`Engine::recover`].
    pub fn open(parts: Parts) -> Result<Arc<Self>, StoreError> {
        let (store, opened) = match Store::open(&parts.state) {
            Ok((store, opened)) => (store, notice(&opened)),
            // What can be trusted is still shown; whether the rest is given up, an operator decides.
            Err(error) if error.spoils_what_is_stored() => {
                tracing::error!("{error}");
                (Store::open_read_only(&parts.state, &error)?, None)
            }
            Err(error) => return Err(error),
        };
        if let Err(error) = rows::formats::check(&store) {
            // In order, so that the next one finds it as this one did.
            if let Err(closing) = store.close() {
                tracing::warn!("the store was not closed in order: {closing}");
            }
            return Err(error);
        }
        let next_backup = AtomicU64::new(catalog::next_id(&store)?);
        let last_duty = obligations::standing(&store, None)?.last().map_or(0, |duty| duty.taken);
        Ok(Arc::new(Self {
            directories: Directories::of(&parts.state),
            leases: Leases::new(&store, &parts.owner)?,
            logs: Logs::new(&parts.state.join("logs")),
            progress: Progresses::default(),
            owner: parts.owner,
            serving: Serving::default(),
            answering: Answering::default(),
            // Until it was looked.
            unreleased: AtomicBool::new(true),
            changing: tokio::sync::RwLock::default(),
            next_backup,
            next_duty: AtomicU64::new(last_duty.saturating_add(1)),
            reserving: Mutex::default(),
            active: Mutex::default(),
            quiet: watch::Sender::new(0),
            stop: tokio::sync::Notify::new(),
            ended: AtomicU64::new(0),
            started: parts.clock.now(),
            build: parts.build,
            opened,
            hold: parts.hold,
            held: Mutex::default(),
            host: parts.host,
            store,
            catalog: Catalog::default(),
            drivers: parts.drivers,
            windows: parts.windows,
            clock: parts.clock,
            peers: parts.peers,
        }))
    }

    /// What the engine says of itself.
    pub fn describe(&self) -> EngineInfo {
        EngineInfo {
            protocol: crate::protocol::VERSION,
            build: self.build.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            started: self.started,
            busy: self.is_busy(),
            store: self.opened.clone(),
            read_only: self.store.damage().map(|damage| Damage::clone(&damage)),
            hold: self.hold,
            held: self.held().iter().cloned().collect(),
        }
    }

    /// Returns once the store cannot be written any more: nothing that is done could be recorded, and the engine must end.
    pub async fn store_failed(&self) {
        self.store.failed().await;
    }

    /// Closes the store in order, of an engine that does nothing any more. May block.
    pub fn close(self: Arc<Self>) -> Result<(), StoreError> {
        let store = self.store.clone();
        drop(self);
        store.close()
    }

    /// Refuses what would change something while what is stored is damaged.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        self.store.damage().map_or(Ok(()), |damage| Err(StoreError::ReadOnly(damage)))
    }

    /// Whether it was started to leave interrupted runs as they are.
    pub(crate) const fn holds(&self) -> bool {
        self.hold
    }

    /// The interrupted runs that it leaves as they are: it was started to hold them, or only reads.
    pub(crate) fn held(&self) -> MutexGuard<'_, BTreeSet<RunId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything runs, waits, is held or is leased to a live engine. One that held runs and went would be started
    /// again by the next command, and take them up; one that only reads would only read again.
    pub fn is_busy(&self) -> bool {
        if self.store.damage().is_some() {
            return false;
        }
        !self.active().is_empty()
            || !self.held().is_empty()
            || self.serving.is_busy()
            || self.answering.is_busy()
            || self.leases.any_alive(&self.owner)
    }

    /// The records of this host, in the order of their IDs.
    pub(crate) fn catalog(&self) -> Result<Arc<Vec<Record>>, StoreError> {
        self.catalog.all(&self.store)
    }

    /// Says that something has ended.
    pub(crate) fn note_quiet(&self) {
        self.quiet.send_modify(|count| *count += 1);
    }

    /// The runs that this engine drives now.
    pub(crate) fn active(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Control>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a backup ID. It is durable with the intent that carries it, and never given twice.
    pub(crate) fn reserve(&self) -> BackupId {
        BackupId(self.next_backup.fetch_add(1, Ordering::SeqCst))
    }

    /// Sees to it that the next backup ID is above `seen`: another host may remember more than a store that was lost.
    pub(crate) fn outrun(&self, seen: BackupId) {
        // Whatever a damaged record says, there must be IDs left.
        if seen.0 < BackupId::MAX {
            let _ = self.next_backup.fetch_max(seen.0.saturating_add(1), Ordering::SeqCst);
        }
    }

    /// The place of a duty among those that stand.
    pub(crate) fn next_duty(&self) -> u64 {
        self.next_duty.fetch_add(1, Ordering::SeqCst)
    }

    /// Held while a commit that reserves IDs is queued.
    pub(crate) fn reserving(&self) -> MutexGuard<'_, ()> {
        self.reserving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ID that would be reserved next.
    pub(crate) fn next_backup(&self) -> u64 {
        self.next_backup.load(Ordering::SeqCst)
    }
}

/// What opening the store found, if it was anything but a clean shutdown.
fn notice(opened: &Opened) -> Option<String> {
    let mut told = Vec::new();
    if let Found::Rebuilt { why } = &opened.found {
        told.push(format!("the view was rebuilt from the log: {why}"));
    }
    if opened.torn_bytes > 0 {
        told.push(format!(
            "{} bytes of a commit that was never acknowledged were cut off",
            opened.torn_bytes
        ));
    }
    if !opened.damaged_checkpoints.is_empty() {
        told.push(format!("damaged checkpoints: {}", opened.damaged_checkpoints.join(", ")));
    }
    (!told.is_empty()).then(|| told.join("; "))
}
