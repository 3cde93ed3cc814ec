//! A log that cannot be written: nothing more is acknowledged, and reads go on.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    sync::{Arc, Mutex},
};

use super::{SMALL, content, put, scratch, thirty};
use crate::store::{Inner, Options, Store, open::open};

/// A store whose log goes to a device from now on.
fn redirected(directory: &Path, device: &str) -> Store {
    let options = Options { segment_size: 1 << 20, ..SMALL };
    let (mut committer, _) = open(directory, options).unwrap();
    // With a segment of its own there is room, so that the device itself is written to.
    committer.writer.rotate(1 << 16).unwrap();
    committer.writer.redirect(OpenOptions::new().write(true).open(device).unwrap());
    let shared = Arc::clone(&committer.shared);
    let (requests, thread) = committer.start().unwrap();
    Store {
        inner: Arc::new(Inner {
            shared,
            requests: Some(requests),
            committer: Mutex::new(Some(thread)),
            read_only: None,
        }),
    }
}

#[test]
fn after_an_error_of_the_log_nothing_is_acknowledged() {
    // Writing to the first fails as on a full disk; syncing the second fails.
    for (device, doing) in [("/dev/full", "cannot write"), ("/dev/null", "cannot sync")] {
        let directory = scratch();
        let states = thirty(directory.path());
        let store = redirected(directory.path(), device);
        let first = store.commit(put("a", "1")).unwrap_err().to_string();
        assert!(first.starts_with(doing) && first.contains("then start again"), "{first}");
        assert_eq!(store.commit(put("b", "2")).unwrap_err().to_string(), first);
        assert_eq!(store.checkpoint().unwrap_err().to_string(), first);
        assert_eq!(content(&store), states[30]);
        assert_eq!(directory.path().join("reserve").exists(), device != "/dev/full");
        // Whoever waits for that is told, and its process ends.
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.failed());
        assert_eq!(store.close().unwrap_err().to_string(), first);
        let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
        assert_eq!((opened.sequence, content(&store)), (30, states[30].clone()));
        assert!(!store.is_low_on_space());
    }
}

#[test]
fn a_log_that_cannot_be_read_is_refused() {
    let directory = scratch();
    thirty(directory.path());
    // A directory where a segment is expected: reading it fails as a bad disk would.
    std::fs::create_dir(directory.path().join("log/00000000000000000031.log")).unwrap();
    let error = Store::open_with(directory.path(), SMALL).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("31.log"), "{error}");
    assert!(File::open(directory.path().join("view/1")).is_ok());
}
