//! What the image driver keeps in a pair's book, and the names of its files beside it.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use resplit_operations::pair::PairRef;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::volume::Volume;
use crate::drivers::book::Book;

/// The name of the copy within a pair's directory, unless it is a device.
pub(super) const IMAGE: &str = "image";
/// The hash map of the last pass.
pub(super) const BLOCKS: &str = "blocks";
/// Where the next hash map is made.
pub(super) const NEW_BLOCKS: &str = "blocks.new";

/// A pair's book.
pub(super) type State = Book<Known>;

/// What only this driver knows of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::drivers) struct Known {
    /// The last complete pass.
    pub(super) pass: u64,
    /// Whether the hash map of that pass describes the copy as it is: nothing was begun since.
    pub(super) settled: bool,
    /// How many bytes the image has; a device may have more.
    pub(super) size: u64,
    /// The copy as the pass left it, of a file.
    pub(super) copy: Option<Seen>,
    /// Whether the image's journal was replayed, or needs not to be.
    pub(super) replayed: bool,
}

/// By what a file is known to be as it was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    ino: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Seen {
    /// A file as it is now; `None` of a device, which keeps no times.
    pub(super) fn of(copy: &Path) -> Option<Self> {
        let found = copy.metadata().ok().filter(Metadata::is_file)?;
        Some(Self { ino: found.ino(), seconds: found.mtime(), nanoseconds: found.mtime_nsec() })
    }
}

/// What a driver keeps of an image that is a volume, as far as mounting and overwriting it concern that.
pub(in crate::drivers) trait Image:
    Clone + Default + Serialize + DeserializeOwned
{
    /// Whether the image's journal was replayed, or needs not to be.
    fn is_at_rest(&self) -> bool;

    /// Something else than a copy of the primary is about to be written into the image.
    fn disturbed(&mut self);

    /// Its file system was unmounted in order.
    fn unmounted(&mut self, copy: &Volume);
}

impl Image for Known {
    fn is_at_rest(&self) -> bool {
        self.replayed
    }

    fn disturbed(&mut self) {
        self.settled = false;
        self.replayed = false;
    }

    fn unmounted(&mut self, copy: &Volume) {
        self.replayed = true;
        if !copy.is_device || self.size == 0 {
            self.size = copy.size;
        }
    }
}

/// Where the copy of a pair is.
pub(in crate::drivers) fn copy_of(pair: &PairRef) -> PathBuf {
    pair.device.clone().unwrap_or_else(|| pair.secondary.join(IMAGE))
}
