//! A world made up: pairs that only have a state, and everything that a step is given.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use resplit_operations::{
    action::Action,
    bound::{Binding, BoundPair},
    ids::{BackupId, CopyGroup, HostId, OperationId, RunId, StepId},
    operation::QuiesceMode,
    pair::{CopyReport, PairRef, PairState, PairStatus},
    plan::Purpose,
    record::{Image, Medium, Origin, Record, Standing, TapeState},
    site::{Host, Location, Pair, PairDriverKind, Secondary, Site, Volume},
};

use crate::{
    context::{Clock, Context, Directories, Peers, SystemClock, Work},
    contract::{Intent, Outcome},
    drivers::{
        Drivers,
        pairs::{Asked, Difference, PairDriver},
        shim::Shims,
        virtual_library::VirtualLibrary,
        window::Windows,
    },
    facts::Facts,
    failure::Failure,
    kinds,
};

/// Pairs that have a state and no content.
struct Pairs(Mutex<BTreeMap<CopyGroup, PairState>>);

fn refused<T>() -> Result<T, Failure> {
    Err(Failure::permanent("this pair has no content"))
}

impl PairDriver for Pairs {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        let known = self.0.lock().unwrap().get(&pair.copy_group).cloned();
        known.ok_or_else(|| Failure::permanent("no such pair"))
    }
    fn resync(&self, _: &PairRef, _: &Asked<'_>) -> Result<CopyReport, Failure> {
        refused()
    }
    fn split(&self, _: &PairRef, _: u64, _: &Asked<'_>) -> Result<CopyReport, Failure> {
        refused()
    }
    fn restore(&self, _: &PairRef, _: &Asked<'_>) -> Result<CopyReport, Failure> {
        refused()
    }
    fn pending(&self, _: &PairRef, _: &Work) -> Result<Difference, Failure> {
        Ok(Difference::default())
    }
    fn difference(&self, _: &PairRef, _: &Work) -> Result<Difference, Failure> {
        refused()
    }
    fn open_image(&self, pair: &PairRef, _: &Path) -> Result<PathBuf, Failure> {
        Ok(pair.secondary.join("data"))
    }
    fn begin_overwrite(&self, _: &PairRef, _: &Path, _: &Asked<'_>) -> Result<PathBuf, Failure> {
        refused()
    }
    fn end_overwrite(&self, _: &PairRef, _: &CopyReport, _: &Asked<'_>) -> Result<(), Failure> {
        refused()
    }
    fn copy_out(&self, _: &Path, _: &[PathBuf], _: &Path, _: &Work) -> Result<CopyReport, Failure> {
        refused()
    }
    fn remnants(&self, _: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        Ok(Vec::new())
    }
    fn purge_cache(&self, _: &PairRef) -> Result<&'static str, Failure> {
        Ok("not needed")
    }
}

struct Nobody;

impl Peers for Nobody {
    fn send_file(&self, _: &HostId, _: &str, _: &[u8], _: &str) -> Result<PathBuf, Failure> {
        Err(Failure::temporary("nobody is there"))
    }
}

/// A host with a catalog, and a run on one pair: volume `v`, copy group `A,v`, epoch 3.
pub(super) struct World {
    pub host: HostId,
    pub catalog: Vec<Record>,
    pub facts: Facts,
    pub binding: Binding,
    pub site: Site,
    pub run: RunId,
    pub directory: tempfile::TempDir,
    drivers: Drivers,
    next: AtomicU64,
}

pub(super) const GROUP: &str = "A,v";

impl World {
    /// Seen by a host: the primary is at `fileserver`, the secondary at `backupserver`.
    pub(super) fn at(host: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = |host: &str, path: &str| Location { host: host.into(), path: path.into() };
        let pair = PairRef {
            apart: None,
            volume: "v".into(),
            copy_group: GROUP.into(),
            generation: 0,
            primary: "/primary".into(),
            secondary: "/secondary".into(),
            device: None,
            array: None,
            qemu: None,
            lvm: None,
        };
        let bound = BoundPair {
            pair,
            secondary_host: "backupserver".into(),
            status: PairStatus::Psus,
            reason: String::new(),
            of: 1,
        };
        let volume = Volume {
            driver: PairDriverKind::Directory,
            primary: place("fileserver", "/primary"),
            behind: None,
            of: None,
            qemu: None,
            lvm: None,
            pairs: vec![Pair {
                pace: None,
                copy_group: GROUP.into(),
                secondary: Secondary {
                    host: "backupserver".into(),
                    path: "/secondary".into(),
                    device: None,
                    reach: None,
                },
                settings: [].into(),
            }],
            settings: [].into(),
            declared: None,
        };
        let here = Host::local("/state");
        let state = PairState {
            status: PairStatus::Psus,
            epoch: 3,
            backed_up: 1,
            token: 0,
            last: None,
            percent: None,
        };
        Self {
            host: host.into(),
            catalog: Vec::new(),
            facts: Facts::default(),
            binding: Binding { pairs: [("v".into(), bound)].into(), ..Binding::default() },
            site: Site {
                neighbours: [].into(),
                transports: [].into(),
                hosts: [("fileserver".into(), here.clone()), ("backupserver".into(), here)].into(),
                volumes: [("v".into(), volume)].into(),
                libraries: BTreeMap::new(),
            },
            run: "documents-9".into(),
            directory,
            drivers: Drivers {
                pairs: [(
                    PairDriverKind::Directory,
                    Arc::new(Pairs(Mutex::new([(GROUP.into(), state)].into()))) as Arc<dyn PairDriver>,
                )]
                .into(),
                virtual_library: Arc::new(VirtualLibrary::new()),
                commands: Arc::new(Shims::new("/nonexistent".into(), Vec::new())),
            },
            next: AtomicU64::new(100),
        }
    }

    pub(super) fn with(mut self, record: Record) -> Self {
        self.catalog.push(record);
        self
    }

    fn context<T>(&self, action: &Action, call: impl FnOnce(&Context<'_>) -> T) -> T {
        let (operation, step) = (OperationId::from("documents"), StepId::from("step"));
        let windows = Windows::new("/nonexistent".into(), Vec::new());
        let directories = Directories::of(self.directory.path());
        let clock: &dyn Clock = &SystemClock;
        call(&Context {
            operation: &operation,
            purpose: Purpose::Backup,
            run: &self.run,
            step: &step,
            attempt: 1,
            action,
            timeout: None,
            host: &self.host,
            site: &self.site,
            binding: &self.binding,
            facts: &self.facts,
            catalog: &self.catalog,
            directories: &directories,
            token: 1,
            reserve: &|| BackupId(self.next.fetch_add(1, Ordering::SeqCst)),
            drivers: &self.drivers,
            windows: &windows,
            peers: &Nobody,
            work: &Work::silent(),
            clock,
        })
    }

    pub(super) fn prepare(&self, action: &Action) -> Result<Intent, Failure> {
        self.context(action, |context| kinds::step(action).prepare(context))
    }

    pub(super) fn run(&self, action: &Action, intent: &Intent) -> Result<Outcome, Failure> {
        self.context(action, |context| kinds::step(action).run(context, intent))
    }
}

/// A backup on the pair, at its epoch.
pub(super) fn record(id: u64, original: u64) -> Record {
    let moment = Timestamp::from_second(i64::try_from(original).unwrap()).unwrap();
    Record {
        id: BackupId(id),
        origin: Origin {
            original_id: BackupId(original),
            source_host: "fileserver".into(),
            operation: "documents".into(),
            run: RunId(format!("documents-{original}")),
            mode: QuiesceMode::Online,
            started: moment,
            ended: moment,
            images: vec![Image {
                source: None,
                volume: "v".into(),
                copy_group: GROUP.into(),
                generation: 0,
                epoch: 3,
                report: CopyReport::default(),
            }],
        },
        medium: Medium::Disk,
        standing: Standing::Current,
        lock: None,
        tape: TapeState::NotWanted,
        entered: moment,
    }
}

pub(super) fn stale(record: Record) -> Record {
    Record { standing: Standing::Stale { since: Timestamp::UNIX_EPOCH, reason: String::new() }, ..record }
}
