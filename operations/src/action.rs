//! The step kinds and their parameters; the explicit form of a step.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{HostId, LibraryId, PoolId, StepId, TransportId, VolumeId},
    operation::{Hook, Keep, On, QuiesceMode},
    pace::Pace,
    units::Period,
};

/// One step as written under `steps:`: exactly one kind, and when it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDeclaration {
    /// What is done: one key, the kind; its value, the parameters.
    #[serde(flatten)]
    pub action: Action,
    /// The host it runs on.
    pub host: HostId,
    /// The steps that must have ended before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StepId>,
    /// After which end of those it runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on: On,
    /// How often a temporary failure is tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: Retry,
    /// How long one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// The step that undoes this one, and runs whatever happens once this one has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finally: Option<StepId>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How often, and after which pause, a temporary failure is tried again. The pause doubles each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Tries in all; 1 is no retry.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The first pause.
    #[serde(default = "Retry::pause")]
    pub pause: Period,
}

impl Retry {
    const fn pause() -> Period {
        Period::seconds(1)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, pause: Self::pause() }
    }
}

/// What a step does. The parameters say what; facts of the run (which pair, which backup) are bound when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Drop what the secondary's host has cached of the secondary, and mark its records of that pair stale.
    PurgeCache(VolumeStep),
    /// Make the secondary equal to the primary, and keep it so.
    Resync(ResyncStep),
    /// Hold the application still.
    Quiesce(Quiesce),
    /// Stop following the primary, leaving an image.
    Split(VolumeStep),
    /// Let the application go on.
    Thaw(Thaw),
    /// Split a pair that a backup, failed or cancelled, has left following its primary; else nothing.
    AbortSplit(VolumeStep),
    /// Enter the backup into the catalog.
    Record(RecordStep),
    /// Write the record to a file that another host can import.
    Export(Nothing),
    /// Carry that file to another host.
    Transfer(Transfer),
    /// Enter the exported record into this host's catalog.
    Import(Nothing),
    /// Check that the record is there and current; before a restore, that nobody uses the primary.
    Confirm(Confirm),
    /// Lock the backup and make its images accessible.
    Mount(Nothing),
    /// Release what mount locked.
    Unmount(Nothing),
    /// Write the mounted images to a cartridge.
    TapeBackup(TapeBackup),
    /// Read a dataset back: into the secondary, or some of its files to another place.
    TapeRestore(TapeRestore),
    /// Copy the image back over the primary, or some of its files to another place.
    Restore(RestoreStep),
    /// Dissolve the pair: what was copied goes.
    Delete(VolumeStep),
    /// A command of the operator's own.
    Command(Command),
}

/// Parameters of a step that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Parameters of a step that acts on one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeStep {
    /// The volume.
    pub volume: VolumeId,
}

/// Parameters of resync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResyncStep {
    /// The volume.
    pub volume: VolumeId,
    /// How fast is copied; as the site says of the pair, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

/// Parameters of quiesce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiesce {
    /// What is held still.
    #[schemars(length(min = 1))]
    pub filesystem: PathBuf,
    /// By what means.
    pub mode: QuiesceMode,
    /// The budget of the window.
    pub window: Period,
}

/// Parameters of thaw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thaw {
    /// The file system that quiesce held still.
    #[schemars(length(min = 1))]
    pub filesystem: PathBuf,
}

/// Parameters of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordStep {
    /// The volumes whose images the record describes.
    #[schemars(length(min = 1))]
    pub volumes: Vec<VolumeId>,
    /// How the application was held still.
    pub mode: QuiesceMode,
    /// Whether the image is wanted on tape: until it is there its pair is interlocked.
    #[serde(default)]
    pub tape_wanted: bool,
}

/// Parameters of transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The host that receives.
    pub to: HostId,
    /// The transport over which it is carried; to the other host's engine, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<TransportId>,
}

/// Parameters of confirm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The volumes about to be restored in place, whose primaries nobody may be using.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<VolumeId>,
    /// Check the record on tape rather than the one on disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tape: bool,
}

/// Parameters of tape-backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TapeBackup {
    /// The library.
    pub library: LibraryId,
    /// The pool of its cartridges.
    pub pool: PoolId,
    /// How long the dataset is kept.
    pub keep: Keep,
}

/// Parameters of tape-restore. With `to`, files go there and no pair is touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TapeRestore {
    /// The library that holds the dataset.
    pub library: LibraryId,
    /// Only these files and directories, relative to the volume's root; where the dataset has several volumes, each
    /// begins with the volume's name. All if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// Another place to put them; where the dataset has several volumes, each goes to a directory of its name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PathBuf>,
}

/// Parameters of restore. With `to`, files go there and the primary is not touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreStep {
    /// The volume.
    pub volume: VolumeId,
    /// Only these files and directories, relative to the volume's root; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// Another place to put them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PathBuf>,
    /// How fast is copied back; as the site says of the pair, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

/// Parameters of command: arguments, never a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// Environment variables, in addition to `PATH` and resplit's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The exit codes that mean success.
    #[serde(default = "Hook::zero")]
    pub accept: Vec<u8>,
}

impl Action {
    /// The name of the kind, as it is written in a file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PurgeCache(_) => "purge-cache",
            Self::Resync(_) => "resync",
            Self::Quiesce(_) => "quiesce",
            Self::Split(_) => "split",
            Self::Thaw(_) => "thaw",
            Self::AbortSplit(_) => "abort-split",
            Self::Record(_) => "record",
            Self::Export(_) => "export",
            Self::Transfer(_) => "transfer",
            Self::Import(_) => "import",
            Self::Confirm(_) => "confirm",
            Self::Mount(_) => "mount",
            Self::Unmount(_) => "unmount",
            Self::TapeBackup(_) => "tape-backup",
            Self::TapeRestore(_) => "tape-restore",
            Self::Restore(_) => "restore",
            Self::Delete(_) => "delete",
            Self::Command(_) => "command",
        }
    }

    /// The volume, where the step acts on one.
    pub const fn volume(&self) -> Option<&VolumeId> {
        match self {
            Self::PurgeCache(step) | Self::Split(step) | Self::AbortSplit(step) | Self::Delete(step) => {
                Some(&step.volume)
            }
            Self::Resync(step) => Some(&step.volume),
            Self::Restore(step) => Some(&step.volume),
            _ => None,
        }
    }
}
