//! What lies beside a cartridge: `VT0001.contents`, what is on it, so that nothing has to be searched (the memory chip of
//! a real cartridge), and `VT0001.txt`, the same for people. Neither is the truth; the cartridge is.

use std::{fmt::Write, fs};

use resplit_operations::ids::PoolId;
use serde::{Deserialize, Serialize};

use super::{
    closing::Closing,
    label::{self, Label},
};
use crate::{
    drivers::media::{Dataset, LibraryRef},
    failure::Failure,
};

/// A closed dataset, with what its closing frame said when it was last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The pool.
    pub(super) pool: PoolId,
    /// The closing frame.
    pub(super) closing: Closing,
    /// What it closes.
    pub(super) dataset: Dataset,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    label: Label,
    datasets: Vec<Known>,
}

/// What was last known of a cartridge; `None` if nothing was, or if what was is not about this cartridge, or damaged.
pub(super) fn load(library: &LibraryRef<'_>, label: &Label) -> Option<Vec<Known>> {
    let bytes = fs::read(label::path(library, &label.barcode, "contents")).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (digest, json) = text.split_once('\n')?;
    if blake3::hash(json.as_bytes()).to_hex().as_str() != digest {
        return None;
    }
    let contents: Contents = serde_json::from_str(json).ok()?;
    let mut position = None;
    let coherent = (1..).zip(&contents.datasets).all(|(number, known)| {
        let starts_right = position.is_none_or(|at| at == known.closing.offset);
        position = Some(known.closing.end());
        starts_right && known.closing.number == number && known.dataset.number == number
    });
    (contents.label == *label && coherent).then_some(contents.datasets)
}

/// Writes down what is on a cartridge, for the next look and for people.
pub(super) fn save(library: &LibraryRef<'_>, label: &Label, datasets: &[Known]) -> Result<(), Failure> {
    let contents = Contents { label: label.clone(), datasets: datasets.to_vec() };
    let json = serde_json::to_string(&contents).unwrap_or_default();
    let text = format!("{}\n{json}", blake3::hash(json.as_bytes()).to_hex());
    for (extension, bytes) in [("txt", table(label, datasets)), ("contents", text)] {
        let path = label::path(library, &label.barcode, extension);
        label::replace_file(&path, bytes.as_bytes())
            .map_err(|error| Failure::io("write the contents table", &path, &error))?;
    }
    Ok(())
}

/// The table for people.
fn table(label: &Label, datasets: &[Known]) -> String {
    let mut text = String::new();
    let pool = datasets.first().map_or("none: it is blank", |known| known.pool.as_str());
    let used = datasets.last().map_or(0, |known| known.closing.end());
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        "Cartridge {barcode} of the library '{library}', pool: {pool}\n\
         {capacity} bytes, {used} used, {count} datasets\n\n\
         This table is for people; what counts is in {barcode}.cartridge. Run the commands as root in the directory\n\
         into which the files are to go, with VAULT set to the directory of this table. GNU tar and zstd suffice.\n\n\
         All datasets, one after the other:\n\n  \
         zstd -dc \"$VAULT\"/{barcode}.cartridge | tar -xpi {OPTIONS}\n",
        barcode = label.barcode,
        library = label.library,
        capacity = label.capacity,
        count = datasets.len(),
    );
    for Known { closing, dataset, .. } in datasets {
        let origin = &dataset.record.origin;
        let kept = dataset.expires.map_or_else(|| "permanently".to_owned(), |until| format!("until {until}"));
        let volumes: Vec<&str> = origin.images.iter().map(|image| image.volume.as_str()).collect();
        let _ = write!(
            text,
            "\nDataset {number}\n\
             \x20 written     {written}, kept {kept}\n\
             \x20 operation   {operation}, volumes {volumes}\n\
             \x20 backup ID   {id}, original ID {original} of {host}, made {started}\n\
             \x20 where       offset {offset}, {bytes} bytes\n\
             \x20 what        {entries} entries, {content} bytes of content\n\n\
             \x20 dd if=\"$VAULT\"/{barcode}.cartridge bs=4M iflag=skip_bytes,count_bytes skip={from} count={archive} \
             status=none | zstd -dc | tar -xp {OPTIONS}\n",
            number = dataset.number,
            written = dataset.written,
            operation = origin.operation,
            volumes = volumes.join(", "),
            id = dataset.record.id,
            original = origin.original_id,
            host = origin.source_host,
            started = origin.started,
            offset = dataset.offset,
            bytes = dataset.bytes,
            entries = dataset.entries,
            content = dataset.content_bytes,
            from = closing.archive_at(),
            archive = closing.archive,
            barcode = label.barcode,
        );
    }
    text
}

/// Of GNU tar: everything as it was, by number.
const OPTIONS: &str = "--numeric-owner --xattrs --xattrs-include='*'";
