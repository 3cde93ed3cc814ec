//! What the driver keeps in a pair's book, and the names that it gives to things in QEMU.

use resplit_operations::pair::PairRef;
use serde::{Deserialize, Serialize};

use crate::drivers::{
    book::Book,
    image::{state::Image, volume::Volume},
};

/// A pair's book.
pub(super) type State = Book<Known>;

/// What only this driver knows of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// The number of the last pass that was begun. Its job and its bitmap have it in their names.
    pub(super) pass: u64,
    /// The pass whose bitmap says what is different: the copy differs from the primary at most where that has bits.
    /// `None` if all may be different.
    pub(super) base: Option<u64>,
    /// How many bytes the image has.
    pub(super) size: u64,
    /// Whether the image's journal was replayed, or needs not to be.
    pub(super) replayed: bool,
}

impl Known {
    /// The copy is about to be made equal to the primary.
    pub(super) fn follows(&mut self) {
        self.replayed = false;
    }
}

impl Image for Known {
    fn is_at_rest(&self) -> bool {
        self.replayed
    }

    fn disturbed(&mut self) {
        self.base = None;
        self.replayed = false;
    }

    fn unmounted(&mut self, copy: &Volume) {
        self.replayed = true;
        self.size = copy.size;
    }
}

/// The names of a pair's things in QEMU. Whoever finds them there can tell which pair they belong to, also when the pair's
/// directory is gone. Node names have at most 31 bytes.
pub(super) struct Names(String);

impl Names {
    pub(super) fn of(pair: &PairRef) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [pair.volume.as_str(), pair.copy_group.as_str()] {
            let _ = hasher.update(part.as_bytes()).update(&[0]);
        }
        let _ = hasher.update(pair.secondary.as_os_str().as_encoded_bytes());
        Self(format!("resplit-{}", &hasher.finalize().to_hex()[..12]))
    }

    /// The node that is the copy, while QEMU has it open.
    pub(super) fn copy(&self) -> String {
        format!("{}-copy", self.0)
    }

    /// The job of a pass.
    pub(super) fn job(&self, pass: u64) -> String {
        format!("{}-job-{pass}", self.0)
    }

    /// The bitmap that says what was written since a pass began.
    pub(super) fn bitmap(&self, pass: u64) -> String {
        format!("{}-since-{pass}", self.0)
    }

    /// Whether something in QEMU is this pair's.
    pub(super) fn are_of(&self, name: &str) -> bool {
        name.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('-'))
    }
}
