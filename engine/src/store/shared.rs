//! What readers and the committer share, and how the view comes to be.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::{
    batch::{Table, operations},
    checkpoint::{self, Base, Changes},
    error::StoreError,
    files::{create_directory, list},
    log,
    place::Place,
    reserve::Reserve,
    salvage::Content,
    segment::{Segment, segments},
    view::{Reading, View},
    watch::Watcher,
};

/// Whether there is something to read.
pub(super) enum State {
    Ready(View),
    /// What was saved of a damaged store.
    Saved(Content),
    Broken(StoreError),
    Closed,
}

/// What readers and the committer share. A commit is applied under the write lock: readers see all of it or nothing.
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) reserve: Reserve,
    watcher: Arc<Watcher>,
    state: RwLock<State>,
    /// How many writes there were to each table, by its number.
    changes: [AtomicU64; Table::NUMBERS],
    /// Whether a commit has failed: none succeeds after it.
    failed: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(place: Place, reserve: Reserve, watcher: Arc<Watcher>, state: State) -> Self {
        Self {
            place,
            reserve,
            watcher,
            state: RwLock::new(state),
            changes: Default::default(),
            failed: watch::Sender::new(false),
        }
    }

    /// How many writes there were to a table since it was opened. Asked before a read: as long as it is the same, that
    /// read would give the same.
    pub(super) fn changes(&self, table: Table) -> u64 {
        self.changes[table as usize].load(Ordering::SeqCst)
    }

    /// Counts writes; the caller holds the write lock, so that who sees the number sees the writes.
    fn count(&self, writes: &[u8]) {
        for (key, _) in operations(writes).flatten() {
            if let Some(count) = key.first().and_then(|number| self.changes.get(usize::from(*number))) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// Says that nothing is acknowledged any more.
    pub(super) fn give_up(&self) {
        let _ = self.failed.send_replace(true);
    }

    /// Returns once nothing is acknowledged any more.
    pub(super) async fn given_up(&self) {
        // The sender lives as long as this value does.
        let _ = self.failed.subscribe().wait_for(|failed| *failed).await;
    }

    // A panic inside sled is caught below, so a poisoned lock holds a state like any other.
    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the view.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&dyn Reading) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &*self.read_state() {
            State::Ready(view) => read(view),
            State::Saved(content) => read(content),
            State::Broken(error) => Err(error.clone()),
            State::Closed => Err(StoreError::Closed),
        }
    }

    /// Applies the writes of a record that is durable. A view that fails is not used any more.
    pub(super) fn apply(&self, writes: &[u8]) -> Result<(), StoreError> {
        let mut state = self.write_state();
        self.count(writes);
        let applied = match &*state {
            State::Ready(view) => {
                operations(writes).flatten().try_for_each(|operation| view.apply(operation))
            }
            State::Broken(error) => Err(error.clone()),
            State::Saved(_) | State::Closed => return Err(StoreError::Closed),
        };
        applied.inspect_err(|error| abandon(std::mem::replace(&mut *state, State::Broken(error.clone()))))
    }

    /// Throws a view that failed away and builds it again from checkpoint and log. Nothing else may write to these.
    pub(super) fn rebuild(&self, why: &StoreError) -> Result<(), StoreError> {
        let mut state = self.write_state();
        if let (State::Ready(view), StoreError::View { path, .. }) = (&*state, why)
            && view.path() != path
        {
            return Ok(()); // It is another one already.
        }
        tracing::warn!("the view is built again: {why}");
        // The old one goes first: its room may be what is missing.
        abandon(std::mem::replace(&mut *state, State::Broken(why.clone())));
        let built = segments(&self.place).and_then(|segments| {
            let base = checkpoint::choose(&self.place, &segments)?;
            build(&self.place, &segments, &base, &self.reserve, &self.watcher)
        });
        *state = match built {
            Ok(view) => {
                tracing::warn!("the view was built again in {}", view.path().display());
                State::Ready(view)
            }
            Err(error) => {
                *state = State::Broken(error.clone());
                return Err(error);
            }
        };
        Ok(())
    }

    /// All that was saved of a damaged store.
    pub(super) fn saved<T>(
        &self,
        take: impl FnOnce(&Content) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &*self.read_state() {
            State::Saved(content) => take(content),
            State::Ready(_) | State::Broken(_) | State::Closed => Err(StoreError::Closed),
        }
    }

    /// The view, past what readers have.
    #[cfg(test)]
    pub(super) fn with_view<T>(&self, act: impl FnOnce(&View) -> T) -> T {
        match &*self.read_state() {
            State::Ready(view) => act(view),
            _ => panic!("there is no view"),
        }
    }

    /// A view that does not work any more.
    #[cfg(test)]
    pub(super) fn fail(&self, error: StoreError) {
        *self.write_state() = State::Broken(error);
    }

    /// Takes the view away, if there is one that works: nothing is read any more.
    pub(super) fn close(&self) -> Option<View> {
        match std::mem::replace(&mut *self.write_state(), State::Closed) {
            State::Ready(view) => Some(view),
            State::Broken(_) | State::Saved(_) | State::Closed => None,
        }
    }
}

/// Lets go of a view that failed.
fn abandon(state: State) {
    if let State::Ready(view) = state {
        view.abandon();
    }
}

/// Builds a new view in a fresh directory, after those that were there are removed; if that fails, once more, on a full
/// disk with the room that is kept for that.
pub(super) fn build(
    place: &Place,
    segments: &[Segment],
    base: &Base,
    reserve: &Reserve,
    watcher: &Arc<Watcher>,
) -> Result<View, StoreError> {
    let mut changes = Changes::new();
    log::read(place, segments, base.point, &mut |writes| checkpoint::collect(place, writes, &mut changes))?;
    let fill = || {
        let view = View::open(&fresh(place)?, watcher)?;
        checkpoint::merge(place, base, &changes, &mut |key, value| view.apply((key, Some(value))))?;
        Ok(view)
    };
    fill().or_else(|error: StoreError| {
        let again =
            if error.is_full() { reserve.release() } else { matches!(error, StoreError::View { .. }) };
        if again { fill() } else { Err(error) }
    })
}

/// A directory that no view was ever in while any other is there.
fn fresh(place: &Place) -> Result<PathBuf, StoreError> {
    create_directory(&place.view)?;
    let old: Vec<_> = list(&place.view)?.into_iter().filter(|path| path.is_dir()).collect();
    let number =
        old.iter().filter_map(|path| path.file_name()?.to_str()?.parse::<u64>().ok()).max().unwrap_or(0);
    for path in old {
        if let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!("cannot remove the old view {}: {error}", path.display());
        }
    }
    let path = place.view.join(format!("{}", number + 1));
    create_directory(&path)?;
    Ok(path)
}
