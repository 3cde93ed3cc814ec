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

    /// What an operator's confirmation has made, until it has taken its place.
    pub(super) fn repaired(&self) -> PathBuf {
        self.root.join("repaired")
    }

    /// Something in the store is damaged: what is wrong, and what is lost by it.
    pub(super) fn damaged(
        &self,
        path: &Path,
        wrong: impl Into<String>,
        lost: impl Into<String>,
    ) -> StoreError {
        StoreError::Damaged {
            path: path.to_owned(),
            at: None,
            wrong: wrong.into(),
            lost: lost.into(),
            directory: self.root.clone(),
        }
    }

    /// The same, at a byte of a file.
    pub(super) fn damaged_at(&self, path: &Path, at: usize, wrong: String, lost: String) -> StoreError {
        let (path, directory) = (path.to_owned(), self.root.clone());
        StoreError::Damaged { path, at: Some(at as u64), wrong, lost, directory }
    }
}
