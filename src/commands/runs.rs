//! `resplit runs`: the runs there were, the newest first.

use clap::Args;
use resplit_engine::protocol::{RunSummary, RunsQuery};
use resplit_operations::{
    ids::{HostId, OperationId},
    plan::Purpose,
};
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    output::{self, View},
    render::{
        table::Table,
        units::{between, duration, minute},
    },
    session::{self, Session},
};

/// List runs, the newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit runs --open\n  resplit runs --operation documents --limit 5")]
pub(crate) struct Arguments {
    /// Only of this operation
    #[arg(long, value_name = "OPERATION")]
    operation: Option<OperationId>,
    /// Only those that are not over
    #[arg(long)]
    open: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// A run, and the host that coordinates it.
#[derive(Debug, Serialize)]
struct Row {
    host: HostId,
    #[serde(flatten)]
    run: RunSummary,
}

/// Lists the runs of all local hosts.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let query = RunsQuery {
        operation: arguments.operation.clone(),
        limit: Some(arguments.limit),
        open: arguments.open,
    };
    let mut rows = Vec::new();
    for (host, client) in session.listed(&place).await? {
        let runs = client.runs(&query).await.map_err(session::stop)?;
        rows.extend(runs.into_iter().map(|run| Row { host: host.clone(), run }));
    }
    rows.sort_by(|a, b| (b.run.accepted, &b.run.run).cmp(&(a.run.accepted, &a.run.run)));
    rows.truncate(arguments.limit);
    if session.global.json {
        output::print_json(&rows)?;
    } else {
        output::print(&listing(&rows, &session.view))?;
    }
    Ok(Exit::Done)
}

fn listing(rows: &[Row], view: &View) -> String {
    let mut table = Table::new(&["RUN", "PURPOSE", "STATUS", "ACCEPTED", ">TOOK", "RESULT"]);
    for Row { run, .. } in rows {
        let took = run.ended.map(|ended| duration(between(run.accepted, ended)));
        table.row([
            run.run.to_string(),
            purpose(run.purpose).to_owned(),
            run.status.word().to_owned(),
            minute(run.accepted, &view.zone),
            took.unwrap_or_default(),
            run.result.first().cloned().unwrap_or_default(),
        ]);
    }
    table.text()
}

/// What a run is for, in words.
pub(crate) const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Backup => "backup",
        Purpose::RestoreFromDisk => "restore from disk",
        Purpose::RestoreFromTape => "restore from tape",
        Purpose::FilesFromDisk => "files from disk",
        Purpose::FilesFromTape => "files from tape",
    }
}
