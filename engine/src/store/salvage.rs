//! What can be trusted of a damaged store: a checkpoint that is whole, and the log after it up to the damage. Reads all,
//! changes nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    batch::{Operation, Table, operations},
    checkpoint::{Base, Changes, collect, merge},
    checkpoint_file::{Bad, Reader, verify},
    closed::Closed,
    damage::Damage,
    error::StoreError,
    files::numbered,
    frame::{Point, whole_records},
    log,
    place::Place,
    segment::{Segment, readable},
    view::{Range, Reading},
};

/// Everything that is trusted, in memory: nothing is written while the disk is not understood.
#[derive(Default)]
pub(super) struct Content(pub(super) BTreeMap<Vec<u8>, Vec<u8>>);

impl Reading for Content {
    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&table.key(key)).cloned())
    }

    fn scan(&self, table: Table, range: &Range<'_>) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let Some((start, end)) = range.bounds(table) else { return Ok(Vec::new()) };
        let named = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            (String::from_utf8_lossy(&key[1..]).into_owned(), value.clone())
        };
        let entries = self.0.range(start..end);
        Ok(if range.backwards {
            entries.rev().take(range.limit).map(named).collect()
        } else {
            entries.take(range.limit).map(named).collect()
        })
    }
}

/// What was saved.
pub(super) struct Salvaged {
    pub(super) content: Content,
    pub(super) damage: Damage,
    /// The largest number of each counter (table `Ids`) anywhere in what is not trusted: what was given in the part that
    /// is lost, as far as it can be read.
    pub(super) counters: BTreeMap<String, u64>,
}

/// One way to read what is there.
struct Way {
    base: Base,
    changes: Changes,
    /// The last commit that it reaches.
    reached: u64,
    /// What stopped it, if it was not the end of the log.
    stopped: Option<StoreError>,
}

/// Saves what can be trusted of a store that could not be opened, on account of `cause`.
pub(super) fn salvage(place: &Place, cause: &StoreError) -> Result<Salvaged, StoreError> {
    let (segments, mut troubles) = readable(place);
    let mut best: Option<Way> = None;
    for base in bases(place, &segments, &mut troubles) {
        let way = follow(place, &segments, base);
        // Of two that reach as far the one from the newer checkpoint, which comes first.
        if best.as_ref().is_none_or(|best| best.reached < way.reached) {
            best = Some(way);
        }
    }
    let mut content = Content::default();
    let (mut reached, mut stopped) = (0, None);
    if let Some(way) = best {
        merge(place, &way.base, &way.changes, &mut |key, value| {
            let _ = content.0.insert(key.to_vec(), value.to_vec());
            Ok(())
        })?;
        (reached, stopped) = (way.reached, way.stopped);
    }
    let later = later(place, reached);
    let first = stopped.as_ref().unwrap_or(cause);
    let is_io = |error: &StoreError| matches!(error, StoreError::Io { .. });
    let unreadable = is_io(cause) || is_io(first) || later.unreadable || troubles.iter().any(is_io);
    let (path, at, wrong) = told(if unreadable && is_io(cause) { cause } else { first }, place);
    let damage =
        Damage { path, at, wrong, unreadable, trusted: reached, known: later.known, written: later.written };
    Ok(Salvaged { content, damage, counters: later.counters })
}

fn told(error: &StoreError, place: &Place) -> (PathBuf, Option<u64>, String) {
    match error {
        StoreError::Damaged { path, at, wrong, .. } => (path.clone(), *at, wrong.clone()),
        StoreError::Io { path, error, .. } => (path.clone(), None, error.to_string()),
        other => (place.root.clone(), None, other.to_string()),
    }
}

/// Where reading can begin: the checkpoints that are whole, the newest first; then the beginning of the log.
fn bases(place: &Place, segments: &[Segment], troubles: &mut Vec<StoreError>) -> Vec<Base> {
    let checkpoints = numbered(&place.checkpoints, "checkpoint").unwrap_or_else(|error| {
        troubles.push(error);
        Vec::new()
    });
    let mut bases = Vec::new();
    for (sequence, path) in checkpoints.into_iter().rev() {
        match verify(&path) {
            Ok(point) if point.sequence == sequence => {
                bases.push(Base { point, path: Some(path), damaged: Vec::new() });
            }
            Err(Bad::Error(error)) => troubles.push(error),
            Ok(_) | Err(Bad::Damaged(_)) => {}
        }
    }
    let first = segments.first().filter(|segment| segment.before.sequence == 0);
    bases.extend(first.map(|first| Base { point: first.before, path: None, damaged: Vec::new() }));
    bases
}

/// Reads the log from a base as far as its chain holds.
fn follow(place: &Place, segments: &[Segment], base: Base) -> Way {
    let mut changes = Changes::new();
    let mut reached = base.point.sequence;
    let read = log::read(place, segments, base.point, &mut |writes| {
        collect(place, writes, &mut changes)?;
        reached += 1;
        Ok(())
    });
    Way { base, changes, reached, stopped: read.err() }
}

/// The value of a counter, in any form in which one was ever written: bare, or as a row with its version.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Counter {
    Bare(u64),
    Row { row: u64 },
}

impl Counter {
    const fn number(self) -> u64 {
        match self {
            Self::Bare(number) | Self::Row { row: number } => number,
        }
    }
}

/// What is known of commits that are not trusted.
#[derive(Default)]
struct Later {
    known: u64,
    counters: BTreeMap<String, u64>,
    written: Option<Timestamp>,
    unreadable: bool,
}

impl Later {
    /// No log comes as far as half of all numbers: a name that says so is none of the store's.
    fn exists(&mut self, sequence: u64) {
        if sequence < u64::MAX / 2 {
            self.known = self.known.max(sequence);
        }
    }

    fn note(&mut self, (key, value): Operation<'_>) {
        let (Some((table, key)), Some(value)) = (key.split_first(), value) else { return };
        let (Ok(key), Ok(value)) = (std::str::from_utf8(key), serde_json::from_slice::<Counter>(value))
        else {
            return;
        };
        if *table == Table::Ids as u8 {
            let known = self.counters.entry(key.to_owned()).or_default();
            *known = (*known).max(value.number());
        }
    }
}

fn later(place: &Place, reached: u64) -> Later {
    let mut later = Later { known: reached, ..Later::default() };
    for (first, path) in numbered(&place.log, "log").unwrap_or_default() {
        // A segment is made when the commits before it are there.
        later.exists(first.saturating_sub(1));
        later.written = later.written.max(modified(&path));
        match fs::read(&path) {
            Ok(bytes) => {
                for (Point { sequence, .. }, writes) in whole_records(&bytes) {
                    later.exists(sequence);
                    operations(writes).flatten().for_each(|operation| later.note(operation));
                }
            }
            Err(_) => later.unreadable = true,
        }
    }
    for (sequence, path) in numbered(&place.checkpoints, "checkpoint").unwrap_or_default() {
        later.exists(sequence);
        later.written = later.written.max(modified(&path));
        // As far as it goes: of a counter that is wrong, no more comes than that numbers are left out.
        let Ok(mut reader) = Reader::open(&path) else { continue };
        while let Ok(Some((key, value))) = reader.next() {
            later.note((&key, Some(&value)));
        }
    }
    if let Ok(Some(closed)) = Closed::read(place) {
        later.exists(closed.sequence);
    }
    later
}

fn modified(path: &Path) -> Option<Timestamp> {
    path.metadata().and_then(|found| found.modified()).ok()?.try_into().ok()
}
