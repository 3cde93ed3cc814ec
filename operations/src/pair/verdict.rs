//! What an array, or a driver of ours, answers to a verb, by the pair's copy type and status: done, accepted without
//! effect, or rejected.
//!
//! Exit code 0 does not mean that something happened: an array accepts many verbs that change nothing. So the tables
//! that the manuals publish are kept here once, for whoever has to predict, to imitate or to judge an array; and beside
//! them what our own drivers do, so that a plan predicts both in the same way.

use std::fmt;

use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer, value::StrDeserializer},
};

use super::PairStatus;

mod group;
mod table;

pub use group::{Side, group_status};

/// How a pair is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyType {
    /// Full copies inside one array (HP: Business Copy).
    ShadowImage,
    /// Snapshots inside one array; Copy-on-Write Snapshot before.
    ThinImage,
    /// Synchronous copies in another array.
    TrueCopy,
    /// Copies in another array, by journals.
    UniversalReplicator,
    /// Full copies by a driver of ours, which returns when the copy has ended.
    Mirror,
    /// Snapshots by a driver of ours.
    Snapshot,
}

impl CopyType {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::ShadowImage,
        Self::ThinImage,
        Self::TrueCopy,
        Self::UniversalReplicator,
        Self::Mirror,
        Self::Snapshot,
    ];

    /// Those of arrays.
    pub const ARRAYS: [Self; 4] =
        [Self::ShadowImage, Self::ThinImage, Self::TrueCopy, Self::UniversalReplicator];

    /// The copy type of an array that is written so: `shadow-image`, `thin-image`, `true-copy`, `universal-replicator`.
    pub fn named(name: &str) -> Option<Self> {
        let deserializer: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
        Self::deserialize(deserializer).ok().filter(|copy_type| Self::ARRAYS.contains(copy_type))
    }

    /// Whether both volumes are in one array: the copy types that are asked with `-IM`, and restore.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::ShadowImage | Self::ThinImage)
    }

    /// Whether no array is asked, but a driver of ours.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Mirror | Self::Snapshot)
    }
}

impl fmt::Display for CopyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ShadowImage => "ShadowImage",
            Self::ThinImage => "Thin Image",
            Self::TrueCopy => "TrueCopy",
            Self::UniversalReplicator => "Universal Replicator",
            Self::Mirror => "mirror",
            Self::Snapshot => "snapshot",
        })
    }
}

/// The status of a pair as the array itself tells its cases apart; [`PairStatus`] is its short form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ArrayStatus {
    /// Not a pair.
    Smpl,
    /// Being copied to the secondary.
    Copy,
    /// Equal, and following.
    Pair,
    /// As PAIR, with a pool or journal over its threshold.
    Pful,
    /// Split.
    Psus,
    /// Split by a pool or journal that ran over.
    Pfus,
    /// Split at once, with the copy still going on: the primary is PSUS, the secondary COPY.
    Splitting,
    /// Being copied to the primary.
    Rcpy,
    /// Broken by an error.
    Psue,
    /// Some of the volume's parts are broken.
    Pdub,
    /// Taken over: the secondary is written, and may be newer than the primary.
    Ssws,
}

impl ArrayStatus {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Smpl,
        Self::Copy,
        Self::Pair,
        Self::Pful,
        Self::Psus,
        Self::Pfus,
        Self::Splitting,
        Self::Rcpy,
        Self::Psue,
        Self::Pdub,
        Self::Ssws,
    ];

    /// What every verb takes it for: PFUL counts as PAIR, and PFUS as PSUS.
    const fn counted(self) -> Self {
        match self {
            Self::Pful => Self::Pair,
            Self::Pfus => Self::Psus,
            other => other,
        }
    }
}

impl From<PairStatus> for ArrayStatus {
    fn from(status: PairStatus) -> Self {
        match status {
            PairStatus::Smpl => Self::Smpl,
            PairStatus::Copy => Self::Copy,
            PairStatus::Pair => Self::Pair,
            PairStatus::Psus => Self::Psus,
            PairStatus::Psue => Self::Psue,
            PairStatus::Rcpy => Self::Rcpy,
        }
    }
}

impl From<ArrayStatus> for PairStatus {
    /// The status seen from the primary. What only a secondary in use can be is PSUE: no image there can be relied on.
    fn from(status: ArrayStatus) -> Self {
        match status {
            ArrayStatus::Smpl => Self::Smpl,
            ArrayStatus::Copy | ArrayStatus::Splitting => Self::Copy,
            ArrayStatus::Pair | ArrayStatus::Pful => Self::Pair,
            ArrayStatus::Psus | ArrayStatus::Pfus => Self::Psus,
            ArrayStatus::Rcpy => Self::Rcpy,
            ArrayStatus::Psue | ArrayStatus::Pdub | ArrayStatus::Ssws => Self::Psue,
        }
    }
}

/// What an array can be asked. In brackets, the array's own command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrayVerb {
    /// Make the pair and copy (`paircreate`).
    Create,
    /// Make the pair without a copy (`paircreate -nocopy`).
    CreateEqual,
    /// Make the pair, copy and split (`paircreate -split`).
    CreateSplit,
    /// Split (`pairsplit`, `-r`, `-rw`).
    Split,
    /// Split and keep writers off the primary (`pairsplit -P`).
    SplitFenced,
    /// Break the pair on purpose (`pairsplit -E`).
    Suspend,
    /// Dissolve the pair (`pairsplit -S`).
    Delete,
    /// Copy to the secondary (`pairresync`).
    Resync,
    /// Copy to the primary (`pairresync -restore`).
    Restore,
    /// Exchange primary and secondary, and copy (`pairresync -swaps`, `-swapp`).
    SwapResync,
}

impl ArrayVerb {
    /// All there are.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::CreateEqual,
        Self::CreateSplit,
        Self::Split,
        Self::SplitFenced,
        Self::Suspend,
        Self::Delete,
        Self::Resync,
        Self::Restore,
        Self::SwapResync,
    ];

    /// The verb as an operator knows it, whoever is asked.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateEqual => "create without a copy",
            Self::CreateSplit => "create and split",
            Self::Split => "split",
            Self::SplitFenced => "split with the primary fenced",
            Self::Suspend => "suspend",
            Self::Delete => "delete",
            Self::Resync => "resync",
            Self::Restore => "restore",
            Self::SwapResync => "swap",
        }
    }
}

impl fmt::Display for ArrayVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "paircreate",
            Self::CreateEqual => "paircreate -nocopy",
            Self::CreateSplit => "paircreate -split",
            Self::Split => "pairsplit",
            Self::SplitFenced => "pairsplit -P",
            Self::Suspend => "pairsplit -E",
            Self::Delete => "pairsplit -S",
            Self::Resync => "pairresync",
            Self::Restore => "pairresync -restore",
            Self::SwapResync => "pairresync -swaps",
        })
    }
}

/// What an array answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted: the pair goes to this status. Where copying comes between, it goes on when the command has returned.
    Done {
        /// The status right after the command.
        at_once: ArrayStatus,
        /// The status when the copy has ended.
        finally: ArrayStatus,
    },
    /// Accepted, with exit code 0, and nothing happens.
    WithoutEffect,
    /// Refused: nothing happens.
    Rejected(Refusal),
}

/// Why a verb is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The array refuses it in this status: `EX_CMDRJE` (221), or for the same refusal `EX_CMDIOE` (237).
    Status,
    /// There is no such verb for this copy type: `EX_INVARG` (253).
    NotOffered,
}

/// How sure a cell of the tables is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A manual's table says so.
    Manual,
    /// Editions of the manuals disagree; the newer one is followed.
    Disputed,
    /// It follows from what manuals say elsewhere.
    Inferred,
    /// From memory: no manual was seen that says so.
    Recollected,
    /// A driver of ours does so, and its tests compare.
    Driver,
}

/// What an array answers to a verb.
pub fn verdict(copy_type: CopyType, verb: ArrayVerb, status: ArrayStatus) -> Verdict {
    sourced(copy_type, verb, status).0
}

/// The same, with how sure that is.
pub fn sourced(copy_type: CopyType, verb: ArrayVerb, status: ArrayStatus) -> (Verdict, Source) {
    let (verdict, source) = table::of(copy_type).answer(verb, status.counted());
    (verdict, if copy_type.is_ours() { Source::Driver } else { source })
}

#[cfg(test)]
mod tests;
