//! `resplit catalog`: the backups that exist.

mod carried;
mod delete;
mod diff;

use clap::{Args, Subcommand};
use resplit_engine::protocol::RecordVerb;
use resplit_operations::{
    ids::{HostId, OperationId},
    record::{Medium, Record, TapeState},
};
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    hosts, output,
    references::{BackupName, find_record},
    render::record,
    session::{self, Engines, Session},
};

/// What is asked of the catalogs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the backups that exist
    List(List),
    /// Show one backup
    Show(Name),
    /// Keep a backup from being overwritten
    ///
    /// The pairs that hold a locked backup are not chosen, resynced or restored.
    Lock(Locked),
    /// Let a backup be overwritten again
    Unlock(Locked),
    /// Give up on having a backup on tape
    ///
    /// A pair whose image is wanted on tape and is not there yet is not chosen, resynced or restored. Waived, it is. The
    /// backup is waived in the catalogs of all hosts on this machine that have it.
    Waive(Name),
    Export(carried::Export),
    Import(carried::Import),
    Diff(diff::Diff),
    Delete(delete::Delete),
}

/// List the backups that exist
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  resplit catalog list\n  resplit catalog list --host backupserver --json"
)]
pub(crate) struct List {
    /// Only of this operation
    #[arg(long, value_name = "OPERATION")]
    operation: Option<OperationId>,
}

/// A backup on the command line.
#[derive(Args, Debug)]
pub(crate) struct Name {
    /// The backup: its ID, after the host where several have it (fileserver:0000000009)
    #[arg(value_name = "[HOST:]ID")]
    backup: BackupName,
}

/// Backups to be locked or unlocked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit catalog lock fileserver:0000000009\n  \
    resplit catalog lock --copy-group VG01,vol01\n  \
    resplit catalog unlock --copy-group VG01")]
pub(crate) struct Locked {
    /// The backup: its ID, after the host where several have it (fileserver:0000000009)
    #[arg(value_name = "[HOST:]ID", required_unless_present = "copy_group")]
    backup: Option<BackupName>,
    /// The backup that a pair holds, in the catalogs of all hosts; of a group without a device, those of all its pairs
    #[arg(long, value_name = "GROUP[,DEVICE]", conflicts_with = "backup")]
    copy_group: Option<String>,
}

impl Locked {
    /// The records that are meant, with their hosts.
    fn find<'c>(&self, catalogs: &'c [(HostId, Vec<Record>)]) -> Result<Vec<(&'c HostId, &'c Record)>, Stop> {
        let Some(wanted) = &self.copy_group else {
            let missing = || Stop::usage("a backup, or --copy-group, has to be named");
            return Ok(vec![find_record(catalogs, self.backup.as_ref().ok_or_else(missing)?)?]);
        };
        let is_meant =
            |name: &str| name == wanted || name.split_once(',').is_some_and(|(group, _)| group == wanted);
        let holds = |record: &Record| {
            matches!(record.medium, Medium::Disk)
                && record.is_current()
                && record.origin.images.iter().any(|image| is_meant(image.copy_group.as_str()))
        };
        let all =
            catalogs.iter().flat_map(|(host, records)| records.iter().map(move |record| (host, record)));
        let found: Vec<_> = all.filter(|(_, record)| holds(record)).collect();
        if found.is_empty() {
            return Err(Stop::usage(format!("no backup is on a pair '{wanted}'")).help("resplit pair status"));
        }
        Ok(found)
    }
}

/// A record, and the host whose catalog has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    host: &'a HostId,
    #[serde(flatten)]
    record: &'a Record,
}

/// Does what is asked.
pub(crate) async fn run(verb: &Verb, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let engines = match verb {
        Verb::Diff(diff) => {
            let mut hosts = Vec::new();
            for host in diff.hosts()? {
                hosts.push(hosts::named(&place.site, host.as_str())?);
            }
            place.engines(hosts).await?
        }
        _ => session.listed(&place).await?,
    };
    let catalogs = catalogs(&engines).await?;
    match verb {
        Verb::List(list) => self::list(list, &catalogs, session),
        Verb::Show(name) => {
            let (host, record) = find_record(&catalogs, &name.backup)?;
            show(host, record, session)
        }
        Verb::Lock(locked) => change(locked, RecordVerb::Lock, &engines, &catalogs, session).await,
        Verb::Unlock(locked) => change(locked, RecordVerb::Unlock, &engines, &catalogs, session).await,
        Verb::Waive(name) => waive(name, &engines, &catalogs, session).await,
        Verb::Export(export) => carried::export(export, &catalogs),
        Verb::Diff(diff) => diff::diff(diff, &catalogs, session),
        Verb::Delete(delete) => delete::delete(delete, &engines, &catalogs, session).await,
        Verb::Import(import) => carried::import(import, session).await,
    }
}

/// The catalogs of these engines' hosts.
pub(crate) async fn catalogs(engines: &Engines) -> Result<Vec<(HostId, Vec<Record>)>, Stop> {
    let mut catalogs = Vec::new();
    for (host, client) in engines {
        catalogs.push((host.clone(), client.catalog().await.map_err(session::stop)?));
    }
    Ok(catalogs)
}

fn list(list: &List, catalogs: &[(HostId, Vec<Record>)], session: &Session) -> Result<Exit, Stop> {
    let all =
        catalogs.iter().flat_map(|(host, records)| records.iter().map(move |record| Row { host, record }));
    let wanted = |row: &Row<'_>| list.operation.as_ref().is_none_or(|id| row.record.origin.operation == *id);
    let rows: Vec<Row<'_>> = all.filter(wanted).collect();
    if session.global.json {
        output::print_json(&rows)?;
    } else {
        output::print(&record::listing(rows.iter().map(|row| (row.host, row.record)), &session.view))?;
    }
    Ok(Exit::Done)
}

fn show(host: &HostId, record: &Record, session: &Session) -> Result<Exit, Stop> {
    if session.global.json {
        output::print_json(&Row { host, record })?;
    } else {
        output::print(&record::detail(host, record, &session.view))?;
    }
    Ok(Exit::Done)
}

async fn change(
    locked: &Locked,
    verb: RecordVerb,
    engines: &Engines,
    catalogs: &[(HostId, Vec<Record>)],
    session: &Session,
) -> Result<Exit, Stop> {
    let mut done = Vec::new();
    for (host, record) in locked.find(catalogs)? {
        done.push((host, changed(host, record, verb, engines).await?));
    }
    print(&done, session)
}

fn print(changed: &[(&HostId, Record)], session: &Session) -> Result<Exit, Stop> {
    if session.global.json {
        let rows: Vec<_> = changed.iter().map(|(host, record)| Row { host, record }).collect();
        output::print_json(&rows)?;
    } else {
        let rows = changed.iter().map(|(host, record)| (*host, record));
        output::print(&record::listing(rows, &session.view))?;
    }
    Ok(Exit::Done)
}

async fn changed(
    host: &HostId,
    record: &Record,
    verb: RecordVerb,
    engines: &Engines,
) -> Result<Record, Stop> {
    let Some((_, client)) = engines.iter().find(|(known, _)| known == host) else {
        return Err(Stop::usage(format!("host '{host}' was not asked")));
    };
    client.record(record.id, verb).await.map_err(session::stop)
}

/// Waives a backup wherever it is wanted on tape: the interlock stands as long as one host's record says so.
async fn waive(
    name: &Name,
    engines: &Engines,
    catalogs: &[(HostId, Vec<Record>)],
    session: &Session,
) -> Result<Exit, Stop> {
    let (named, meant) = find_record(catalogs, &name.backup)?;
    let same = |record: &Record| {
        record.origin.source_host == meant.origin.source_host
            && record.origin.original_id == meant.origin.original_id
            && record.is_current()
            && record.tape == TapeState::Wanted
    };
    let all = catalogs.iter().flat_map(|(host, records)| records.iter().map(move |record| (host, record)));
    let mut waived = Vec::new();
    for (host, record) in all {
        if (host == named && record.id == meant.id) || same(record) {
            waived.push((host, changed(host, record, RecordVerb::Waive, engines).await?));
        }
    }
    print(&waived, session)
}
