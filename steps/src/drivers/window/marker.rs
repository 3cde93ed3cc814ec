//! What a watchdog notes before it freezes, and takes back once it has thawed: so that a file system is known to have been
//! frozen by us although watchdog, engine and store are gone. It lies where a boot clears it: a boot thaws, too.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::drivers::{identity::Owner, mounts::Mount, quiesce::LeftFrozen};

/// Where they lie: a file for each file system, named after its device.
pub(super) const DIRECTORY: &str = "/run/resplit/frozen";

/// What is in one.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The mount point that was frozen.
    filesystem: PathBuf,
    /// Who froze it.
    watchdog: Owner,
    /// When, for people.
    since: Timestamp,
}

/// A note of this process.
pub(super) struct Marker(PathBuf);

impl Marker {
    /// Notes that this process is about to freeze a file system.
    pub(super) fn make(directory: &Path, mount: &Mount, filesystem: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let (path, new) = (of(directory, mount), directory.join(format!("{}.new", std::process::id())));
        let (filesystem, watchdog) = (filesystem.to_owned(), Owner::current()?);
        let note = serde_json::to_vec(&Note { filesystem, watchdog, since: Timestamp::now() })?;
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        // Synced: where this is no file system in memory, a crash of the machine takes it or leaves it whole.
        file.write_all(&note)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        Ok(Self(path))
    }

    /// Takes it back: the file system is thawed. One that stays says nothing of what is not frozen.
    pub(super) fn take_back(self) {
        let _ = fs::remove_file(self.0);
    }
}

fn of(directory: &Path, mount: &Mount) -> PathBuf {
    directory.join(&mount.device)
}

/// What watchdogs that are gone have left.
pub(super) fn left(directory: &Path) -> io::Result<Vec<LeftFrozen>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        // One that goes while it is looked at, or was never finished, says nothing.
        let Ok(bytes) = fs::read(entry?.path()) else { continue };
        let Ok(note) = serde_json::from_slice::<Note>(&bytes) else { continue };
        if !note.watchdog.is_alive() {
            found.push(LeftFrozen {
                filesystem: note.filesystem,
                watchdog: note.watchdog,
                since: note.since,
            });
        }
    }
    Ok(found)
}

/// Forgets what was noted of a file system that has been thawed, unless a watchdog that lives has noted it.
pub(super) fn forget(directory: &Path, mount: &Mount) {
    let path = of(directory, mount);
    let note = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
    if note.is_some_and(|note| !note.watchdog.is_alive()) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_watchdog_that_is_gone_has_noted_is_found_until_it_is_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("frozen");
        let mount = Mount::of_path(Path::new("/proc")).unwrap();
        assert_eq!(left(&directory).unwrap(), []);
        let marker = Marker::make(&directory, &mount, Path::new("/data")).unwrap();
        assert_eq!(left(&directory).unwrap(), [], "its watchdog lives");
        forget(&directory, &mount);
        assert!(of(&directory, &mount).exists(), "a note of one that lives stays");

        let mut note: Note = serde_json::from_slice(&fs::read(of(&directory, &mount)).unwrap()).unwrap();
        note.watchdog.boot_id = "another boot".into();
        fs::write(of(&directory, &mount), serde_json::to_vec(&note).unwrap()).unwrap();
        fs::write(directory.join("7.new"), "{").unwrap();
        let found = left(&directory).unwrap();
        assert!(matches!(&found[..], [one] if one.filesystem == Path::new("/data")), "{found:?}");
        forget(&directory, &mount);
        assert_eq!(left(&directory).unwrap(), []);
        marker.take_back();
    }
}
