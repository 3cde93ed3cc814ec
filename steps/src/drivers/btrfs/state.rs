//! What the btrfs driver keeps in a pair's book.

use serde::{Deserialize, Serialize};

use crate::drivers::book::Book;

/// A pair's book.
pub(super) type State = Book<Known>;

/// What only this driver knows of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// What the primary held at the last resync.
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// The UUID of the image.
    pub(super) image: Option<String>,
    /// The UUID of the last subvolume that a restore has made to be the primary: by it a killed one knows which of the two
    /// stands where.
    pub(super) restored: Option<String>,
}
