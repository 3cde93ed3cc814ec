//! Files and directories that are there after a power cut.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::error::StoreError;

/// How the name of a file ends that is not whole yet.
pub(super) const UNFINISHED: &str = "new";

/// Creates a directory, for its owner only, and those above it, durably.
pub(super) fn create_directory(path: &Path) -> Result<(), StoreError> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    create_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(StoreError::io("create", path)(error))
        }
        _ => sync_directory(parent),
    }
}

/// Makes the way to a directory durable that may have been created by a process that was killed before it had synced it.
pub(super) fn sync_way_to(path: &Path) -> Result<(), StoreError> {
    path.ancestors().skip(1).try_for_each(|above| match sync_directory(above) {
        // What may not be read was not created by us.
        Err(StoreError::Io { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    })
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|directory| directory.sync_all()).map_err(StoreError::io("sync", path))
}

/// Creates a file, whole or not at all: `write` fills it under another name.
pub(super) fn create_whole(
    path: &Path,
    write: impl FnOnce(&mut File, &Path) -> Result<(), StoreError>,
) -> Result<File, StoreError> {
    let unfinished = path.with_extension(UNFINISHED);
    let created = try_create(&unfinished, path, write);
    if created.is_err() {
        // What is left of it would only take room; it is also removed when the store is opened.
        let _ = fs::remove_file(&unfinished);
    }
    created
}

fn try_create(
    unfinished: &Path,
    path: &Path,
    write: impl FnOnce(&mut File, &Path) -> Result<(), StoreError>,
) -> Result<File, StoreError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(unfinished)
        .map_err(StoreError::io("create", unfinished))?;
    write(&mut file, unfinished)?;
    file.sync_all().map_err(StoreError::io("sync", unfinished))?;
    fs::rename(unfinished, path).map_err(StoreError::io("rename", unfinished))?;
    if let Some(parent) = path.parent() {
        sync_directory(parent)?;
    }
    Ok(file)
}

/// The entries of a directory; none if there is no such directory.
pub(super) fn list(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read", directory)(error)),
    };
    entries.map(|entry| Ok(entry.map_err(StoreError::io("read", directory))?.path())).collect()
}

/// The files `NUMBER.ending` of a directory, by their numbers.
pub(super) fn numbered(directory: &Path, ending: &str) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found: Vec<_> = list(directory)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
        .collect();
    found.sort();
    Ok(found)
}

/// Removes what a creation that was interrupted has left.
pub(super) fn remove_unfinished(directory: &Path) -> Result<(), StoreError> {
    for path in list(directory)?.iter().filter(|path| path.extension().is_some_and(|e| e == UNFINISHED)) {
        fs::remove_file(path).map_err(StoreError::io("remove", path))?;
    }
    Ok(())
}
