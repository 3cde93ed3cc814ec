//! Records: the backups that exist on a host; and the changes that steps make to a catalog.

mod exported;

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{BackupId, Barcode, CopyGroup, HostId, LibraryId, OperationId, RunId, VolumeId},
    operation::QuiesceMode,
    pair::CopyReport,
};

pub use self::exported::ExportFile;

/// One backup that exists on this host. The fields of the field (domain: catalog records), and what else is needed
/// to know whether its images are still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// This host's ID.
    pub id: BackupId,
    /// What the source host said of it, whatever host the record is on.
    #[serde(flatten)]
    pub origin: Origin,
    /// Where the data is.
    pub medium: Medium,
    /// Whether the images are still there.
    pub standing: Standing,
    /// Who asked that it be kept from being overwritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// Whether the image is to be on tape, and is.
    #[serde(default)]
    pub tape: TapeState,
    /// When this host learnt of it.
    pub entered: Timestamp,
}

/// What the source host said of a backup. Its digest, with the source host and the original ID, is what makes a
/// repeated import the same import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The ID that the source host gave.
    pub original_id: BackupId,
    /// The host that made it.
    pub source_host: HostId,
    /// The operation.
    pub operation: OperationId,
    /// The run that made it.
    pub run: RunId,
    /// How the application was held still.
    pub mode: QuiesceMode,
    /// When the backup of primary to secondary began: when the application was held still.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// One image for each volume.
    pub images: Vec<Image>,
}

/// The newest of some backups, told apart by their origins. A host counts its backups, and nobody sets that count back as
/// a clock may be: of those of one host the one with the highest original ID is the newest. Of several hosts', their clocks
/// decide. Of the same backup, the last that is given.
pub fn newest<T>(all: impl IntoIterator<Item = T>, origin: impl Fn(&T) -> &Origin) -> Option<T> {
    let mut of_hosts: BTreeMap<HostId, T> = BTreeMap::new();
    for one in all {
        let (host, id) = (origin(&one).source_host.clone(), origin(&one).original_id);
        if of_hosts.get(&host).is_none_or(|best| origin(best).original_id <= id) {
            let _ = of_hosts.insert(host, one);
        }
    }
    of_hosts.into_values().max_by_key(|one| origin(one).started)
}

/// The image of one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The volume.
    pub volume: VolumeId,
    /// The pair that holds, or held, it.
    pub copy_group: CopyGroup,
    /// The pair's number among those of the volume.
    pub generation: u32,
    /// The epoch of the pair's content: the image is there as long as the pair's epoch is this one.
    pub epoch: u64,
    /// What the split reported.
    pub report: CopyReport,
    /// What the volume was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<VolumeSource>,
}

/// What a volume is made of: kept with a backup, and compared before a restore over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSource {
    /// The host of the primary.
    pub host: HostId,
    /// Its path there.
    pub path: PathBuf,
    /// The file system that it is in, or that is in it.
    pub filesystem: Option<FileSystem>,
    /// Its size in bytes, if it is a volume rather than a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A file system, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Its type.
    pub kind: String,
    /// Its UUID, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Where it is mounted; empty if it is not.
    #[serde(default)]
    pub mounted_at: PathBuf,
}

/// Where the data of a record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "medium", rename_all = "snake_case")]
pub enum Medium {
    /// On the secondaries.
    Disk,
    /// On a cartridge.
    Tape(TapePlace),
}

/// A dataset's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapePlace {
    /// The library.
    pub library: LibraryId,
    /// The cartridge.
    pub barcode: Barcode,
    /// The dataset's number on it, from 1.
    pub dataset: u32,
    /// Bytes on the cartridge.
    pub bytes: u64,
    /// Until when it is kept; `None` is permanent.
    pub expires: Option<Timestamp>,
}

/// Whether the images that a record describes are still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// They are.
    Current,
    /// They were overwritten by, or from, another host: listed, never mounted or restored.
    Stale {
        /// Since when.
        since: Timestamp,
        /// By what.
        reason: String,
    },
}

/// A lock on a record, and so on its pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The run that mounted it, or `None` for an operator's lock.
    pub run: Option<RunId>,
    /// Since when.
    pub since: Timestamp,
}

/// Whether a record's image is wanted on tape. While it is, its pairs are interlocked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tape", rename_all = "snake_case")]
pub enum TapeState {
    /// It is not wanted there.
    #[default]
    NotWanted,
    /// It is, and is not there yet.
    Wanted,
    /// It is there.
    Done {
        /// The cartridge.
        barcode: Barcode,
    },
    /// An operator gave up on it.
    Waived,
}

/// What a step asks the engine to write into this host's catalog, with its intent or its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum CatalogChange {
    /// A new record.
    Insert {
        /// The record.
        record: Box<Record>,
    },
    /// A record whose image is overwritten: it goes, whole.
    Evict {
        /// Which.
        id: BackupId,
        /// By what.
        reason: String,
    },
    /// A record whose image is overwritten elsewhere.
    MarkStale {
        /// Which.
        id: BackupId,
        /// By what.
        reason: String,
    },
    /// Keep a record's pairs from being chosen.
    Lock {
        /// Which.
        id: BackupId,
        /// For whom.
        lock: Lock,
    },
    /// No longer.
    Unlock {
        /// Which.
        id: BackupId,
    },
    /// The tape state of a record.
    SetTape {
        /// Which.
        id: BackupId,
        /// What it is from now on.
        tape: TapeState,
    },
}

impl Record {
    /// Whether the record describes an image on this pair's secondary.
    pub fn is_on(&self, copy_group: &CopyGroup) -> bool {
        matches!(self.medium, Medium::Disk) && self.origin.images.iter().any(|i| i.copy_group == *copy_group)
    }

    /// Whether its images are still there.
    pub const fn is_current(&self) -> bool {
        matches!(self.standing, Standing::Current)
    }
}

impl Origin {
    /// BLAKE3, in hexadecimal, of everything that never changes. Which pair holds an image does: it is told anew on
    /// each host, and by each restore from tape.
    pub fn digest(&self) -> String {
        let mut origin = self.clone();
        for image in &mut origin.images {
            image.copy_group = CopyGroup(String::new());
            image.generation = 0;
            image.epoch = 0;
        }
        // A struct of strings and numbers always serialises.
        let bytes = serde_json::to_vec(&origin).unwrap_or_default();
        blake3::hash(&bytes).to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(host: &str, id: u64, started: i64) -> Origin {
        let at = Timestamp::from_second(started).unwrap();
        Origin {
            original_id: BackupId(id),
            source_host: host.into(),
            operation: "documents".into(),
            run: RunId(String::new()),
            mode: QuiesceMode::Online,
            started: at,
            ended: at,
            images: Vec::new(),
        }
    }

    #[test]
    fn the_newest_of_a_host_is_the_one_it_counted_last_whatever_its_clock_said() {
        let newest_of = |all: &[Origin]| newest(all, |origin| origin).map(|origin| origin.original_id.0);
        assert_eq!(newest_of(&[]), None);
        assert_eq!(newest_of(&[origin("a", 1, 500), origin("a", 2, 100)]), Some(2), "it was set back");
        assert_eq!(newest_of(&[origin("a", 9, 100), origin("b", 3, 200)]), Some(3), "two hosts");
        let several = [origin("a", 8, 900), origin("a", 9, 100), origin("b", 3, 200), origin("b", 4, 90)];
        assert_eq!(newest_of(&several), Some(9));
        let twice = [("disk", origin("a", 1, 1)), ("tape", origin("a", 1, 1))];
        assert_eq!(newest(&twice, |(_, origin)| origin).map(|(name, _)| *name), Some("tape"));
    }
}
