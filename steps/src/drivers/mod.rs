//! What touches the world, behind small traits.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use resplit_operations::site::{Library, MediaDriverKind, PairDriverKind};

use crate::failure::Failure;

pub mod array;
mod book;
mod bounded;
pub mod btrfs;
pub mod clocks;
pub mod command;
pub mod directory;
pub mod identity;
pub mod image;
pub mod lvm;
pub mod media;
pub mod mounts;
pub mod pairs;
pub mod qemu;
pub mod quiesce;
pub mod secrets;
pub mod shim;
pub mod stream;
mod system;
pub mod transfer;
pub mod users;
pub mod virtual_library;
pub mod window;

/// Whether something is there. What cannot be looked at is not missing.
fn is_there(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|error| Failure::io("look at", path, &error))
}

/// The drivers that an engine has.
#[derive(Clone)]
pub struct Drivers {
    /// Pairs, by their kind.
    pub pairs: BTreeMap<PairDriverKind, Arc<dyn pairs::PairDriver>>,
    /// Virtual libraries.
    pub virtual_library: Arc<dyn media::MediaDriver>,
    /// External commands.
    pub commands: Arc<dyn command::CommandRunner>,
}

impl Drivers {
    /// The driver of a kind of pairs.
    pub fn pairs(&self, kind: PairDriverKind) -> Result<&dyn pairs::PairDriver, Failure> {
        let missing = || Failure::permanent(format!("this engine has no driver for {kind} pairs"));
        self.pairs.get(&kind).map(|driver| &**driver).ok_or_else(missing)
    }

    /// The driver of a library.
    pub fn media(&self, library: &Library) -> &dyn media::MediaDriver {
        match library.driver {
            MediaDriverKind::Virtual => &*self.virtual_library,
        }
    }
}
