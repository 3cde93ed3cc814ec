//! One user a drive, one drive a cartridge: advisory locks, which die with their holder.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::label::Opened;
use crate::{drivers::media::LibraryRef, failure::Failure};

/// A drive in use; given back when dropped.
pub(super) struct Drive {
    _file: File,
}

/// Takes the first free drive.
pub(super) fn take_drive(library: &LibraryRef<'_>) -> Result<Drive, Failure> {
    for drive in 1..=library.library.drives {
        let path = library.library.path.join(format!("drive-{drive}.lock"));
        let file = lock_file(&path)?;
        if try_lock(&file).map_err(|error| Failure::io("lock", &path, &error))? {
            return Ok(Drive { _file: file });
        }
    }
    let drives = library.library.drives;
    Err(Failure::temporary(format!(
        "every drive of the library '{}' is in use ({drives} in all)",
        library.id
    ))
    .with_help("wait for the backup or restore that uses it, or declare more drives in site.yaml"))
}

/// Takes a cartridge for this process alone, as long as it is open.
pub(super) fn take_cartridge(opened: &Opened) -> Result<(), Failure> {
    if try_lock(&opened.file).map_err(|error| Failure::io("lock", &opened.path, &error))? {
        Ok(())
    } else {
        Err(Failure::temporary(format!("cartridge {} is in another drive", opened.label.barcode))
            .with_help("wait for the backup or restore that uses it"))
    }
}

/// Takes the library's own lock, waiting for it: held only while cartridges are made.
pub(super) fn take_library(library: &LibraryRef<'_>) -> Result<File, Failure> {
    let path = library.library.path.join("library.lock");
    let file = lock_file(&path)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| Failure::io("lock", &path, &error.into()))?;
    Ok(file)
}

/// `false` if another has it.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn lock_file(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::io("open", path, &error))
}
