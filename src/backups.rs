//! Which backup a restore restores, and from which medium.

use resplit_engine::protocol::Selector;
use resplit_operations::{
    compile::RestoreFrom,
    ids::{HostId, OperationId, VolumeId},
    record::{Medium, Origin, Record},
};

use crate::{
    exit::{Exit, Stop},
    references::{BackupName, find_record},
};

/// A record, and the host whose catalog has it.
type Known<'c> = (&'c HostId, &'c Record);

/// What is asked of the choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The operation.
    pub(crate) operation: &'a OperationId,
    /// The host of its primaries: its catalog is looked at first.
    pub(crate) coordinator: &'a HostId,
    /// The backup, if it was said; else the newest that is still there.
    pub(crate) backup: Option<&'a BackupName>,
    /// The medium, if it was said; else disk if the backup is still there, else tape.
    pub(crate) from: Option<RestoreFrom>,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The record.
    pub(crate) selector: Selector,
    /// Its medium.
    pub(crate) from: RestoreFrom,
    /// A volume of it: of several targets, one of that which the backup is of.
    pub(crate) volume: Option<VolumeId>,
}

/// Chooses among the records of all catalogs.
pub(crate) fn choose(catalogs: &[(HostId, Vec<Record>)], asked: Asked<'_>) -> Result<Chosen, Stop> {
    let mut records: Vec<Known<'_>> = catalogs
        .iter()
        .flat_map(|(host, records)| records.iter().map(move |record| (host, record)))
        .filter(|(_, record)| record.origin.operation == *asked.operation)
        .collect();
    // The coordinator's come first, so that `find` prefers them.
    records.sort_by_key(|(host, _)| *host != asked.coordinator);
    let named = asked.backup.map(|name| by_name(catalogs, &records, name, asked.operation)).transpose()?;
    let backup = match named {
        Some((_, record)) => &record.origin,
        None => newest(&records, asked)?,
    };
    let there = |medium: RestoreFrom| {
        let of_backup = |record: &Record| same(&record.origin, backup) && is_on(record, medium);
        // A record that was named is preferred to another host's of the same backup.
        named.into_iter().chain(records.iter().copied()).find(|(_, r)| of_backup(r) && r.is_current())
    };
    let on_tape = named.is_some_and(|(_, record)| is_on(record, RestoreFrom::Tape));
    let order: &[RestoreFrom] = match asked.from {
        Some(RestoreFrom::Disk) => &[RestoreFrom::Disk],
        Some(RestoreFrom::Tape) => &[RestoreFrom::Tape],
        None if on_tape => &[RestoreFrom::Tape],
        None => &[RestoreFrom::Disk, RestoreFrom::Tape],
    };
    for from in order {
        if let Some((host, record)) = there(*from) {
            let selector = Selector { host: Some(host.clone()), id: record.id };
            let volume = record.origin.images.first().map(|image| image.volume.clone());
            return Ok(Chosen { selector, from: *from, volume });
        }
    }
    Err(gone(backup, asked.from, |medium| there(medium).is_some()))
}

fn by_name<'c>(
    catalogs: &'c [(HostId, Vec<Record>)],
    records: &[Known<'c>],
    name: &BackupName,
    operation: &OperationId,
) -> Result<Known<'c>, Stop> {
    let is_it = |host: &HostId, record: &Record| {
        record.id == name.0.id && name.0.host.as_ref().is_none_or(|wanted| wanted == host)
    };
    if let Some(found) = records.iter().find(|(host, record)| is_it(host, record)) {
        return Ok(*found);
    }
    let (host, record) = find_record(catalogs, name)?;
    let of = &record.origin.operation;
    Err(Stop::usage(format!("backup {host}:{} is of operation '{of}', not of '{operation}'", record.id)))
}

/// The newest backup that is still there, on the medium if one was said.
fn newest<'c>(records: &[Known<'c>], asked: Asked<'_>) -> Result<&'c Origin, Stop> {
    let wanted = |record: &&Record| record.is_current() && asked.from.is_none_or(|from| is_on(record, from));
    let there = records.iter().map(|(_, record)| *record).filter(wanted);
    resplit_operations::record::newest(there, |record| &record.origin)
        .map(|record| &record.origin)
        .ok_or_else(|| {
            let medium = match asked.from {
                Some(RestoreFrom::Disk) => " on disk",
                Some(RestoreFrom::Tape) => " on tape",
                None => "",
            };
            Stop::new(
                Exit::Operator,
                format!("there is no backup of '{}'{medium} to restore", asked.operation),
            )
            .help("`resplit catalog list` lists the backups that exist")
        })
}

fn gone(backup: &Origin, from: Option<RestoreFrom>, is_there: impl Fn(RestoreFrom) -> bool) -> Stop {
    let name = format!("backup {}:{}", backup.source_host, backup.original_id);
    let (message, other) = match from {
        Some(RestoreFrom::Disk) => {
            (format!("{name} is not on disk: its image was overwritten"), RestoreFrom::Tape)
        }
        Some(RestoreFrom::Tape) => (format!("{name} is not on tape"), RestoreFrom::Disk),
        None => (format!("{name} is no longer there: its image was overwritten"), RestoreFrom::Tape),
    };
    let help = match other {
        RestoreFrom::Tape if is_there(other) => "it is on tape: --from tape",
        RestoreFrom::Disk if is_there(other) => "it is on disk: --from disk",
        _ => "`resplit catalog list` lists the backups that exist",
    };
    Stop::new(Exit::Operator, message).help(help)
}

/// Whether two records are of one backup.
fn same(one: &Origin, other: &Origin) -> bool {
    one.source_host == other.source_host && one.original_id == other.original_id
}

const fn is_on(record: &Record, medium: RestoreFrom) -> bool {
    matches!(
        (&record.medium, medium),
        (Medium::Disk, RestoreFrom::Disk) | (Medium::Tape(_), RestoreFrom::Tape)
    )
}

#[cfg(test)]
#[path = "backups_tests.rs"]
mod tests;
