//! What the LVM driver keeps in a pair's book.

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
    /// The UUID of the image.
    pub(super) image: Option<String>,
    /// How many bytes the primary had at the last split.
    pub(super) size: u64,
    /// Whether the image's journal was replayed.
    pub(super) replayed: bool,
    /// Whether the half of a mirror was made by us, and goes with the pair.
    pub(super) half_is_ours: bool,
    /// A half is being split off for good: a volume of its name is ours also without its tag.
    pub(super) detaching: bool,
}

impl Image for Known {
    fn is_at_rest(&self) -> bool {
        self.replayed
    }

    fn disturbed(&mut self) {
        self.replayed = false;
    }

    fn unmounted(&mut self, copy: &Volume) {
        self.replayed = true;
        self.size = copy.size;
    }
}
