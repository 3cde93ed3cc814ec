//! How the catalogs of two hosts differ in what both should say.

use std::collections::BTreeMap;

use clap::Args;
use resplit_operations::{
    ids::{BackupId, HostId, OperationId},
    record::{Medium, Record, Standing, TapeState},
};
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    output,
    render::{record::mode, table::Table, units::second},
    session::Session,
};

/// Show how the catalogs of two hosts differ
///
/// Backups on disk are compared, each by its source host and original ID: each host has to have them, and to say the
/// same of them. IDs, locks and what is on tape are each host's own. Exits with 1 if they differ.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  resplit catalog diff fileserver backupserver")]
pub(crate) struct Diff {
    /// A host
    #[arg(value_name = "HOST")]
    one: HostId,
    /// The other
    #[arg(value_name = "HOST")]
    other: HostId,
}

impl Diff {
    /// The two hosts whose catalogs are compared.
    pub(super) fn hosts(&self) -> Result<[&HostId; 2], Stop> {
        if self.one == self.other {
            return Err(Stop::usage(format!("'{}' is named twice", self.one)).help("name two hosts"));
        }
        Ok([&self.one, &self.other])
    }
}

/// A difference between two records, or a record that one of them has not.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    source_host: HostId,
    original_id: BackupId,
    operation: OperationId,
    /// What differs.
    field: &'static str,
    /// What the first host says; `None` if it has no such record.
    one: Option<String>,
    /// What the other says.
    other: Option<String>,
}

type Key = (HostId, BackupId, OperationId);

/// What both hosts have to say alike, by name.
fn said(record: &Record) -> Vec<(&'static str, String)> {
    let origin = &record.origin;
    let zone = jiff::tz::TimeZone::UTC;
    let images: Vec<String> = origin
        .images
        .iter()
        .map(|image| format!("{} on {} epoch {}", image.volume, image.copy_group, image.epoch))
        .collect();
    let state = match &record.standing {
        Standing::Current => "current".to_owned(),
        Standing::Stale { .. } => "stale".to_owned(),
    };
    let tape = match &record.tape {
        TapeState::NotWanted => "not wanted".to_owned(),
        TapeState::Wanted => "wanted".to_owned(),
        TapeState::Done { barcode } => format!("on {barcode}"),
        TapeState::Waived => "waived".to_owned(),
    };
    vec![
        ("run", origin.run.to_string()),
        ("mode", mode(origin.mode).to_owned()),
        ("started", second(origin.started, &zone)),
        ("ended", second(origin.ended, &zone)),
        ("images", images.join("; ")),
        ("content", origin.digest()),
        ("state", state),
        ("tape", tape),
    ]
}

fn on_disk(records: &[Record]) -> BTreeMap<Key, &Record> {
    let disk = records.iter().filter(|record| matches!(record.medium, Medium::Disk));
    disk.map(|record| {
        let origin = &record.origin;
        ((origin.source_host.clone(), origin.original_id, origin.operation.clone()), record)
    })
    .collect()
}

fn differences(one: &[Record], other: &[Record]) -> Vec<Difference> {
    let (one, other) = (on_disk(one), on_disk(other));
    let mut keys: Vec<&Key> = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))).collect();
    keys.sort();
    let mut found = Vec::new();
    for key in keys {
        let difference = |field, one, other| {
            let (source_host, original_id, operation) = key.clone();
            Difference { source_host, original_id, operation, field, one, other }
        };
        let has = |record: Option<&&Record>| record.map(|record| format!("{}", record.id));
        match (one.get(key), other.get(key)) {
            (Some(one), Some(other)) => {
                let pairs = said(one).into_iter().zip(said(other));
                let differing = pairs.filter(|((_, one), (_, other))| one != other);
                found.extend(
                    differing.map(|((field, one), (_, other))| difference(field, Some(one), Some(other))),
                );
            }
            (here, there) => found.push(difference("record", has(here), has(there))),
        }
    }
    found
}

/// Shows how two catalogs differ.
pub(super) fn diff(
    arguments: &Diff,
    catalogs: &[(HostId, Vec<Record>)],
    session: &Session,
) -> Result<Exit, Stop> {
    let of = |host: &HostId| {
        let found = catalogs.iter().find(|(known, _)| known == host);
        found.map_or(&[] as &[Record], |(_, records)| records.as_slice())
    };
    let found = differences(of(&arguments.one), of(&arguments.other));
    if session.global.json {
        output::print_json(&found)?;
    } else if !found.is_empty() {
        let mut table = Table::new(&["BACKUP", "OPERATION", "WHAT", "FIRST", "SECOND"]);
        for difference in &found {
            let backup = format!("{}:{}", difference.source_host, difference.original_id);
            let cell = |said: &Option<String>| said.clone().unwrap_or_default();
            table.row([
                backup,
                difference.operation.to_string(),
                difference.field.to_owned(),
                cell(&difference.one),
                cell(&difference.other),
            ]);
        }
        output::print(&format!("first: {}, second: {}\n{}", arguments.one, arguments.other, table.text()))?;
    }
    Ok(if found.is_empty() { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::record::example;

    #[test]
    fn only_what_both_hosts_have_to_say_alike_is_compared() {
        let one = example();
        let mut other =
            Record { id: BackupId(3), lock: None, entered: jiff::Timestamp::UNIX_EPOCH, ..example() };
        assert_eq!(differences(std::slice::from_ref(&one), std::slice::from_ref(&other)), []);
        other.origin.images[0].epoch = 4;
        other.standing = Standing::Stale { since: jiff::Timestamp::UNIX_EPOCH, reason: "x".into() };
        let found = differences(std::slice::from_ref(&one), &[other]);
        assert_eq!(found.iter().map(|found| found.field).collect::<Vec<_>>(), ["images", "state"]);
        let missing = differences(&[], &[one]);
        assert_eq!((missing[0].field, &missing[0].one), ("record", &None));
        assert_eq!(missing[0].other.as_deref(), Some("0000000009"));
    }
}
