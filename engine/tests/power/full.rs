//! A disk that is full: what must be undone can still be recorded, from the room that was kept for that.

use resplit_engine::store::{Batch, Options, Store, Table};
use resplit_test_disk::{Disk, Error, Fault, Kind};

/// Segments so small that there are many.
#[allow(clippy::field_reassign_with_default, reason = "whatever else may be chosen stays as it is")]
fn options() -> Options {
    let mut options = Options::default();
    options.log_bound = 1 << 20;
    options.segment_size = 64 << 10;
    options
}

fn put(table: Table, key: &str, length: usize) -> Batch {
    let mut batch = Batch::default();
    batch.put(table, key, &"x".repeat(length)).unwrap();
    batch
}

/// Obligations recorded and discharged on a disk that is full, until the store wants no more.
#[test]
fn obligations_are_discharged_on_a_full_disk_and_survive_a_power_cut() {
    let disk = Disk::new();
    let Some(mounted) = disk.mount_or_skip() else { return };
    let directory = mounted.path().join("state");
    let (store, _) = Store::open_with(&directory, options()).unwrap();
    let owed: Vec<String> = (0..40).map(|number| format!("{number:03}")).collect();
    for key in &owed {
        store.commit(put(Table::Obligations, key, 200)).unwrap();
    }
    assert!(!store.is_low_on_space());
    // From now on nothing is left but what the store has put aside.
    disk.set_room(Some(disk.used()));
    let mut before = 0;
    while !store.is_low_on_space() {
        store.commit(put(Table::History, &format!("{before:06}"), 1000)).unwrap();
        before += 1;
        assert!(before < 10_000, "the disk does not fill up");
    }
    for key in &owed {
        let mut batch = put(Table::History, &format!("thawed {key}"), 300);
        batch.delete(Table::Obligations, key);
        store.commit(batch).unwrap();
    }
    eprintln!("full disk: {before} commits before the reserve was needed, {} after", owed.len());
    assert!(store.is_low_on_space());
    assert_eq!(store.keys(Table::Obligations, "").unwrap(), Vec::<String>::new());

    for seed in 0..20 {
        let left = disk.cut(seed);
        let mounted = left.mount_or_skip().unwrap();
        let directory = mounted.path().join("state");
        // Opened with as little room as there was, or refused with what to do, and then opened with more.
        if let Err(error) = Store::open_with(&directory, options()).map(|(store, _)| drop(store)) {
            assert!(error.to_string().contains("make room there"), "{error}");
        }
        left.set_room(None);
        let (store, _) = Store::open_with(&directory, options()).unwrap();
        assert!(!store.is_low_on_space());
        assert_eq!(store.keys(Table::Obligations, "").unwrap(), Vec::<String>::new());
        assert_eq!(store.keys(Table::History, "thawed").unwrap().len(), owed.len());
        assert_eq!(store.keys(Table::History, "0").unwrap().len(), before);
    }
}

/// A segment that got its name, and whose directory could not be synced: what is committed next must not go where nobody
/// looks for it any more.
#[test]
fn after_a_checkpoint_that_failed_commits_are_found() {
    let disk = Disk::new();
    let Some(mounted) = disk.mount_or_skip() else { return };
    for (number, kind) in [Kind::SyncDirectory, Kind::Rename, Kind::Sync].into_iter().enumerate() {
        let directory = mounted.path().join(format!("state-{number}"));
        let (store, _) = Store::open_with(&directory, options()).unwrap();
        store.commit(put(Table::History, "before", 10)).unwrap();
        disk.inject(Fault { kind: Some(kind), nth: 1, error: Error::Io, lasting: false });
        assert!(store.checkpoint().is_err());
        assert_eq!(disk.lift(), 1);
        store.commit(put(Table::History, "next", 10)).unwrap();
        store.checkpoint().unwrap();
        store.commit(put(Table::History, "last", 10)).unwrap();
        for seed in 0..10 {
            let left = disk.cut(seed);
            let mounted = left.mount_or_skip().unwrap();
            let directory = mounted.path().join(format!("state-{number}"));
            let (store, opened) = Store::open_with(&directory, options()).unwrap();
            assert_eq!(opened.sequence, 3);
            assert_eq!(store.keys(Table::History, "").unwrap(), ["before", "last", "next"]);
        }
    }
}
