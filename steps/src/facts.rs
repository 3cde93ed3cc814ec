//! What the steps of a run have established, each adding its own part.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use resplit_operations::{
    ids::{TransportId, VolumeId},
    pair::CopyReport,
    record::Record,
};
use serde::{Deserialize, Serialize};

/// What is known so far. Each step's outcome carries only what it adds; the engine folds them in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// What the last resync of each volume did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resynced: BTreeMap<VolumeId, CopyReport>,
    /// When the application was held still, or flushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiesced: Option<Timestamp>,
    /// The images that were split.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<VolumeId, SplitFact>,
    /// How long the window was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The record made, imported or chosen, as of the host that last gave it an ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// The record's file on the host that exported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<ExportFact>,
    /// The record's file on the host that received it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<ExportFact>,
    /// Where the images are accessible.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mounted: BTreeMap<VolumeId, PathBuf>,
    /// The record of the dataset that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_tape: Option<Record>,
    /// What was copied back, of each volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub restored: BTreeMap<VolumeId, CopyReport>,
    /// How an operator's command ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// An image that was split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitFact {
    /// The pair's epoch.
    pub epoch: u64,
    /// When.
    pub at: Timestamp,
    /// What the image holds.
    pub report: CopyReport,
}

/// How long the application was held still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When it began.
    pub opened: Timestamp,
    /// How long it was, in milliseconds.
    pub length_ms: u64,
    /// Its budget, in milliseconds.
    pub budget_ms: u64,
}

impl Window {
    /// Whether it took all of its budget, or more.
    pub const fn is_over_budget(self) -> bool {
        self.length_ms >= self.budget_ms
    }
}

/// A record's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFact {
    /// Where it is, on the host concerned; over a transport, its name there.
    pub path: PathBuf,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub digest: String,
    /// The transport over which it is handed over; its host fetches it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<TransportId>,
}

impl Facts {
    /// Adds what a step established.
    pub fn add(&mut self, other: Self) {
        fn replace<T>(slot: &mut Option<T>, value: Option<T>) {
            if value.is_some() {
                *slot = value;
            }
        }
        self.resynced.extend(other.resynced);
        replace(&mut self.quiesced, other.quiesced);
        self.split.extend(other.split);
        replace(&mut self.window, other.window);
        replace(&mut self.record, other.record);
        replace(&mut self.exported, other.exported);
        replace(&mut self.received, other.received);
        self.mounted.extend(other.mounted);
        replace(&mut self.on_tape, other.on_tape);
        self.restored.extend(other.restored);
        replace(&mut self.exit_code, other.exit_code);
    }
}
