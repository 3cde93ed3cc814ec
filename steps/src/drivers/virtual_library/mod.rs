//! Virtual libraries: cartridges are files in a directory.
//!
//! A cartridge can be read with GNU tar and zstd alone: everything that is not archive is in frames that zstd skips. The
//! format is described in `docs/tape-format.md`. What a cartridge is: `frame`, `label`, `closing`; where its datasets
//! are: `locate`, `contents`; how one is written: `write` from `archive` through `compress`; how one is read:
//! `read` through `chunks` to `extract`.

mod archive;
mod attributes;
mod bound;
mod chunks;
mod closing;
mod compress;
mod contents;
mod extract;
mod frame;
#[cfg(test)]
mod hostile;
mod index;
mod inventory;
mod label;
mod locate;
mod locks;
mod member;
mod metadata;
mod names;
mod pax;
mod progress;
mod read;
mod select;
mod sparse;
mod table;
mod tree;
mod walk;
mod write;

use std::path::PathBuf;

use resplit_operations::{
    ids::{Barcode, PoolId},
    pair::CopyReport,
};

use super::media::{Cartridge, Dataset, LibraryRef, MediaDriver, NewDataset, Wanted};
use crate::{context::Work, failure::Failure};

/// Virtual libraries. It remembers nothing: all that it knows is in the libraries.
#[derive(Clone, Copy, Debug, Default)]
pub struct VirtualLibrary;

impl VirtualLibrary {
    /// The driver.
    pub const fn new() -> Self {
        Self
    }
}

impl MediaDriver for VirtualLibrary {
    fn inventory(&self, library: &LibraryRef<'_>) -> Result<Vec<Cartridge>, Failure> {
        inventory::inventory(library, true)
    }

    fn choose(&self, library: &LibraryRef<'_>, pool: &PoolId, bound: u64) -> Result<Barcode, Failure> {
        inventory::choose(library, pool, bound)
    }

    fn bound(&self, sources: &[PathBuf]) -> Result<u64, Failure> {
        // Under the longest name that a volume can have.
        let name = "v".repeat(resplit_operations::ids::LONGEST_NAME);
        Ok(bound::totals(sources.iter().map(|source| (name.as_str(), source)), true)?.bound())
    }

    fn write(
        &self,
        library: &LibraryRef<'_>,
        dataset: &NewDataset<'_>,
        work: &Work,
    ) -> Result<Dataset, Failure> {
        write::write(library, dataset, work)
    }

    fn datasets(&self, library: &LibraryRef<'_>, barcode: &Barcode) -> Result<Vec<Dataset>, Failure> {
        let opened = label::open_existing(library, barcode)?;
        let located = locate::locate(library, &opened)?;
        Ok(located.datasets.into_iter().map(|known| known.dataset).collect())
    }

    fn read(
        &self,
        library: &LibraryRef<'_>,
        barcode: &Barcode,
        number: u32,
        wanted: &Wanted<'_>,
        work: &Work,
    ) -> Result<CopyReport, Failure> {
        read::read(library, barcode, number, wanted, work)
    }
}
