//! Pair status, and what a driver reports of a pair.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    driver::ArrayPair,
    ids::{CopyGroup, HostId, RunId, StepId, VolumeId},
    site::{Host, LvmVolume, QemuDisk},
};

pub mod foresee;
pub mod verdict;

/// The status of a pair, in the field's words, seen from the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PairStatus {
    /// Not a pair.
    Smpl,
    /// Being made equal.
    Copy,
    /// Equal, and following.
    Pair,
    /// Split: the secondary holds an image.
    Psus,
    /// Broken by an error: the secondary holds nothing that can be relied on.
    Psue,
    /// Being copied back.
    Rcpy,
}

impl PairStatus {
    /// The same, as the field says it of the secondary: what is PSUS on the primary is SSUS there.
    pub const fn on_secondary(self) -> &'static str {
        match self {
            Self::Psus => "SSUS",
            other => other.word(),
        }
    }

    /// The field's word for it, seen from the primary.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Smpl => "SMPL",
            Self::Copy => "COPY",
            Self::Pair => "PAIR",
            Self::Psus => "PSUS",
            Self::Psue => "PSUE",
            Self::Rcpy => "RCPY",
        }
    }
}

impl fmt::Display for PairStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A pair as a driver needs it: its names, and both paths, absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRef {
    /// The volume.
    pub volume: VolumeId,
    /// The pair's name.
    pub copy_group: CopyGroup,
    /// Its number among the pairs of the volume.
    pub generation: u32,
    /// The original.
    pub primary: PathBuf,
    /// The pair's directory: it holds `pair.json`, and the copy unless that is a device.
    pub secondary: PathBuf,
    /// The block device that is the copy, if the site names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<PathBuf>,
    /// How an array is asked, if a driver file says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<Arc<ArrayPair>>,
    /// How QEMU is asked for the primary, if it is a disk of QEMU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qemu: Option<QemuDisk>,
    /// What LVM makes, if the primary is a logical volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lvm: Option<LvmVolume>,
    /// Where its sides are, if no process reaches both by their paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Arc<Apart>>,
}

/// The two sides of a pair that no process reaches both: what differs goes from one host's engine to the other's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// The host of the original.
    pub primary_host: HostId,
    /// The host of the copy. What is known of the pair is kept there.
    pub secondary_host: HostId,
    /// How both are reached.
    pub hosts: BTreeMap<HostId, Host>,
}

impl Apart {
    /// Whether both hosts are on one machine all the same, where paths mean the same on both.
    pub fn is_one_machine(&self) -> bool {
        let connect = |host| self.hosts.get(host).map(|host| &host.connect);
        connect(&self.primary_host) == connect(&self.secondary_host)
    }
}

/// What a driver says of a pair when it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairState {
    /// Its status.
    pub status: PairStatus,
    /// Counts up whenever the secondary's content begins to change. A record describes the image of one epoch.
    pub epoch: u64,
    /// Orders backups: the pair with the smallest was least recently backed up. 0 is never. Restores leave it alone.
    pub backed_up: u64,
    /// The highest fencing token that has touched the pair.
    pub token: u64,
    /// The last verb that touched it, complete or not.
    pub last: Option<LastVerb>,
    /// How much of it is copied, in per cent, while it is COPY or RCPY and that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

/// The last verb that touched a pair: what a probe reads after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastVerb {
    /// Who asked: run and step, as given in [`Tag`].
    pub tag: Tag,
    /// What was asked.
    pub verb: PairVerb,
    /// When it ended; `None` while it runs or was interrupted.
    pub ended: Option<Timestamp>,
    /// What came of it; present if it ended.
    pub report: Option<CopyReport>,
}

/// Identifies one effect of one step of one run, so that the world can say whose effect it shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(pub String);

impl Tag {
    /// That of a try of a step.
    pub fn of(run: &RunId, step: &StepId, attempt: u32) -> Self {
        Self(format!("{run}/{step}/{attempt}"))
    }

    /// The run, if that is what it begins with.
    pub fn run(&self) -> Option<RunId> {
        self.0.split_once('/').map(|(run, _)| RunId(run.to_owned()))
    }
}

/// What can be asked of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairVerb {
    /// Make the secondary equal to the primary.
    Resync,
    /// Leave an image.
    Split,
    /// Copy the image back.
    Restore,
    /// Something else than the primary was written into the secondary: a dataset from tape.
    Overwrite,
    /// Dissolve the pair.
    Delete,
}

impl fmt::Display for PairVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Resync => "resync",
            Self::Split => "split",
            Self::Restore => "restore",
            Self::Overwrite => "overwriting from tape",
            Self::Delete => "delete",
        })
    }
}

/// What a pass of copying did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyReport {
    /// Files, directories, links and so on that the image holds; blocks, if it is a volume.
    pub entries: u64,
    /// Bytes of content that the image holds.
    pub bytes: u64,
    /// Entries whose content or attributes were written.
    pub changed: u64,
    /// Entries that were removed.
    pub removed: u64,
    /// Bytes of content that were written or cloned.
    pub copied: u64,
    /// Files that changed while they were copied, relative to the root; at most [`CopyReport::MOST_FUZZY`] are named.
    pub fuzzy: Vec<String>,
    /// How many such files there were.
    pub fuzzy_count: u64,
    /// What an operator should know of the pass beside: a primary that has another size now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl CopyReport {
    /// The most fuzzy files that a report names.
    pub const MOST_FUZZY: usize = 20;
}
