//! Binding: what a plan means in the present state of the world. Decided under the lease, then journaled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{BackupId, Barcode, HostId, VolumeId},
    pair::{PairRef, PairStatus},
    record::Record,
};

/// What a plan means now: which pairs, and which records it costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The pair chosen for each volume.
    pub pairs: BTreeMap<VolumeId, BoundPair>,
    /// What orders this backup among the pairs of its volumes; written to the pair when it is split.
    pub order: u64,
    /// The records that go, on whichever host, because their images are overwritten.
    pub evictions: Vec<Eviction>,
    /// For a restore: the host that has the record, and the record, as it was when it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRecord>,
    /// The cartridge with room for this backup, as of now; the step chooses again under its drive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cartridge: Option<Barcode>,
    /// Restore even though processes use the primary: asked for by the operator.
    #[serde(default)]
    pub force: bool,
    /// For a restore in place: how what it overwrites differs from what the backup was made from; the operator has
    /// accepted it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// Fencing tokens of the leases held, by host. Checked by whoever acts.
    #[serde(default)]
    pub tokens: BTreeMap<HostId, u64>,
}

/// The pair chosen for a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundPair {
    /// The pair.
    pub pair: PairRef,
    /// The host of its secondary.
    pub secondary_host: HostId,
    /// Its status when it was chosen.
    pub status: PairStatus,
    /// Why it was chosen.
    pub reason: String,
    /// How many pairs the volume has.
    pub of: u32,
}

/// A record that goes because its image is overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eviction {
    /// The host whose catalog has it.
    pub host: HostId,
    /// The record's ID there.
    pub id: BackupId,
    /// Its original ID.
    pub original_id: BackupId,
    /// When that backup began.
    pub started: jiff::Timestamp,
    /// The cartridge that has it too, or `None`: then this is the last copy on disk and nothing is on tape.
    pub on_tape: Option<Barcode>,
}

/// The record that a restore restores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The host whose catalog has it.
    pub host: HostId,
    /// The record.
    pub record: Record,
}
