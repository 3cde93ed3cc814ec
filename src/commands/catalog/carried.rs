//! Records as files: written, and entered on another host.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use resplit_engine::protocol::EnterRequest;
use resplit_operations::{
    ids::HostId,
    record::{ExportFile, Medium, Record},
};
use serde::Serialize;

use super::super::pair::declared::declared;
use crate::{
    exit::{Exit, Stop},
    output,
    references::{BackupName, find_record},
    session::{self, Session},
};

/// Write a record to a file that another host can import
///
/// Runs carry their records themselves. By hand, a record of a lost catalog is brought back, or one is carried where no
/// line leads. The file has a digest, and says nothing of where the record is kept now.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit catalog export fileserver:0000000009 --to 9.json\n  \
    resplit catalog export fileserver:9 > 9.json")]
pub(crate) struct Export {
    /// The backup: its ID, after the host where several have it (fileserver:0000000009)
    #[arg(value_name = "[HOST:]ID")]
    backup: BackupName,
    /// The file, which must not be there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Enter an exported record into the catalog of a host
///
/// Only if the pairs still hold what it describes. It gets the next ID there; what the source host said of it stays as
/// it is. Records of that host whose images are on the same pairs go; if one is mounted, locked or wanted on tape, the
/// import is refused.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  resplit catalog import 9.json --host backupserver")]
pub(crate) struct Import {
    /// The file that `resplit catalog export` wrote; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Writes a record.
pub(super) fn export(arguments: &Export, catalogs: &[(HostId, Vec<Record>)]) -> Result<Exit, Stop> {
    let (host, record) = find_record(catalogs, &arguments.backup)?;
    if !matches!(record.medium, Medium::Disk) {
        let text = format!("backup {host}:{} is on tape: its record travels with the cartridge", record.id);
        return Err(Stop::new(Exit::Operator, text).help("export the backup on disk that was put there"));
    }
    if !record.is_current() {
        let text = format!("backup {host}:{} is stale: its image was overwritten", record.id);
        return Err(Stop::new(Exit::Operator, text).help("resplit catalog list"));
    }
    let file = ExportFile::of(record);
    let Some(path) = &arguments.to else {
        output::print_json(&file)?;
        return Ok(Exit::Done);
    };
    let unwritten = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Stop::new(Exit::Operator, format!("{} is there already", path.display()))
                .help("name another file, or remove that one")
        }
        _ => Stop::failed(format!("cannot write {}: {error}", path.display())),
    };
    let text = serde_json::to_string_pretty(&file)
        .map_err(|error| Stop::failed(format!("cannot write JSON: {error}")))?;
    let mut new = File::create_new(path).map_err(unwritten)?;
    let written =
        new.write_all(text.as_bytes()).and_then(|()| new.write_all(b"\n")).and_then(|()| new.sync_all());
    if let Err(error) = written {
        // A file that ends too early is of no use, and would be in the way of the next try.
        let _ = fs::remove_file(path);
        return Err(unwritten(error));
    }
    output::note(&format!(
        "backup {host}:{} of {} is in {}",
        record.id,
        record.origin.operation,
        path.display()
    ));
    Ok(Exit::Done)
}

/// A record that was imported.
#[derive(Serialize)]
struct Row<'a> {
    host: &'a HostId,
    was_there: bool,
    #[serde(flatten)]
    record: &'a Record,
}

/// Enters a record.
pub(super) async fn import(arguments: &Import, session: &Session) -> Result<Exit, Stop> {
    let path = &arguments.file;
    let file = ExportFile::read(&read(path)?).map_err(|wrong| {
        Stop::usage(format!("{} {wrong}", path.display())).help("resplit catalog export --help")
    })?;
    let place = session.site()?;
    let engines = session.listed(&place).await?;
    let [(host, client)] = engines.as_slice() else {
        let hosts: Vec<String> = engines.iter().map(|(host, _)| format!("--host {host}")).collect();
        return Err(Stop::usage("say which host is to import it").help(hosts.join(" or ")));
    };
    let pairs = declared(&place.resolved(), None)?.into_iter().map(|pair| (pair.driver, pair.pair)).collect();
    let entered = client.enter(&EnterRequest { file, pairs }).await.map_err(session::stop)?;
    let record = &entered.record;
    if session.global.json {
        output::print_json(&Row { host, was_there: entered.was_there, record })?;
    } else {
        let word = if entered.was_there { "was there already" } else { "entered" };
        let origin = format!("{}:{}", record.origin.source_host, record.origin.original_id);
        output::print(&format!("backup {host}:{} (original {origin}) {word}\n", record.id))?;
    }
    Ok(Exit::Done)
}

/// Reads a file, but never more of it than a record has.
fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    let most = u64::try_from(ExportFile::MOST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    let _ = read.map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))?;
    Ok(bytes)
}
