//! `resplit runs`: the runs there were, the newest first.

use clap::Args;
use resplit_engine::protocol::{RunStatus, RunSummary, RunsQuery};
use resplit_operations::ids::{HostId, OperationId};
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    output::{self, View},
    render::{
        table::Table,
        text::shorten,
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

/// The columns that what came of a run may take in the listing; `resplit show` has all of it.
const LONGEST_RESULT: usize = 60;

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
            run.purpose.word().to_owned(),
            run.status.word().to_owned(),
            minute(run.accepted, &view.zone),
            took.unwrap_or_default(),
            shorten(&result(run), LONGEST_RESULT).into_owned(),
        ]);
    }
    table.text()
}

/// The first line of what came of a run, or why nothing did.
fn result(run: &RunSummary) -> String {
    match &run.status {
        RunStatus::Failed { failure } | RunStatus::Refused { failure } => failure.message.clone(),
        RunStatus::Waiting { waiting_for } => waiting_for.clone(),
        RunStatus::Parked { questions } => questions.values().next().cloned().unwrap_or_default(),
        _ => run.result.first().cloned().unwrap_or_default(),
    }
}
