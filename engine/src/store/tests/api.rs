//! What callers see.

use std::{os::unix::fs::PermissionsExt, path::Path};

use tempfile::TempDir;

use crate::store::{Batch, Found, LONGEST_KEY, Options, Store, StoreError, Table};

/// Segments and bounds so small that every test meets many of them.
pub(super) const SMALL: Options = Options { log_bound: 8 << 10, segment_size: 2 << 10 };

pub(super) fn put(key: &str, value: &str) -> Batch {
    let mut batch = Batch::default();
    batch.put(Table::Runs, key, value).unwrap();
    batch
}

pub(super) fn all(store: &Store) -> Vec<(String, String)> {
    store.scan(Table::Runs, "").unwrap()
}

fn open(directory: &Path) -> (Store, Found) {
    let (store, opened) = Store::open(directory).unwrap();
    (store, opened.found)
}

#[test]
fn what_was_committed_is_read_again_after_closing_and_after_a_crash() {
    let directory = TempDir::new().unwrap();
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
    let directory = TempDir::new().unwrap();
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
    let directory = TempDir::new().unwrap();
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
    store.inner.shared.read(|view| Ok(assert_eq!(view.len(), 0))).unwrap();
}

#[test]
fn a_second_opener_is_refused_at_once() {
    let directory = TempDir::new().unwrap();
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
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let mut batch = Batch::default();
    let long = "k".repeat(LONGEST_KEY + 1);
    assert!(matches!(batch.put(Table::Runs, &long, &1), Err(StoreError::TooLarge { .. })));
    let unstorable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(batch.put(Table::Runs, "k", &unstorable), Err(StoreError::Value { .. })));
    assert!(batch.is_empty());
    batch.put(Table::Runs, &long[1..], &1).unwrap();
    store.commit(batch).unwrap();
    let error = store.get::<String>(Table::Runs, &long[1..]).unwrap_err().to_string();
    assert!(error.contains("table Runs cannot be read: invalid type"), "{error}");
}

#[test]
fn only_the_owner_may_look_inside() {
    let directory = TempDir::new().unwrap();
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
    let directory = TempDir::new().unwrap();
    let (store, _) = open(directory.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let numbers = runtime.block_on(async {
        let tasks: Vec<_> = (0..1000)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { store.commit_async(put(&format!("{n:04}"), "x")).await.unwrap() })
            })
            .collect();
        let mut numbers = Vec::new();
        for task in tasks {
            numbers.push(task.await.unwrap());
        }
        numbers
    });
    assert!(numbers.is_sorted());
    assert!(numbers[999] < 500, "{} records for 1000 commits", numbers[999]);
    assert_eq!(store.keys(Table::Runs, "").unwrap().len(), 1000);
}
