//! Where the store's files lie in its directory.

use std::path::{Path, PathBuf};

use super::error::StoreError;

/// The parts of a store's directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The directory itself.
    pub(super) root: PathBuf,
    /// The commit log's segments.
    pub(super) log: PathBuf,
    /// Checkpoints.
    pub(super) checkpoints: PathBuf,
    /// The view, in a numbered directory, and how it was closed.
    pub(super) view: PathBuf,
}

impl Place {
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            root: directory.to_owned(),
            log: directory.join("log"),
            checkpoints: directory.join("checkpoints"),
            view: directory.join("view"),
        }
    }

    /// Who has the store.
    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Room kept for when there is none.
    pub(super) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    /// How the view was closed.
    pub(super) fn closed(&self) -> PathBuf {
        self.view.join("closed.json")
    }

    /// Something in the store is damaged.
    pub(super) fn damaged(&self, path: &Path, lost: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), lost: lost.into(), directory: self.root.clone() }
    }
}
