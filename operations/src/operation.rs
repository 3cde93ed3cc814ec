//! What is declared of one operation: the model of `operations/*.yaml`, in both forms.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    action::{Retry, StepDeclaration},
    ids::{HostId, LibraryId, PoolId, StepId, TargetId, TransportId, VolumeId},
    pace::Pace,
    site::targets::LOCAL,
    units::Period,
};

/// One operation. Either `protect` (what to protect; resplit knows the steps) or `steps` (every step, as written).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protect: Option<Protect>,
    /// The host that mounts the secondaries and drives the tapes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_server: Option<HostId>,
    /// How the pairs rest between backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_state: Option<UsualState>,
    /// How the application is held still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiesce: Option<QuiesceDeclaration>,
    /// How long what is asked of pairs may take, and how often a busy one is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// How fast pairs are copied, from 1 to 15, in a backup and in a restore; as the site says of each pair, if not said.
    /// Drivers that cannot be told copy as fast as they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// What becomes of pairs when a backup fails, or is cancelled, once their resync has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_abort: Option<AbortPolicy>,
    /// Where the backup is put on tape; without it, it stays on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tape: Option<Tape>,
    /// How records are carried between hosts; to the other host's engine, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferDeclaration>,
    /// Commands of the operator's own, around and inside the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// When it runs by itself. Read and checked; nothing fires before `resplit serve` exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The explicit form: every step, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<BTreeMap<StepId, StepDeclaration>>,
}

/// What is protected, declaratively.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protect {
    /// What is quiesced; contains every primary. Relative to the site directory, or absolute.
    #[schemars(length(min = 1))]
    pub filesystem: PathBuf,
    /// The volumes that are backed up together, at one moment.
    #[schemars(length(min = 1))]
    pub volumes: Vec<VolumeId>,
    /// Which copies of each volume are split in the window, at one moment: `local`, its own pairs, or further targets of
    /// it. Each target is a backup of its own, recorded and entered where its secondaries are; `backup_server` and `tape`
    /// are about the first.
    #[serde(default = "Protect::local", skip_serializing_if = "Protect::is_local")]
    #[schemars(length(min = 1))]
    pub targets: Vec<TargetId>,
}

impl Protect {
    fn local() -> Vec<TargetId> {
        vec![LOCAL.into()]
    }

    fn is_local(targets: &Vec<TargetId>) -> bool {
        *targets == Self::local()
    }
}

/// How pairs rest between backups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsualState {
    /// Split: the secondary keeps the image of the last backup.
    #[default]
    Split,
    /// Paired: the secondary follows the primary. Needs tape, since no image is kept.
    Paired,
}

/// What becomes of pairs that a backup, failed or cancelled, leaves PAIR or COPY. It counts from the resync on: what fails
/// before has not changed them (the field's recovery mode on aborting).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AbortPolicy {
    /// They are left as they are.
    #[default]
    AsIs,
    /// They are split, so that no copying slows the primary down: the image is no backup.
    Split,
}

/// How the application is held still, and for how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuiesceDeclaration {
    /// By what means.
    pub mode: QuiesceMode,
    /// The budget of the window between quiesce and thaw.
    #[serde(default = "QuiesceDeclaration::window")]
    pub window: Period,
}

impl QuiesceDeclaration {
    const fn window() -> Period {
        Period::seconds(10)
    }
}

impl Default for QuiesceDeclaration {
    fn default() -> Self {
        Self { mode: QuiesceMode::Online, window: Self::window() }
    }
}

/// How long steps wait for pairs, by purpose. Each becomes the `timeout` or the `retry` of the steps that it is about, as
/// `plan --expand` prints them. The defaults are those of the field: 3600 looks, ten seconds apart, and three tries of a
/// command that is answered with "busy", a second apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Waits {
    /// How long one try of a resync may take: until the pair is PAIR.
    pub resync: Period,
    /// How long one try of a split may take; inside a window that holds the application still, no longer than what is
    /// left of its budget.
    pub split: Period,
    /// How long one try of a restore may take: until the image is copied back.
    pub restore: Period,
    /// How long the check before a restore may take: until the primaries may be copied back.
    pub restore_ready: Period,
    /// How often a busy pair is asked in all, and the first pause between two tries; it doubles.
    pub busy: Retry,
}

impl Default for Waits {
    fn default() -> Self {
        let longest = Period::seconds(36_000);
        Self {
            resync: longest,
            split: longest,
            restore: longest,
            restore_ready: longest,
            busy: Retry { attempts: 3, pause: Period::seconds(1) },
        }
    }
}

/// By what means a file system is held still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuiesceMode {
    /// Flushed only: files that change during the copy are fuzzy, and named.
    Online,
    /// Held still (FIFREEZE): a point in time. The path must be a mount point.
    Freeze,
    /// Unmounted. Not built: using it is an error that says so.
    Cold,
}

/// How records are carried between hosts, in a backup and in a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferDeclaration {
    /// The transport, as site.yaml names it.
    pub via: TransportId,
}

/// Where the backup goes on tape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tape {
    /// The library.
    pub library: LibraryId,
    /// The pool of its cartridges.
    pub pool: PoolId,
    /// How long it is kept: a duration, or `forever`.
    pub keep: Keep,
}

/// How long something is kept, in a schema.
pub const KEEP_PATTERN: &str = "^([0-9]{1,11}(ms|s|m|h|d)|forever)$";
/// How long something is kept, in words.
pub const KEEP_WANTED: &str = "a duration such as 30d, or forever";

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So long after its snapshot time.
    For(Period),
    /// Permanent.
    Forever,
}

impl Serialize for Keep {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(period) => period.serialize(serializer),
            Self::Forever => serializer.serialize_str("forever"),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let wanted =
            || serde::de::Error::custom(format!("'{text}' is neither a duration such as 30d nor forever"));
        Period::parse(&text).map(Self::For).ok_or_else(wanted)
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": KEEP_PATTERN, "description": KEEP_WANTED })
    }
}

/// Commands around and inside the window, in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// Before anything else.
    pub before: Vec<Hook>,
    /// After the resync, before the application is held still.
    pub before_quiesce: Vec<Hook>,
    /// While it is held still; counts against the window.
    pub in_window: Vec<Hook>,
    /// As soon as it runs again.
    pub after_thaw: Vec<Hook>,
    /// After everything else.
    pub after: Vec<Hook>,
}

/// One command: arguments, never a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// Where it runs; the primary's host if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Environment variables, in addition to `PATH` and resplit's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The exit codes that mean success.
    #[serde(default = "Hook::zero")]
    pub accept: Vec<u8>,
    /// Whether it runs after success, failure, or both.
    #[serde(default)]
    pub on: On,
}

impl Hook {
    pub(crate) fn zero() -> Vec<u8> {
        vec![0]
    }
}

/// After which end of what it waits for a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// All of it succeeded.
    #[default]
    Success,
    /// Some of it failed.
    Failure,
    /// Either.
    Always,
}

/// When an operation runs by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Five fields, as in crontab(5).
    pub cron: String,
    /// The time zone that the fields are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What becomes of a time at which nothing could run.
    #[serde(default)]
    pub missed: Missed,
    /// What becomes of a time at which the last run still runs.
    #[serde(default)]
    pub overlap: Overlap,
}

/// What becomes of a missed time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// Nothing.
    Skip,
    /// One run for all of them.
    #[default]
    RunOnce,
    /// One run for each.
    RunAll,
}

/// What becomes of a time that overlaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// Nothing.
    #[default]
    Skip,
    /// One waits.
    QueueOne,
    /// The older one is cancelled.
    CancelOlder,
}
