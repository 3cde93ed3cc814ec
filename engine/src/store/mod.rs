//! The engine's durable state: a commit log that is the truth, and a view of it that is read.
//!
//! A commit is one record appended to a segment of the log and synced with one fdatasync; then it is applied to the
//! view, then acknowledged. Commits of several callers that wait at once share a record. A checkpoint holds all keys
//! and values as of a place in the log; the two newest are kept, and the log since the older of them. The view may be
//! thrown away at any time: it is built again from a checkpoint and the log whenever it was not closed in order.
//!
//! Opening reads and checks what is durable before it changes anything. A record at the very end that was torn by a
//! crash was never acknowledged and is cut off. Any other damage is refused: such a store can be opened to be read only,
//! as far as it can be trusted, and an operator may give up the rest.

mod batch;
mod checkpoint;
mod checkpoint_file;
mod closed;
mod committer;
mod damage;
mod error;
mod files;
mod frame;
#[cfg(debug_assertions)]
mod killed;
mod log;
#[cfg(test)]
mod moments;
mod open;
mod place;
mod repair;
mod reserve;
mod salvage;
mod segment;
mod shared;
#[cfg(test)]
mod struck;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

pub use batch::{Batch, LONGEST_KEY, Table};
pub use damage::Damage;
pub use error::StoreError;
pub use open::{Found, Opened, Options};

use committer::{Reply, Request};
use open::Held;
use shared::Shared;
use view::{Range, Reading};
#[cfg(test)]
use {moments::moment, struck::strike};

/// Where a test may end the process.
#[cfg(not(test))]
const fn moment(_: &str) {}
/// Where a test may have sled fail.
#[cfg(not(test))]
const fn strike(_: &Path, _: &str) {}

/// A handle on the store; cheap to clone. When the last one goes without [`Store::close`], it is as after a crash:
/// nothing is lost, and the view is built again on opening.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    requests: Option<mpsc::Sender<Request>>,
    committer: Mutex<Option<JoinHandle<()>>>,
    /// What is known of a store that is only read.
    read_only: Option<ReadOnly>,
}

struct ReadOnly {
    damage: Arc<Damage>,
    counters: BTreeMap<String, u64>,
    /// Held as long as the store is read.
    _lock: Held,
}

impl Inner {
    fn wait(&self) {
        let thread = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the committer ended with a panic");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.requests = None;
        self.wait();
    }
}

impl Store {
    /// Opens the store in a directory, or creates it. No other process, and no other handle but clones of this one, may
    /// have it open: [`StoreError::InUse`].
    pub fn open(directory: &Path) -> Result<(Self, Opened), StoreError> {
        Self::open_with(directory, Options::default())
    }

    /// The same, with other sizes.
    pub fn open_with(directory: &Path, options: Options) -> Result<(Self, Opened), StoreError> {
        let (committer, opened) = open::open(directory, options)?;
        let shared = Arc::clone(&committer.shared);
        let (requests, thread) = committer.start()?;
        let (requests, committer, read_only) = (Some(requests), Mutex::new(Some(thread)), None);
        Ok((Self { inner: Arc::new(Inner { shared, requests, committer, read_only }) }, opened))
    }

    /// Opens a store that could not be opened, to read what of it can be trusted: a checkpoint that is whole, and the log
    /// after it up to the damage. `cause` is what [`Store::open`] said. Writes nothing; every commit is refused with
    /// [`StoreError::ReadOnly`].
    pub fn open_read_only(directory: &Path, cause: &StoreError) -> Result<Self, StoreError> {
        let (shared, damage, counters, lock) = open::open_read_only(directory, cause)?;
        let read_only = Some(ReadOnly { damage: Arc::new(damage), counters, _lock: lock });
        let (shared, requests, committer) = (Arc::new(shared), None, Mutex::default());
        Ok(Self { inner: Arc::new(Inner { shared, requests, committer, read_only }) })
    }

    /// Why it is only read, if it is.
    pub fn damage(&self) -> Option<Arc<Damage>> {
        self.inner.read_only.as_ref().map(|read_only| Arc::clone(&read_only.damage))
    }

    /// The largest value that a counter has anywhere in the damaged files: none is given again that was given in the part
    /// that is lost and can still be read. 0 if there is none.
    pub fn counter_seen(&self, key: &str) -> u64 {
        let read_only = self.inner.read_only.as_ref();
        read_only.and_then(|read_only| read_only.counters.get(key)).copied().unwrap_or_default()
    }

    /// Gives up what is lost: sets the damaged files aside into `damaged-MOMENT/`, and puts what could be trusted, with
    /// the writes of a batch, in their place; atomically, whatever becomes of this process. Gives that directory. The
    /// store is still only read by this handle: it is to be opened again. Refused while the disk cannot be read.
    pub fn repair(&self, more: &Batch, moment: &str) -> Result<PathBuf, StoreError> {
        let Some(ReadOnly { damage, .. }) = &self.inner.read_only else { return Err(StoreError::Closed) };
        if damage.unreadable {
            return Err(StoreError::ReadOnly(Arc::clone(damage)));
        }
        // No number of a commit that is lost is given to another.
        let sequence = damage.known.max(damage.trusted).max(1);
        let Shared { place, .. } = &*self.inner.shared;
        self.inner.shared.saved(|content| {
            repair::repair(place, content, more, sequence, moment, Options::default().segment_size)
        })
    }

    /// Makes a batch durable and applies it; blocks until both is done. Gives the number of its record in the log, which
    /// batches committed at the same moment share; 0 for an empty batch. After an error it is not known whether the
    /// batch will be there when the store is opened again, and every later commit fails with that error.
    pub fn commit(&self, batch: Batch) -> Result<u64, StoreError> {
        if checked(&batch)? {
            return Ok(0);
        }
        self.ask(|reply| Request::Commit(batch.operations, reply))
    }

    /// The same from async code. Once polled, the batch is committed even if the future is dropped.
    pub async fn commit_async(&self, batch: Batch) -> Result<u64, StoreError> {
        if checked(&batch)? {
            return Ok(0);
        }
        let (sender, receiver) = oneshot::channel();
        self.send(Request::Commit(batch.operations, Reply::Async(sender)))?;
        receiver.await.map_err(|_| self.is_closed())?
    }

    /// The value of a key.
    pub fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, StoreError> {
        let value = self.read(|view| view.get(table, key))?;
        value.map(|value| decode(table, key, &value)).transpose()
    }

    /// The keys that begin with a prefix, and their values, in the order of keys.
    pub fn scan<T: DeserializeOwned>(
        &self,
        table: Table,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let range = Range { prefix, before: None, backwards: false, limit: usize::MAX, values: true };
        self.scan_range(table, &range)
    }

    /// The keys that begin with a prefix, in order.
    pub fn keys(&self, table: Table, prefix: &str) -> Result<Vec<String>, StoreError> {
        let range = Range { prefix, before: None, backwards: false, limit: usize::MAX, values: false };
        let entries = self.read(|view| view.scan(table, &range))?;
        Ok(entries.into_iter().map(|(key, _)| key).collect())
    }

    /// The last keys that begin with a prefix, before a whole key if one is given, and their values; the last one first,
    /// at most `limit`.
    pub fn scan_back<T: DeserializeOwned>(
        &self,
        table: Table,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, T)>, StoreError> {
        self.scan_range(table, &Range { prefix, before, backwards: true, limit, values: true })
    }

    /// How many writes there were to a table since the store was opened. What was read after this was asked is still true
    /// while it is the same.
    pub fn changes(&self, table: Table) -> u64 {
        self.inner.shared.changes(table)
    }

    /// Writes a checkpoint of everything committed so far, and removes what of the log is no longer needed. Blocks its
    /// caller, not other commits.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.ask(Request::Checkpoint)
    }

    /// Whether the disk is full, or nearly so: only what must be undone should still be recorded.
    pub fn is_low_on_space(&self) -> bool {
        self.inner.shared.reserve.is_low()
    }

    /// Returns once a commit has failed. Every later one fails too: to be opened anew is all that helps.
    pub async fn failed(&self) {
        self.inner.shared.given_up().await;
    }

    /// Ends the store in order; whatever still has a handle gets [`StoreError::Closed`]. An error loses nothing.
    pub fn close(self) -> Result<(), StoreError> {
        if self.inner.read_only.is_some() {
            return Ok(());
        }
        let closed = self.ask(Request::Close);
        self.inner.wait();
        closed
    }

    fn ask<T>(&self, request: impl FnOnce(Reply<Result<T, StoreError>>) -> Request) -> Result<T, StoreError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.send(request(Reply::Blocking(sender)))?;
        receiver.recv().map_err(|_| self.is_closed())?
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "whose store it is matters to tests alone"))]
    fn is_closed(&self) -> StoreError {
        #[cfg(test)]
        crate::killed::end_if_dead(&self.inner.shared.place.root);
        StoreError::Closed
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        if let Some(ReadOnly { damage, .. }) = &self.inner.read_only {
            return Err(StoreError::ReadOnly(Arc::clone(damage)));
        }
        let sender = self.inner.requests.as_ref().ok_or_else(|| self.is_closed())?;
        sender.send(request).map_err(|_| self.is_closed())
    }

    /// Reads the view; if it fails, once more after it was built again.
    fn read<T>(&self, read: impl Fn(&dyn Reading) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.inner.shared.read(&read) {
            Err(error @ StoreError::View { .. }) => {
                self.ask(|reply| Request::Rebuild(error, reply))?;
                self.inner.shared.read(read)
            }
            done => done,
        }
    }

    fn scan_range<T: DeserializeOwned>(
        &self,
        table: Table,
        range: &Range<'_>,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let entries = self.read(|view| view.scan(table, range))?;
        entries
            .into_iter()
            .map(|(key, value)| {
                let value = decode(table, &key, &value)?;
                Ok((key, value))
            })
            .collect()
    }
}

/// Whether a batch writes nothing; an error if it writes too much.
fn checked(batch: &Batch) -> Result<bool, StoreError> {
    let (size, most) = (batch.operations.len(), frame::LARGEST_RECORD - frame::HEADER);
    if size > most {
        return Err(StoreError::TooLarge { what: "a batch", size, most });
    }
    Ok(batch.is_empty())
}

fn decode<T: DeserializeOwned>(table: Table, key: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| StoreError::Value {
        table: format!("{table:?}"),
        key: key.to_owned(),
        message: format!("cannot be read: {error}"),
    })
}
