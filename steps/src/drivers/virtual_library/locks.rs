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

/// Something in use; given back when dropped. Closing a file would not do: a child process that is just being started
/// has it open a little longer.
pub(super) struct Taken {
    file: File,
}

impl Drop for Taken {
    fn drop(&mut self) {
        // If this fails, closing gives it back.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Takes the first free drive.
pub(super) fn take_drive(library: &LibraryRef<'_>) -> Result<Taken, Failure> {
    for drive in 1..=library.library.drives {
        let path = library.library.path.join(format!("drive-{drive}.lock"));
        let file = lock_file(&path)?;
        if try_lock(&file).map_err(|error| Failure::io("lock", &path, &error))? {
            return Ok(Taken { file });
        }
    }
    let drives = library.library.drives;
    Err(Failure::temporary(format!(
        "every drive of the library '{}' is in use ({drives} in all)",
        library.id
    ))
    .with_help("wait for the backup or restore that uses it, or declare more drives in site.yaml"))
}

/// Takes a cartridge, for one drive alone.
pub(super) fn take_cartridge(opened: &Opened) -> Result<Taken, Failure> {
    let file = opened.file.try_clone().map_err(|error| Failure::io("lock", &opened.path, &error))?;
    if try_lock(&file).map_err(|error| Failure::io("lock", &opened.path, &error))? {
        Ok(Taken { file })
    } else {
        Err(Failure::temporary(format!("cartridge {} is in another drive", opened.label.barcode))
            .with_help("wait for the backup or restore that uses it"))
    }
}

/// Takes the library's own lock, waiting for it: held only while cartridges are made.
pub(super) fn take_library(library: &LibraryRef<'_>) -> Result<Taken, Failure> {
    let path = library.library.path.join("library.lock");
    let file = lock_file(&path)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| Failure::io("lock", &path, &error.into()))?;
    Ok(Taken { file })
}

/// `false` if another has it.
fn try_lock(file: &File) -> io::Result<bool> {
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
