//! How the view was closed: only a view that was closed in order, at the end of the log, is used again.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::StoreError,
    files::{create_whole, sync_directory},
    frame::Point,
    place::Place,
};

/// What is written when the store is closed, and removed before anything is written again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Closed {
    /// The directory of the view, in that of all views.
    view: String,
    /// The number of the last record.
    pub(super) sequence: u64,
    /// Its hash, in hexadecimal.
    hash: String,
}

impl Closed {
    pub(super) fn new(view: &Path, point: Point) -> Self {
        let view = view.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { view, sequence: point.sequence, hash: point.hex() }
    }

    /// Reads it; `None` if there is none, or none that makes sense.
    pub(super) fn read(place: &Place) -> Result<Option<Self>, StoreError> {
        let path = place.closed();
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    pub(super) fn write(&self, place: &Place) -> Result<(), StoreError> {
        let path = place.closed();
        create_whole(&path, |file, unfinished| {
            serde_json::to_writer(&mut *file, self)
                .map_err(io::Error::from)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(StoreError::io("write", unfinished))
        })?;
        Ok(())
    }

    /// Removes it, durably.
    pub(super) fn remove(place: &Place) -> Result<(), StoreError> {
        let path = place.closed();
        match fs::remove_file(&path) {
            Ok(()) => sync_directory(&place.view),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io("remove", &path)(error)),
        }
    }

    /// Whether it was closed at this place.
    pub(super) fn is_at(&self, point: Point) -> bool {
        self.sequence == point.sequence && self.hash == point.hex()
    }

    /// The view's directory.
    pub(super) fn view(&self, place: &Place) -> PathBuf {
        place.view.join(&self.view)
    }
}
