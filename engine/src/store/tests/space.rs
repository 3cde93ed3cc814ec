//! Full and read-only file systems, on a small one of our own. Needs the right to mount.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{put, scratch};
use crate::store::{Found, Options, Store, StoreError, Table};

const OPTIONS: Options = Options { log_bound: 1 << 20, segment_size: 256 << 10, ..Options::DEFAULT };

struct Mounted(TempDir);

impl Mounted {
    /// A file system in memory of so many MiB; `None`, said aloud, where it cannot be mounted.
    fn new(mib: u32) -> Option<Self> {
        let directory = scratch();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(directory));
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, how: &str) {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.path()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.0.path()).status();
    }
}

/// Takes all the room there is.
fn fill(path: &Path) {
    let mut size = 1 << 20;
    let mut number = 0;
    while size > 0 {
        let file = path.join(format!("filler{number}"));
        if fs::write(&file, vec![1; size]).is_err() {
            fs::remove_file(&file).unwrap();
            size /= 2;
        }
        number += 1;
    }
}

fn make_room(path: &Path) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("filler") {
            fs::remove_file(path).unwrap();
        }
    }
}

/// The first keys that were committed.
fn keys(store: &Store, count: usize) -> Vec<String> {
    let mut keys = store.keys(Table::Runs, "0").unwrap();
    // The commit that failed may be there.
    assert!(keys.len() == count || keys.len() == count + 1);
    keys.truncate(count);
    keys
}

#[test]
fn on_a_full_disk_obligations_are_still_recorded() {
    let Some(disk) = Mounted::new(16) else { return };
    let state = disk.path().join("state");
    let (store, _) = Store::open_with(&state, OPTIONS).unwrap();
    store.commit(put("before", "1")).unwrap();
    assert!(!store.is_low_on_space());
    fill(disk.path());
    drop(store);
    // It is opened on a full disk: the old view makes room for the new one.
    let (store, opened) = Store::open_with(&state, OPTIONS).unwrap();
    assert!(matches!(opened.found, Found::Rebuilt { .. }));
    let mut committed = Vec::new();
    let mut after_low = 0;
    let error = loop {
        let key = format!("{:06}", committed.len());
        match store.commit(put(&key, &"x".repeat(1000))) {
            Ok(_) => committed.push(key),
            Err(error) => break error,
        }
        after_low += u32::from(store.is_low_on_space());
        assert!(committed.len() < 100_000);
    };
    assert!(store.is_low_on_space());
    assert!(after_low > 100, "{after_low} of {} commits with the reserve", committed.len());
    eprintln!("{} commits, {after_low} of them with the reserve, then: {error}", committed.len());
    assert!(error.to_string().contains("make room there"), "{error}");
    assert_eq!(store.commit(put("after", "1")).unwrap_err().to_string(), error.to_string());
    drop(store);

    // With no room left at all it is not opened, or opened with everything; never with less.
    match Store::open_with(&state, OPTIONS) {
        Ok((store, _)) => assert_eq!(keys(&store, committed.len()), committed),
        Err(error) => assert!(error.to_string().contains("make room there"), "{error}"),
    }
    make_room(disk.path());
    let (store, _) = Store::open_with(&state, OPTIONS).unwrap();
    assert!(!store.is_low_on_space());
    assert_eq!(keys(&store, committed.len()), committed);
    store.commit(put("after", "1")).unwrap();
    store.checkpoint().unwrap();
    store.close().unwrap();
}

#[test]
fn a_read_only_directory_is_refused_and_a_writable_one_taken_again() {
    let Some(disk) = Mounted::new(16) else { return };
    let (store, _) = Store::open_with(disk.path(), OPTIONS).unwrap();
    store.commit(put("a", "1")).unwrap();
    store.close().unwrap();
    disk.remount("ro");
    let error = Store::open_with(disk.path(), OPTIONS).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(error.to_string().contains("mount the file system for writing"), "{error}");
    disk.remount("rw");
    let (store, _) = Store::open_with(disk.path(), OPTIONS).unwrap();
    assert_eq!(super::all(&store), [("a".to_owned(), "1".to_owned())]);
}
