//! How LVM makes the pairs of a volume.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Size;

/// How LVM makes the pairs of a volume, whose `primary.path` is the logical volume: `/dev/GROUP/VOLUME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LvmVolume {
    /// What an image is.
    pub kind: LvmKind,
    /// How much may be written to the primary until a `snapshot` of it is full, and no longer an image: `20GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The physical volume on which the half of a `raid1` lies that is split. A name that stays the same, as those in
    /// `/dev/disk/by-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub device: Option<PathBuf>,
}

/// What an image is to LVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LvmKind {
    /// A snapshot with room of its own, of any logical volume.
    Snapshot,
    /// A snapshot in the thin pool of the primary, which is a thin volume.
    Thin,
    /// A half of the primary's mirror, split off; what is written meanwhile is tracked.
    Raid1,
}

impl std::fmt::Display for LvmKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Snapshot => "snapshot",
            Self::Thin => "thin",
            Self::Raid1 => "raid1",
        })
    }
}
