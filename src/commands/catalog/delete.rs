//! Records that are forgotten.

use clap::Args;
use resplit_engine::protocol::RecordVerb;
use resplit_operations::{
    ids::HostId,
    record::{Medium, Record},
};

use super::changed;
use crate::{
    exit::{Exit, Stop},
    output,
    references::{BackupName, find_record},
    session::{Engines, Session},
};

/// Forget a backup
///
/// The record goes from the catalog of one host. What it describes stays where it is until that is overwritten: an image
/// on its pair, a dataset on its cartridge. One that is mounted, locked or wanted on tape is not deleted, and the last
/// one that leads to its data only if that is said.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit catalog delete backupserver:0000000009 --dry-run\n  \
    resplit catalog delete backupserver:0000000009 --yes")]
pub(crate) struct Delete {
    /// The backup: its ID, after the host where several have it (fileserver:0000000009)
    #[arg(value_name = "[HOST:]ID")]
    backup: BackupName,
    /// Say what would be lost, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also if no other record leads to its data
    #[arg(long)]
    last_copy: bool,
}

/// The records through which the same data is still had: of the same backup, current, on any host.
fn others<'c>(
    catalogs: &'c [(HostId, Vec<Record>)],
    host: &HostId,
    meant: &Record,
) -> Vec<(&'c HostId, &'c Record)> {
    let all = catalogs.iter().flat_map(|(host, records)| records.iter().map(move |record| (host, record)));
    all.filter(|(other, record)| {
        record.origin.source_host == meant.origin.source_host
            && record.origin.original_id == meant.origin.original_id
            && record.origin.operation == meant.origin.operation
            && record.is_current()
            && !(*other == host && record.id == meant.id)
    })
    .collect()
}

fn place(record: &Record) -> String {
    match &record.medium {
        Medium::Disk => {
            let pairs: Vec<&str> =
                record.origin.images.iter().map(|image| image.copy_group.as_str()).collect();
            format!("on {}", pairs.join(", "))
        }
        Medium::Tape(tape) => format!("on {}, dataset {}", tape.barcode, tape.dataset),
    }
}

/// Deletes a record.
pub(super) async fn delete(
    arguments: &Delete,
    engines: &Engines,
    catalogs: &[(HostId, Vec<Record>)],
    session: &Session,
) -> Result<Exit, Stop> {
    let (host, record) = find_record(catalogs, &arguments.backup)?;
    let name = format!("{host}:{}", record.id);
    let others = others(catalogs, host, record);
    let left: Vec<String> =
        others.iter().map(|(host, record)| format!("{host}:{} {}", record.id, place(record))).collect();
    let what = format!(
        "the record of backup {name} of {} goes; its data stays {} until that is overwritten",
        record.origin.operation,
        place(record)
    );
    let rest = match (record.is_current(), left.as_slice()) {
        (false, _) => "it is stale: nothing can be restored by it".to_owned(),
        (true, []) => "no other record leads to that data".to_owned(),
        (true, left) => format!("there is also {}", left.join(", ")),
    };
    let is_last = record.is_current() && left.is_empty();
    if arguments.dry_run {
        output::print(&format!("{what}\n{rest}\n"))?;
        return Ok(if is_last && !arguments.last_copy { Exit::Operator } else { Exit::Done });
    }
    if is_last && !arguments.last_copy {
        let text = format!("backup {name} is the last one that leads to its data");
        return Err(Stop::new(Exit::Operator, text).help("--last-copy deletes it nevertheless"));
    }
    if !arguments.yes {
        if !output::can_ask() {
            let text = format!("{what}; {rest}");
            return Err(Stop::new(Exit::Operator, text).help("--yes does it"));
        }
        if !output::ask(&format!("{what}; {rest}. Go on?")) {
            return Err(Stop::new(Exit::Operator, "nothing was touched"));
        }
    }
    let gone = changed(host, record, RecordVerb::Delete, engines).await?;
    super::print(&[(host, gone)], session)
}
