//! What reads and writes cartridges.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use resplit_operations::{
    ids::{Barcode, HostId, LibraryId, PoolId, VolumeId},
    pair::{CopyReport, Tag},
    record::Record,
    site::Library,
};
use serde::{Deserialize, Serialize};

use crate::{context::Work, failure::Failure};

/// A kind of library.
///
/// # Contract
///
/// - A dataset exists once it is closed; one that was being written when its writer died does not, and what follows
///   the last closed dataset is overwritten by the next. Closing is durable.
/// - A drive has one user: a second one is refused as temporary.
/// - What is not resplit's own, or is damaged, is never overwritten.
pub trait MediaDriver: Send + Sync {
    /// The cartridges in the library, in the order of their slots. Makes the blank cartridges of a virtual library that
    /// has none. Reads labels and contents tables, no data.
    fn inventory(&self, library: &LibraryRef<'_>) -> Result<Vec<Cartridge>, Failure>;

    /// The cartridge that a dataset of at most `bound` bytes goes to: the first of the pool with room, else a blank one.
    /// A refusal that says how much is missing where none has. Changes nothing.
    fn choose(&self, library: &LibraryRef<'_>, pool: &PoolId, bound: u64) -> Result<Barcode, Failure>;

    /// An upper bound of what a dataset of these trees takes on a cartridge, compression that does not help, index and
    /// record included, in bytes. Stats the trees.
    fn bound(&self, sources: &[PathBuf]) -> Result<u64, Failure>;

    /// Writes one dataset after the last closed one, and closes it. The cartridge joins the pool if it was blank.
    fn write(
        &self,
        library: &LibraryRef<'_>,
        dataset: &NewDataset<'_>,
        work: &Work,
    ) -> Result<Dataset, Failure>;

    /// The closed datasets of a cartridge, in order. What carries this tag is what a probe looks for.
    fn datasets(&self, library: &LibraryRef<'_>, barcode: &Barcode) -> Result<Vec<Dataset>, Failure>;

    /// Reads a dataset into one directory for each of its volumes, verifying each file's BLAKE3. With `paths` only those
    /// files and directories, relative to a volume's root; one that the dataset lacks is an error before anything
    /// is written. Existing content of the directories is replaced if `replace`, else refused where it is in the way.
    fn read(
        &self,
        library: &LibraryRef<'_>,
        barcode: &Barcode,
        number: u32,
        wanted: &Wanted<'_>,
        work: &Work,
    ) -> Result<CopyReport, Failure>;
}

/// A library and its name.
#[derive(Clone, Copy, Debug)]
pub struct LibraryRef<'a> {
    /// Its name.
    pub id: &'a LibraryId,
    /// What is declared of it, with an absolute path.
    pub library: &'a Library,
}

/// A cartridge, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cartridge {
    /// What is printed on it.
    pub barcode: Barcode,
    /// The slot it is in, from 1.
    pub slot: u32,
    /// The pool it belongs to; `None` if it is blank.
    pub pool: Option<PoolId>,
    /// What it holds at most, in bytes.
    pub capacity: u64,
    /// What closed datasets take of that, label included, in bytes.
    pub used: u64,
    /// Bytes after the last closed dataset: the beginning of one that was never closed. The next one takes their place.
    #[serde(default)]
    pub unclosed: u64,
    /// How many closed datasets it has.
    pub datasets: u32,
    /// Why it cannot be used, if so: damaged, foreign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// A dataset to be written.
pub struct NewDataset<'a> {
    /// The cartridge.
    pub barcode: &'a Barcode,
    /// The pool.
    pub pool: &'a PoolId,
    /// Who writes it.
    pub tag: Tag,
    /// The host that writes it.
    pub host: &'a HostId,
    /// The trees: in the archive each is under a directory with the volume's name.
    pub sources: &'a [(VolumeId, PathBuf)],
    /// The record that it belongs to, which is written beside it; its medium is set by the writer.
    pub record: &'a Record,
    /// Until when it is kept; `None` is permanent.
    pub expires: Option<Timestamp>,
    /// Now.
    pub written: Timestamp,
}

/// A closed dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its cartridge.
    pub barcode: Barcode,
    /// Its number there, from 1.
    pub number: u32,
    /// Who wrote it.
    pub tag: Tag,
    /// Where it begins on the cartridge, in bytes.
    pub offset: u64,
    /// What it takes there, in bytes.
    pub bytes: u64,
    /// Entries in its archive.
    pub entries: u64,
    /// Bytes of content in its archive.
    pub content_bytes: u64,
    /// When it was closed.
    pub written: Timestamp,
    /// Until when it is kept; `None` is permanent.
    pub expires: Option<Timestamp>,
    /// The record that it belongs to, as its writer knew it; its medium is this dataset.
    pub record: Record,
}

/// What is wanted of a dataset.
pub struct Wanted<'a> {
    /// Where each volume goes.
    pub to: &'a [(VolumeId, &'a Path)],
    /// Only these; all if empty.
    pub paths: &'a [PathBuf],
    /// Whether what is there is replaced, so that the directory equals the dataset afterwards.
    pub replace: bool,
}

/// The cartridge that a dataset of at most `bound` bytes goes to: the first usable one of the pool with room, else a
/// blank one; refused, with what is missing, where none has.
pub fn choose_from(
    library: &LibraryId,
    cartridges: &[Cartridge],
    pool: &PoolId,
    bound: u64,
) -> Result<Barcode, Failure> {
    let room = |cartridge: &Cartridge| cartridge.capacity.saturating_sub(cartridge.used);
    let ours = cartridges
        .iter()
        .filter(|cartridge| cartridge.unusable.is_none() && cartridge.pool.as_ref() == Some(pool));
    let blank =
        cartridges.iter().filter(|cartridge| cartridge.unusable.is_none() && cartridge.pool.is_none());
    let candidates: Vec<&Cartridge> = ours.chain(blank).collect();
    if let Some(chosen) = candidates.iter().find(|cartridge| room(cartridge) >= bound) {
        return Ok(chosen.barcode.clone());
    }
    let text = match candidates.iter().max_by_key(|cartridge| room(cartridge)) {
        None => format!("no cartridge of library '{library}' is blank or in pool '{pool}'"),
        Some(best) => format!(
            "no cartridge of pool '{pool}' in library '{library}' has room for a dataset of at most {bound} bytes: \
             the one with the most, {}, lacks {} bytes",
            best.barcode,
            bound - room(best)
        ),
    };
    let mut help = format!(
        "raise 'slots' or 'cartridge_size' of library '{library}' in site.yaml (cartridges that exist keep their size); \
         resplit tape list shows what they hold"
    );
    let unusable: Vec<String> =
        cartridges.iter().filter_map(|c| Some(format!("{}: {}", c.barcode, c.unusable.as_ref()?))).collect();
    if !unusable.is_empty() {
        help = format!("{help}. Not usable: {}", unusable.join("; "));
    }
    Err(Failure::refused(text).with_help(help))
}
