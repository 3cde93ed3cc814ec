//! A store that is written: what each commit holds, and the copies of its disk on the way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use fastrand::Rng;
use resplit_engine::store::{Batch, Options, Store, StoreError, Table};
use resplit_test_disk::{Disk, Fault, Mounted};

/// Segments so small that there are many; checkpoints often.
#[allow(clippy::field_reassign_with_default, reason = "whatever else may be chosen stays as it is")]
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.log_bound = 24 << 10;
    options.segment_size = 6 << 10;
    options
}
/// Commits of a round.
const COMMITS: u64 = 60;
/// About how many calls those are: cuts lie among them.
pub(crate) const CALLS: u64 = 2200;

/// What a store holds, by table and key.
pub(crate) type Content = BTreeMap<(u8, String), String>;

/// A disk as it was at a moment, and the last commit that was acknowledged by then.
pub(crate) struct Cut {
    pub(crate) call: u64,
    pub(crate) disk: Disk,
    pub(crate) acknowledged: u64,
    /// The last commit that was begun.
    pub(crate) begun: u64,
    /// Says what each commit of the round holds, and what a cut keeps.
    pub(crate) seed: u64,
}

/// The writes of a commit: small ones, long values, removals.
fn writes(seed: u64, number: u64) -> Vec<(Table, String, Option<String>)> {
    let mut random = Rng::with_seed(seed << 32 | number);
    let mut writes: Vec<(Table, String, Option<String>)> = (0..random.u32(1..6))
        .map(|_| {
            let table = if random.bool() { Table::Runs } else { Table::History };
            let key = format!("k{}", random.u8(..20));
            // Most are short; some are divided in the view; a few are larger than a segment of the log.
            let length = match random.u8(..20) {
                0 => random.usize(6000..14_000),
                1..4 => random.usize(4000..5000),
                _ => random.usize(..300),
            };
            let value = random.u8(..5) > 0;
            (table, key, value.then(|| format!("{number} {}", "x".repeat(length))))
        })
        .collect();
    writes.push((Table::Meta, "last".to_owned(), Some(number.to_string())));
    writes
}

fn batch(seed: u64, number: u64) -> Batch {
    let mut batch = Batch::default();
    for (table, key, value) in writes(seed, number) {
        match value {
            Some(value) => batch.put(table, &key, &value).unwrap(),
            None => batch.delete(table, &key),
        }
    }
    batch
}

/// What a store holds after commits 1 to `last`.
pub(crate) fn content(seed: u64, last: u64) -> Content {
    let mut content = Content::new();
    for (table, key, value) in (1..=last).flat_map(|number| writes(seed, number)) {
        match value {
            Some(value) => drop(content.insert((table as u8, key), value)),
            None => drop(content.remove(&(table as u8, key))),
        }
    }
    content
}

/// Commits the next one.
pub(crate) fn commit(store: &Store, seed: u64, number: u64) -> Result<u64, StoreError> {
    store.commit(batch(seed, number))
}

/// How far the writer came.
#[derive(Default)]
struct Progress {
    begun: AtomicU64,
    acknowledged: AtomicU64,
}

/// Writes a store, and gives its disk as it was at so many moments. `forgetful`: on a disk whose syncs do nothing once
/// the store was opened.
pub(crate) fn round(seed: u64, cuts: usize, forgetful: bool) -> Vec<Cut> {
    let mut random = Rng::with_seed(seed);
    let disk = Disk::new();
    let Some(mounted) = disk.mount_or_skip() else { return Vec::new() };
    let progress = Arc::new(Progress::default());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<u64> = (0..cuts).map(|_| random.u64(1..CALLS)).collect();
    disk.watch(calls, {
        let (progress, taken) = (Arc::clone(&progress), Arc::clone(&taken));
        move |call, disk| {
            let acknowledged = progress.acknowledged.load(Ordering::SeqCst);
            let begun = progress.begun.load(Ordering::SeqCst);
            taken.lock().unwrap().push(Cut { call, disk, acknowledged, begun, seed });
        }
    });
    // Every third writer is killed on the way, which loses nothing; it goes on with what it finds.
    if seed % 3 == 1 && !forgetful {
        disk.stop_at(random.u64(1..CALLS / 2));
        let _ = write(&mounted, seed, &progress, &mut random);
        disk.go_on();
    }
    if forgetful {
        drop(Store::open_with(mounted.path(), options()).unwrap());
        disk.set_forgetful(true);
    }
    write(&mounted, seed, &progress, &mut random).unwrap();
    std::mem::take(&mut *taken.lock().unwrap())
}

/// A store whose first writer was killed at a call, while it made the store; then three commits of another writer.
pub(crate) fn killed_at(call: u64) -> Cut {
    let disk = Disk::new();
    let mounted = disk.mount_or_skip().unwrap();
    disk.stop_at(call);
    let directory = mounted.path().join("state");
    drop(Store::open_with(&directory, options()));
    disk.go_on();
    let (store, _) = Store::open_with(&directory, options()).unwrap();
    for number in 1..=3 {
        commit(&store, call, number).unwrap();
    }
    Cut { call, disk: disk.clone(), acknowledged: 3, begun: 3, seed: call }
}

/// A store that was written while a call failed; `None` if no call was the one.
pub(crate) fn faulted(seed: u64, fault: Fault) -> Option<Cut> {
    let disk = Disk::new();
    let mounted = disk.mount_or_skip().unwrap();
    let progress = Progress::default();
    disk.inject(fault);
    // Whether it fails is its own affair; what it acknowledged counts.
    let _ = write(&mounted, seed, &progress, &mut Rng::with_seed(seed));
    let met = disk.lift() > 0;
    let (acknowledged, begun) =
        (progress.acknowledged.load(Ordering::SeqCst), progress.begun.load(Ordering::SeqCst));
    met.then_some(Cut { call: fault.nth, disk, acknowledged, begun, seed })
}

fn write(mounted: &Mounted, seed: u64, progress: &Progress, random: &mut Rng) -> Result<(), StoreError> {
    let directory = mounted.path().join("state");
    let (mut store, _) = Store::open_with(&directory, options())?;
    let last: Option<String> = store.get(Table::Meta, "last")?;
    let first = last.map_or(0, |last| last.parse().unwrap()) + 1;
    // A commit that was on its way when its writer was killed counts once its successor has found it.
    progress.acknowledged.store(first - 1, Ordering::SeqCst);
    for number in first..=COMMITS {
        progress.begun.store(number, Ordering::SeqCst);
        commit(&store, seed, number)?;
        progress.acknowledged.store(number, Ordering::SeqCst);
        match random.u8(..40) {
            0 => store.checkpoint()?,
            1 => {
                store.close()?;
                (store, _) = Store::open_with(&directory, options())?;
            }
            _ => {}
        }
    }
    store.close()
}
