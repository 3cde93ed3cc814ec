//! The state of the world, as a host sees it, and what a plan would do to it.

use super::Lease;
use resplit_operations::bound::Binding;
use resplit_operations::ids::HostId;
use resplit_operations::ids::LibraryId;
use resplit_operations::ids::RunId;
use resplit_operations::ids::StepId;
use resplit_operations::ids::VolumeId;
use resplit_operations::pair::PairRef;
use resplit_operations::pair::PairState;
use resplit_operations::record::{ExportFile, Record, VolumeSource};
use resplit_operations::site::Library;
use resplit_operations::site::PairDriverKind;
use resplit_steps::contract::Preview;
use resplit_steps::drivers::media::Cartridge;
use resplit_steps::drivers::pairs::Difference;
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a plan would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPreview {
    /// What it would be bound to, as far as it can be.
    pub binding: Binding,
    /// Why it cannot succeed from the present state; empty if it can.
    pub refusals: Vec<Failure>,
    /// What would be waited for: who holds which lease.
    pub waits: Vec<HeldNow>,
    /// Which pairs of the volumes are kept from being overwritten or restored, by whom and since when.
    #[serde(default)]
    pub kept: Vec<String>,
    /// How long it takes if each step takes as long as last time, in milliseconds; `None` if a step was never done.
    #[serde(default)]
    pub expected_ms: Option<u64>,
    /// One row for each step, in topological order.
    pub rows: Vec<PreviewRow>,
}

/// A lease that a plan would wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldNow {
    /// What is held, in words.
    pub what: String,
    /// By which run; its name begins with its operation's.
    pub run: RunId,
    /// The host that coordinates that run.
    pub coordinator: HostId,
    /// Since when.
    pub since: jiff::Timestamp,
}

/// One step of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRow {
    /// Its name.
    pub step: StepId,
    /// Its kind.
    pub kind: String,
    /// Its host.
    pub host: HostId,
    /// Whether the application is held still while it runs.
    pub in_window: bool,
    /// What it would do.
    #[serde(flatten)]
    pub preview: Preview,
    /// How long it took last time, in milliseconds.
    pub last_ms: Option<u64>,
}

/// Asks a host for the state of the world as it sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorldRequest {
    /// The pairs to be asked, each with its volume's driver.
    pub pairs: Vec<(PairDriverKind, PairRef)>,
    /// The libraries to be asked, with absolute paths.
    pub libraries: BTreeMap<LibraryId, Library>,
    /// Whether to measure how each secondary differs from its primary, which reads.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub measure: bool,
    /// Whether to tell what a resync of each pair would refuse.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ready: bool,
    /// The primaries to be looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub primaries: BTreeMap<VolumeId, PathBuf>,
}

/// The state of the world, as one host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// Its records.
    pub catalog: Vec<Record>,
    /// The pairs that were asked.
    pub pairs: Vec<PairView>,
    /// The cartridges that were asked, or why they cannot be told.
    pub cartridges: BTreeMap<LibraryId, Result<Vec<Cartridge>, Failure>>,
    /// What the primaries are made of that were looked at, or why that cannot be told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<VolumeId, Result<VolumeSource, Failure>>,
    /// The leases that it has given.
    pub leases: Vec<Lease>,
}

/// A pair, and what its driver says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairView {
    /// The pair.
    pub pair: PairRef,
    /// Its state, or why it cannot be told.
    #[serde(flatten, with = "told")]
    pub state: Result<PairState, Failure>,
    /// Why a resync would be refused before it touches anything, if that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Failure>,
    /// How the secondary differs from the primary, if that was asked and could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// Why it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_difference: Option<Failure>,
}

/// A result as an operator reads it: the key `state`, or the key `failure`.
mod told {
    use resplit_operations::pair::PairState;
    use resplit_steps::failure::Failure;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Told<S, F> {
        State(S),
        Failure(F),
    }

    pub(super) fn serialize<S: Serializer>(
        state: &Result<PairState, Failure>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match state {
            Ok(state) => Told::State(state),
            Err(failure) => Told::Failure(failure),
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<PairState, Failure>, D::Error> {
        Ok(match Told::deserialize(deserializer)? {
            Told::State(state) => Ok(state),
            Told::Failure(failure) => Err(failure),
        })
    }
}

/// What an operator asks of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordVerb {
    /// Keep its pairs from being chosen.
    Lock,
    /// No longer. A lock that a run holds is only taken off when that run is over.
    Unlock,
    /// Give up on having it on tape: its pairs may be chosen again.
    Waive,
    /// Forget it. What it describes stays where it is, until that is overwritten.
    Delete,
}

/// Asks a host to enter an exported record into its catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterRequest {
    /// What was exported.
    pub file: ExportFile,
    /// The pairs of its volumes, each with the volume's driver, as the site has them now.
    pub pairs: Vec<(PairDriverKind, PairRef)>,
}

/// How that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// The record as it is in the catalog.
    pub record: Record,
    /// Whether it was there already.
    pub was_there: bool,
}
