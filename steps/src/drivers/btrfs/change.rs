//! What changes subvolumes.

use std::{io::ErrorKind, path::Path, process::Stdio};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::program::run;
use crate::{drivers::book::Lock, failure::Failure};

/// Changes subvolumes under the lock of their pair. Every program that it runs holds the lock, too: one that outlives a
/// killed process for a moment ends before another verb begins.
pub(super) struct Change<'a> {
    pub(super) lock: &'a Lock,
}

impl Change<'_> {
    /// The lock, to be held by a program.
    pub(super) fn held(&self) -> Result<Stdio, Failure> {
        let shared = self.lock.shared();
        shared.map(Stdio::from).map_err(|error| Failure::temporary(format!("cannot share a lock: {error}")))
    }

    fn run(&self, words: &[&str], paths: &[&Path]) -> Result<(), Failure> {
        run(words, paths, self.held()?).map(drop)
    }

    /// Makes a read-only snapshot in place of what a killed verb has left there.
    pub(super) fn snapshot(&self, of: &Path, at: &Path) -> Result<(), Failure> {
        self.remove(at)?;
        self.run(&["subvolume", "snapshot", "-r"], &[of, at])
    }

    /// The same of a writable one.
    pub(super) fn writable_snapshot(&self, of: &Path, at: &Path) -> Result<(), Failure> {
        self.remove(at)?;
        self.run(&["subvolume", "snapshot"], &[of, at])
    }

    /// Makes an empty subvolume in place of what stands there.
    pub(super) fn create(&self, at: &Path) -> Result<(), Failure> {
        self.remove(at)?;
        self.run(&["subvolume", "create"], &[at])
    }

    /// Deletes a subvolume if it is there.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Failure> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Failure::io("look at", path, &error)),
            Ok(_) => self.run(&["subvolume", "delete"], &[path]),
        }
    }

    /// Makes a subvolume read-only.
    pub(super) fn set_read_only(&self, path: &Path) -> Result<(), Failure> {
        self.run(&["property", "set", "-ts"], &[path, Path::new("ro"), Path::new("true")])
    }

    /// Puts a whole subvolume in its place at once, and deletes the one that stood there.
    pub(super) fn put(&self, new: &Path, place: &Path) -> Result<(), Failure> {
        exchange(new, place)?;
        self.remove(new)
    }
}

/// Gives a subvolume its place. What stood there has the other name then.
pub(super) fn exchange(new: &Path, place: &Path) -> Result<(), Failure> {
    let is_there = place.symlink_metadata().is_ok();
    let how = if is_there { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    renameat_with(CWD, new, CWD, place, how)
        .map_err(|error| Failure::io("put in place", place, &error.into()))
}
