//! The schema of one explicit step: every kind as an optional key, exactly one of them required.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

use crate::{
    action::{
        Command, Confirm, Nothing, Quiesce, RecordStep, RestoreStep, ResyncStep, Retry, StepDeclaration,
        TapeBackup, TapeRestore, Thaw, Transfer, VolumeStep,
    },
    ids::{HostId, StepId},
    operation::On,
    units::Period,
};

/// The keys of a step, for the schema only; [`StepDeclaration`] is what is read.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "read by the derive alone")]
struct StepShape {
    purge_cache: Option<VolumeStep>,
    resync: Option<ResyncStep>,
    quiesce: Option<Quiesce>,
    split: Option<VolumeStep>,
    thaw: Option<Thaw>,
    abort_split: Option<VolumeStep>,
    record: Option<RecordStep>,
    export: Option<Nothing>,
    transfer: Option<Transfer>,
    import: Option<Nothing>,
    confirm: Option<Confirm>,
    mount: Option<Nothing>,
    unmount: Option<Nothing>,
    tape_backup: Option<TapeBackup>,
    tape_restore: Option<TapeRestore>,
    restore: Option<RestoreStep>,
    delete: Option<VolumeStep>,
    command: Option<Command>,
    host: HostId,
    #[serde(default)]
    needs: Vec<StepId>,
    #[serde(default)]
    on: On,
    retry: Option<Retry>,
    timeout: Option<Period>,
    finally: Option<StepId>,
}

/// The keys that name a kind.
pub const KINDS: [&str; 18] = [
    "purge-cache",
    "resync",
    "quiesce",
    "split",
    "thaw",
    "abort-split",
    "record",
    "export",
    "transfer",
    "import",
    "confirm",
    "mount",
    "unmount",
    "tape-backup",
    "tape-restore",
    "restore",
    "delete",
    "command",
];

impl JsonSchema for StepDeclaration {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = StepShape::json_schema(generator);
        let one_of: Vec<_> = KINDS.iter().map(|kind| json!({ "required": [kind] })).collect();
        let _ = schema.insert("oneOf".to_owned(), json!(one_of));
        let _ =
            schema.insert("description".to_owned(), json!("One step: exactly one kind, and when it runs."));
        schema
    }
}
