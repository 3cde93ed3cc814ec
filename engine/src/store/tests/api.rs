//! What callers see.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tokio::sync::oneshot;

use super::{all, put, scratch};
use crate::store::{
    Batch, Found, LONGEST_KEY, Options, Store, StoreError, Table,
    committer::{Reply, Request},
    frame::LARGEST_RECORD,
};

fn open(directory: &Path) -> (Store, Found) {
    let (store, opened) = Store::open(directory).unwrap();
    (store, opened.found)
}

#[test]
fn what_was_committed_is_read_again_after_closing_and_after_a_crash() {
    let directory = scratch();
    let (store, found) = open(directory.path());
    assert_eq!(found, Found::New);
    assert_eq!(store.commit(put("a", "1")).unwrap(), 1);
    assert_eq!(store.commit(Batch::default()).unwrap(), 0);
    let mut batch = put("b", "2");
    batch.append(put("c", "3"));
    batch.delete(Table::Runs, "a");
    assert_eq!(store.commit(batch).unwrap(), 2);
    store.close().unwrap();

    let (store, found) = open(directory.path());
    assert_eq!(found, Found::Clean);
    assert_eq!(all(&store), [("b".to_owned(), "2".to_owned()), ("c".to_owned(), "3".to_owned())]);
    assert_eq!(store.commit(put("d", "4")).unwrap(), 3);
    drop(store);

    let (store, found) = open(directory.path());
    assert!(matches!(found, Found::Rebuilt { .. }), "{found:?}");
    assert_eq!(store.keys(Table::Runs, "").unwrap(), ["b", "c", "d"]);
    assert_eq!(store.get::<String>(Table::Runs, "a").unwrap(), None);
    assert_eq!(store.get::<String>(Table::Steps, "b").unwrap(), None);
}

#[test]
fn listings_go_forwards_and_backwards_within_a_prefix() {
    let directory = scratch();
    let (store, _) = open(directory.path());
    for key in ["a/1", "a/2", "a/3", "b/1", "ä/1", "", "a/"] {
        store.commit(put(key, key)).unwrap();
    }
    let mut other = Batch::default();
    other.put(Table::Steps, "a/9", "other table").unwrap();
    store.commit(other).unwrap();
    assert_eq!(store.keys(Table::Runs, "").unwrap(), ["", "a/", "a/1", "a/2", "a/3", "b/1", "ä/1"]);
    assert_eq!(store.keys(Table::Runs, "a/").unwrap(), ["a/", "a/1", "a/2", "a/3"]);
    let back = |prefix: &str, before: Option<&str>, limit| -> Vec<String> {
        let found: Vec<(String, String)> = store.scan_back(Table::Runs, prefix, before, limit).unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(back("a/", None, 2), ["a/3", "a/2"]);
    assert_eq!(back("a/", Some("a/2"), 9), ["a/1", "a/"]);
    assert_eq!(back("a/", Some("z"), 1), ["a/3"]);
    assert_eq!(back("b/", Some("a/2"), 9), Vec::<String>::new());
    assert_eq!(back("", None, 1), ["ä/1"]);
}

#[test]
fn large_values_grow_and_shrink_and_leave_nothing() {
    let directory = scratch();
    let (mut store, _) = open(directory.path());
    for size in [10, 4094, 4095, 9_000, 100_000, 5_000, 3, 3_000_000] {
        store.commit(put("k", &"x".repeat(size))).unwrap();
        store.commit(put("k\0", &"y".repeat(size))).unwrap();
        assert_eq!(store.get::<String>(Table::Runs, "k").unwrap().unwrap().len(), size);
        store.close().unwrap();
        store = open(directory.path()).0;
        assert_eq!(store.scan::<String>(Table::Runs, "k").unwrap()[1].1, "y".repeat(size));
    }
    let mut batch = Batch::default();
    batch.delete(Table::Runs, "k");
    batch.delete(Table::Runs, "k\0");
    store.commit(batch).unwrap();
    assert_eq!(store.inner.shared.with_view(crate::store::view::View::len), 0);
}

#[test]
fn a_second_opener_is_refused_at_once() {
    let directory = scratch();
    let (store, _) = open(directory.path());
    let refused = Store::open(directory.path()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { holder: Some(id), .. } if id == std::process::id()));
    let clone = store.clone();
    store.close().unwrap();
    assert!(matches!(clone.commit(put("a", "1")), Err(StoreError::Closed)));
    assert!(matches!(clone.keys(Table::Runs, ""), Err(StoreError::Closed)));
    open(directory.path());
}

#[test]
fn what_cannot_be_stored_or_read_is_an_error() {
    let directory = scratch();
    let (store, _) = open(directory.path());
    let mut batch = Batch::default();
    let long = "k".repeat(LONGEST_KEY + 1);
    assert!(matches!(batch.put(Table::Runs, &long, &1), Err(StoreError::TooLarge { .. })));
    let unstorable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(batch.put(Table::Runs, "k", &unstorable), Err(StoreError::Value { .. })));
    assert!(batch.is_empty());
    let huge = Batch { operations: vec![0; LARGEST_RECORD] };
    assert!(matches!(store.commit(huge), Err(StoreError::TooLarge { what: "a batch", .. })));
    batch.put(Table::Runs, &long[1..], &1).unwrap();
    store.commit(batch).unwrap();
    let error = store.get::<String>(Table::Runs, &long[1..]).unwrap_err().to_string();
    assert!(error.contains("table Runs cannot be read: invalid type"), "{error}");
}

#[test]
fn only_the_owner_may_look_inside() {
    let directory = scratch();
    let state = directory.path().join("deep/state");
    let (store, _) = open(&state);
    store.commit(put("a", "1")).unwrap();
    store.checkpoint().unwrap();
    for path in ["", "log", "checkpoints", "view"] {
        let mode = state.join(path).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
}

#[test]
fn callers_that_wait_at_once_share_a_record() {
    let directory = scratch();
    let (store, _) = open(directory.path());
    // While this reads nothing is applied, so that all but the first of these wait together.
    let waiting = store.inner.shared.read(|_| {
        Ok((0..1000)
            .map(|number| {
                let (sender, receiver) = oneshot::channel();
                let operations = put(&format!("{number:04}"), "x").operations;
                store.send(Request::Commit(operations, Reply::Async(sender))).unwrap();
                receiver
            })
            .collect::<Vec<_>>())
    });
    let numbers: Vec<_> = waiting.unwrap().into_iter().map(|w| w.blocking_recv().unwrap().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[999] <= 3, "{} records for 1000 commits", numbers[999]);
    assert_eq!(store.keys(Table::Runs, "").unwrap().len(), 1000);
}

#[test]
fn async_commits_are_as_durable() {
    let directory = scratch();
    let (store, _) = open(directory.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..300)
        .map(|number| {
            let store = store.clone();
            runtime.spawn(async move { store.commit_async(put(&format!("{number:04}"), "x")).await.unwrap() })
        })
        .collect();
    let last = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).max().unwrap();
    assert_eq!(runtime.block_on(store.commit_async(Batch::default())).unwrap(), 0);
    drop(store);
    let (store, opened) = Store::open(directory.path()).unwrap();
    assert_eq!(opened.sequence, last);
    assert_eq!(store.keys(Table::Runs, "").unwrap().len(), 300);
}

#[test]
fn readers_see_a_commit_whole_or_not_at_all() {
    let directory = scratch();
    let (store, _) = open(directory.path());
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..300 {
                let mut batch = put("a", &number.to_string());
                batch.append(put("z", &number.to_string()));
                batch.append(put("large", &format!("{number},").repeat(3000)));
                store.commit(batch).unwrap();
            }
            writing.store(false, Ordering::Relaxed);
        });
        while writing.load(Ordering::Relaxed) {
            let found = all(&store);
            let (Some((_, a)), Some((_, z))) = (found.first(), found.last()) else { continue };
            assert_eq!(a, z);
            assert_eq!(found[1].1, format!("{a},").repeat(3000));
        }
    });
}

#[test]
fn the_log_stays_within_its_bound() {
    let directory = scratch();
    let options = Options { log_bound: 8 << 10, segment_size: 2 << 10, ..Options::DEFAULT };
    let (store, _) = Store::open_with(directory.path(), options).unwrap();
    for unfinished in ["log/00000000000000000001.new", "checkpoints/00000000000000000001.new"] {
        std::fs::write(directory.path().join(unfinished), "interrupted").unwrap();
    }
    for number in 0..300 {
        store.commit(put(&format!("{}", number % 10), &"x".repeat(900))).unwrap();
        if number % 30 == 0 {
            store.checkpoint().unwrap();
        }
    }
    drop(store);
    let (store, _) = Store::open_with(directory.path(), options).unwrap();
    assert_eq!(store.keys(Table::Runs, "").unwrap().len(), 10);
    drop(store);
    let count = |what: &str| std::fs::read_dir(directory.path().join(what)).unwrap().count();
    assert_eq!(count("checkpoints"), 2);
    // Two records a segment: what two checkpoints need, not 300 records.
    assert!(count("log") < 60, "{} segments", count("log"));
}
