//! What touches the world, behind small traits.

use std::sync::Arc;

use resplit_operations::site::{Library, MediaDriverKind, PairDriverKind, Volume};

pub mod command;
pub mod directory;
pub mod identity;
pub mod media;
pub mod pairs;
pub mod quiesce;
pub mod shim;
mod system;
pub mod users;
pub mod virtual_library;
pub mod window;

/// The drivers that an engine has.
#[derive(Clone)]
pub struct Drivers {
    /// Pairs of directories.
    pub directory: Arc<dyn pairs::PairDriver>,
    /// Virtual libraries.
    pub virtual_library: Arc<dyn media::MediaDriver>,
    /// External commands.
    pub commands: Arc<dyn command::CommandRunner>,
}

impl Drivers {
    /// The driver of a volume.
    pub fn pairs(&self, volume: &Volume) -> &dyn pairs::PairDriver {
        match volume.driver {
            PairDriverKind::Directory => &*self.directory,
        }
    }

    /// The driver of a library.
    pub fn media(&self, library: &Library) -> &dyn media::MediaDriver {
        match library.driver {
            MediaDriverKind::Virtual => &*self.virtual_library,
        }
    }
}
