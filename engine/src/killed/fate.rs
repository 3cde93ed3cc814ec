//! When an engine is killed, and that it is dead.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, mpsc::Sender},
};

use tokio::sync::watch;

/// With what the threads of an engine that is dead end.
const KILLED: &str = "this engine was killed by its test";

/// A place where an engine can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// A commit is about to be written.
    BeforeCommit,
    /// It is durable and applied; nobody has been told, and no effect has begun.
    AfterCommit,
    /// A step has done its work; how it ended is not written.
    AfterEffect,
}

/// What becomes of one engine.
pub(super) struct Fate {
    inner: Mutex<Inner>,
    alive: watch::Sender<bool>,
}

struct Inner {
    /// How often each moment came since the orders were given.
    counted: BTreeMap<Moment, u64>,
    order: Option<(Moment, u64)>,
    dead: bool,
    told: Sender<Told>,
}

/// What whoever started an engine is told.
pub(super) enum Told {
    /// The engine of this state directory is dead.
    Died(PathBuf),
    /// What was followed is over.
    Over,
}

/// The engines of this process that may be killed, by their state directories.
static FATES: Mutex<BTreeMap<PathBuf, Arc<Fate>>> = Mutex::new(BTreeMap::new());

fn fate(state: &Path) -> Option<Arc<Fate>> {
    FATES.lock().unwrap().get(state).cloned()
}

impl Fate {
    /// Of a new engine in a state directory; its death is told to `told`.
    pub(super) fn begin(state: &Path, told: Sender<Told>) -> Arc<Self> {
        let inner = Inner { counted: BTreeMap::new(), order: None, dead: false, told };
        let mut fates = FATES.lock().unwrap();
        // Who waits for the engine of this directory waits for the one that comes next.
        let alive = fates.get(state).map_or_else(|| watch::Sender::new(false), |last| last.alive.clone());
        let fate = Arc::new(Self { inner: Mutex::new(inner), alive });
        let _ = fates.insert(state.to_owned(), Arc::clone(&fate));
        fate
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Counts anew, up to this order.
    pub(super) fn order(&self, order: Option<(Moment, u64)>) {
        let mut inner = self.inner();
        inner.counted.clear();
        inner.order = order;
    }

    /// How often each moment has come.
    pub(super) fn counted(&self) -> BTreeMap<Moment, u64> {
        self.inner().counted.clone()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.inner().dead
    }

    /// It listens.
    pub(super) fn is_up(&self) {
        let _ = self.alive.send_replace(true);
    }

    /// It ends in order.
    pub(super) fn end(&self) {
        let _ = self.alive.send_replace(false);
        self.inner().dead = true;
    }
}

/// Forgets the engines of these directories.
pub(super) fn forget(states: &[PathBuf]) {
    FATES.lock().unwrap().retain(|state, _| !states.contains(state));
}

/// An engine has come to a place where it may be killed. If it is dead, or is killed now, its thread ends here.
pub(crate) fn reached(state: &Path, moment: Moment) {
    let Some(fate) = fate(state) else { return };
    let mut inner = fate.inner();
    if !inner.dead {
        let count = inner.counted.entry(moment).or_default();
        *count += 1;
        let now = (moment, *count);
        if inner.order != Some(now) {
            return;
        }
        inner.dead = true;
        let _ = fate.alive.send_replace(false);
        let _ = inner.told.send(Told::Died(state.to_owned()));
    }
    drop(inner);
    // Not a panic: nothing is printed, and whoever runs this thread takes it for ended.
    resume_unwind(Box::new(KILLED));
}

/// Passes the end of a thread on to whoever waited for it: an engine that is dead explains nothing, and answers nobody.
pub(crate) fn end_with(told: &str) {
    if told.contains(&format!("{KILLED:?}")) {
        resume_unwind(Box::new(KILLED));
    }
}

/// Ends this thread if it works for an engine that is dead.
pub(crate) fn end_if_dead(state: &Path) {
    if fate(state).is_some_and(|fate| fate.inner().dead) {
        resume_unwind(Box::new(KILLED));
    }
}

/// Whether the engine of a directory is one of those that may be killed.
pub(crate) fn is_watched(state: &Path) -> bool {
    fate(state).is_some()
}

/// Waits until the engine of a directory listens, if it is one of those that may be killed.
pub(crate) async fn until_alive(state: &Path) {
    let Some(mut alive) = fate(state).map(|fate| fate.alive.subscribe()) else { return };
    // The sender is kept as long as anybody may wait.
    let _ = alive.wait_for(|is_so| *is_so).await;
}
