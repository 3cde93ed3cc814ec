//! What the store promises, tried.

mod api;
mod bounds;
mod crash;
mod damage;
mod faults;
mod format;
mod model;
mod salvage;
mod space;
mod view_fails;
mod view_loss;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Batch, Options, Store, Table};

/// Everything that a store of these tests holds.
type Content = BTreeMap<String, String>;

/// Segments so small that every test meets many of them; checkpoints only on request.
const SMALL: Options = Options { log_bound: u64::MAX, segment_size: 512, ..Options::DEFAULT };

/// In memory where possible: these tests open stores thousands of times, and none cuts the power.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

fn put(key: &str, value: &str) -> Batch {
    let mut batch = Batch::default();
    batch.put(Table::Runs, key, value).unwrap();
    batch
}

fn all(store: &Store) -> Vec<(String, String)> {
    store.scan(Table::Runs, "").unwrap()
}

fn content(store: &Store) -> Content {
    all(store).into_iter().collect()
}

/// Commits from number `first` to `last`: each puts one of seven keys, and removes another.
fn commit_numbers(store: &Store, content: &mut Vec<Content>, last: usize) {
    for number in content.len()..=last {
        let mut now = content[number - 1].clone();
        let (key, gone) = (format!("k{}", number % 7), format!("k{}", number * 3 % 5));
        let value = format!("value {number} {}", "x".repeat(number % 11));
        let mut batch = Batch::default();
        batch.delete(Table::Runs, &gone);
        batch.append(put(&key, &value));
        now.remove(&gone);
        now.insert(key, value);
        assert_eq!(store.commit(batch).unwrap(), number as u64);
        content.push(now);
    }
}

/// A store of 30 commits, with checkpoints after 10 and 20, that was not closed; and what it held after each commit.
fn thirty(directory: &Path) -> Vec<Content> {
    let mut content = vec![Content::new()];
    let (store, _) = Store::open_with(directory, SMALL).unwrap();
    for last in [10, 20, 30] {
        commit_numbers(&store, &mut content, last);
        if last < 30 {
            store.checkpoint().unwrap();
        }
    }
    content
}

/// All files below a directory, by their paths within it, with their bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.insert(path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Writes such files into a new directory.
fn write_files(files: &BTreeMap<PathBuf, Vec<u8>>) -> TempDir {
    let directory = scratch();
    for (path, bytes) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    directory
}

/// The files that are the truth: log and checkpoints.
fn durable(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = files(directory);
    found.retain(|path, _| path.starts_with("log") || path.starts_with("checkpoints"));
    found
}
