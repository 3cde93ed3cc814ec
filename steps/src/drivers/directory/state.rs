//! What the directory driver keeps in a pair's book, and the names of its files beside it.

use serde::{Deserialize, Serialize};

use crate::drivers::book::Book;

/// The name of the image within a secondary.
pub(super) const DATA: &str = "data";
/// Where a first copy is made.
pub(super) const NEW_DATA: &str = "data.new";
/// The index of what the last pass saw.
pub(super) const INDEX: &str = "index";
/// Where the next index is made.
pub(super) const NEW_INDEX: &str = "index.new";

/// A pair's book.
pub(super) type State = Book<Known>;

/// What only this driver knows of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The inode of the primary's root when it was last seen: by it a mount point on which nothing is mounted is
    /// told from the primary.
    pub(super) primary_inode: u64,
    /// The last complete pass.
    pub(super) pass: u64,
    /// Whether the index of that pass describes the copy as it is: nothing was begun since.
    pub(super) settled: bool,
}
