//! The view: what everything reads. It holds what checkpoint and log hold, and may be thrown away at any time.

use std::{
    fs::{self, File},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::{
    batch::{Operation, Table},
    error::{StoreError, no_room},
    files::list,
    frame::Point,
    watch::Watcher,
};

/// Values over this many bytes are divided: sled would put them into files that it never syncs.
const CHUNK: usize = 4096;
/// In the first byte of a stored value: the value follows, or the number of its chunks does.
const WHOLE: u8 = 0;
const DIVIDED: u8 = 1;
/// Set in the first byte of a chunk's key, which is otherwise the table.
const CHUNK_BIT: u8 = 0x80;
/// Where the place in the log is kept that the view was closed at. No table has the number 0.
const POINT: &[u8] = &[0];
const CACHE: u64 = 64 << 20;
/// What closing is called.
const CLOSE: &str = "close";
/// How long a view that failed may take to let go of its files before it is left to itself.
const ABANDONING: Duration = Duration::from_secs(5);

/// What can be read: a view, or what was saved of a damaged store.
pub(super) trait Reading {
    /// The value of a key.
    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Some keys, with their values if wanted.
    fn scan(&self, table: Table, range: &Range<'_>) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
}

/// A sled database in a directory of its own.
pub(super) struct View {
    /// There until it is let go.
    db: Option<sled::Db>,
    path: PathBuf,
    watcher: Arc<Watcher>,
}

impl View {
    /// Opens, or creates, the database in a directory.
    pub(super) fn open(path: &Path, watcher: &Arc<Watcher>) -> Result<Self, StoreError> {
        let config = sled::Config::default().path(path).flush_every_ms(None).cache_capacity(CACHE);
        let watched = watcher.call("open");
        let db = contained(path, "open", || config.open())?;
        drop(watched);
        Ok(Self { db: Some(db), path: path.to_owned(), watcher: Arc::clone(watcher) })
    }

    /// Whether it was closed at this place.
    pub(super) fn is_at(&self, point: Point) -> Result<bool, StoreError> {
        let stored = self.sled("get", |db| db.get(POINT))?;
        Ok(stored.is_some_and(|stored| *stored == encode_point(point)))
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Stores or removes.
    pub(super) fn apply(&self, (key, value): Operation<'_>) -> Result<(), StoreError> {
        let Some(value) = value else {
            let old = self.sled("remove", |db| db.remove(key))?;
            return self.remove_chunks(key, 0, old.as_deref());
        };
        let (stored, chunks) = if value.len() <= CHUNK {
            ([&[WHOLE], value].concat(), 0)
        } else {
            let mut count = 0_u32;
            for chunk in value.chunks(CHUNK) {
                self.sled("insert", |db| db.insert(chunk_key(key, count), chunk))?;
                count += 1;
            }
            ([&[DIVIDED], &count.to_le_bytes()[..]].concat(), count)
        };
        let old = self.sled("insert", |db| db.insert(key, stored))?;
        self.remove_chunks(key, chunks, old.as_deref())
    }

    fn remove_chunks(&self, key: &[u8], from: u32, old: Option<&[u8]>) -> Result<(), StoreError> {
        for number in from..old.map_or(0, chunks) {
            self.sled("remove", |db| db.remove(chunk_key(key, number)))?;
        }
        Ok(())
    }

    fn value(&self, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        match stored.split_first() {
            Some((&WHOLE, value)) => Ok(value.to_vec()),
            Some((&DIVIDED, _)) => {
                let mut value = Vec::new();
                for number in 0..chunks(stored) {
                    let chunk = self.sled("get", |db| db.get(chunk_key(key, number)))?;
                    value.extend_from_slice(&chunk.ok_or_else(|| self.broken("part of a value is missing"))?);
                }
                Ok(value)
            }
            _ => Err(self.broken("a value makes no sense")),
        }
    }

    /// Notes the place in the log, closes the database and makes its files durable. Gives its directory.
    pub(super) fn close(self, point: Point) -> Result<PathBuf, StoreError> {
        self.sled(CLOSE, |db| db.insert(POINT, encode_point(point)).and_then(|_| db.flush()))?;
        let path = self.path.clone();
        self.let_go()?;
        sync_all(&path)?;
        Ok(path)
    }

    fn let_go(mut self) -> Result<(), StoreError> {
        let db = self.db.take();
        contained(&self.path, CLOSE, || {
            drop(db);
            Ok(())
        })
    }

    /// Lets go of a view that failed: in a thread of its own, since that may panic or hang, too. Waits for it a little: its
    /// room may be what is missing.
    pub(super) fn abandon(self) {
        let (sender, receiver) = mpsc::sync_channel(1);
        let path = self.path.clone();
        let abandoned =
            thread::Builder::new().name("abandon".to_owned()).spawn(move || drop(sender.send(self.let_go())));
        let ended = abandoned.map(|_| receiver.recv_timeout(ABANDONING));
        if !matches!(ended, Ok(Ok(Ok(())))) {
            tracing::warn!("the view {} failed, and did not close in order", path.display());
        }
    }

    /// How many entries there are: keys and chunks.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.db.iter().flat_map(|db| db.iter().keys()).filter(|key| key.as_deref() != Ok(POINT)).count()
    }

    /// What a damaged page might hold.
    #[cfg(test)]
    pub(super) fn damage(&self, table: Table, key: &str) {
        self.db.as_ref().unwrap().insert(table.key(key), b"nonsense").unwrap();
    }

    fn broken(&self, message: &str) -> StoreError {
        StoreError::View { path: self.path.clone(), message: message.to_owned(), full: false }
    }

    fn sled<T>(
        &self,
        doing: &'static str,
        call: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        // Closing has a limit of its own, after which nothing is lost but time.
        let _watched = (doing != CLOSE).then(|| self.watcher.call(doing));
        let db = self.db.as_ref().ok_or_else(|| self.broken("it was let go"))?;
        contained(&self.path, doing, || call(db))
    }
}

impl Drop for View {
    /// One that nobody has closed or abandoned: what goes wrong with it is of no consequence, as long as it ends.
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        let _watched = self.watcher.call("drop");
        let dropped = contained(&self.path, "drop", || {
            drop(db);
            Ok(())
        });
        if let Err(error) = dropped {
            tracing::warn!("{error}");
        }
    }
}

impl Reading for View {
    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let key = table.key(key);
        let stored = self.sled("get", |db| db.get(&key))?;
        stored.map(|stored| self.value(&key, &stored)).transpose()
    }

    fn scan(&self, table: Table, range: &Range<'_>) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let Some((start, end)) = range.bounds(table) else { return Ok(Vec::new()) };
        let mut entries = self.sled("range", |db| {
            let entries = db.range(start..end);
            if range.backwards {
                entries.rev().take(range.limit).collect()
            } else {
                entries.take(range.limit).collect::<sled::Result<Vec<_>>>()
            }
        })?;
        entries
            .drain(..)
            .map(|(key, stored)| {
                let name = std::str::from_utf8(&key[1..]).map_err(|_| self.broken("a key is not text"))?;
                let value = if range.values { self.value(&key, &stored)? } else { Vec::new() };
                Ok((name.to_owned(), value))
            })
            .collect()
    }
}

/// Which keys of a table.
pub(super) struct Range<'a> {
    /// How they begin.
    pub(super) prefix: &'a str,
    /// Before which key they come.
    pub(super) before: Option<&'a str>,
    /// Whether the last ones come first.
    pub(super) backwards: bool,
    /// How many at most.
    pub(super) limit: usize,
    /// Whether their values are wanted.
    pub(super) values: bool,
}

impl Range<'_> {
    /// From which stored key, to before which; `None` if there is nothing between.
    pub(super) fn bounds(&self, table: Table) -> Option<(Vec<u8>, Vec<u8>)> {
        let start = table.key(self.prefix);
        let mut end = start.clone();
        // No byte of a table's number or of UTF-8 text is 255.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        if let Some(before) = self.before {
            end = end.min(table.key(before));
        }
        (start < end).then_some((start, end))
    }
}

/// Calls sled, which panics on some damage.
fn contained<T>(path: &Path, doing: &str, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let call = || {
        super::strike(path, doing);
        call()
    };
    let (message, full) = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => (error.to_string(), matches!(&error, sled::Error::Io(error) if no_room(error))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            (
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned(),
                false,
            )
        }
    };
    Err(StoreError::View { path: path.to_owned(), message, full })
}

fn encode_point(point: Point) -> Vec<u8> {
    [&point.sequence.to_le_bytes()[..], &point.hash].concat()
}

fn chunk_key(key: &[u8], number: u32) -> Vec<u8> {
    let (table, rest) = key.split_first().map_or((0, key), |(table, rest)| (*table, rest));
    let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
    [&[table | CHUNK_BIT], &length.to_be_bytes()[..], rest, &number.to_be_bytes()].concat()
}

/// How many chunks a stored value has.
fn chunks(stored: &[u8]) -> u32 {
    match stored.split_first() {
        Some((&DIVIDED, count)) => count.first_chunk().map_or(0, |count| u32::from_le_bytes(*count)),
        _ => 0,
    }
}

fn sync_all(path: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(path).map_err(StoreError::io("read", path))?.is_dir() {
        for entry in list(path)? {
            sync_all(&entry)?;
        }
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", path))
}
