//! `resplit run`: makes a backup, and tells what happens meanwhile.

use std::path::PathBuf;

use clap::Args;
use resplit_engine::{
    client::Client,
    protocol::{RunOptions, Submit},
};
use resplit_operations::ids::OperationId;
use serde_json::json;

use super::plan::compiled;
use crate::{
    accepted,
    exit::{Exit, Stop},
    follow::follow,
    output,
    session::{self, Session},
};

/// Make a backup
///
/// Runs an operation in the engines of its hosts, which are started if they do not run, and follows it. Ctrl-C asks for
/// a cancel at the next safe point; a second Ctrl-C leaves the run to itself.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit run documents\n  \
    resplit run documents --detach\n  \
    resplit run --plan accepted.json\n  \
    resplit run documents --json --no-wait\n\n\
    With --json each event is printed as a line, the result last.")]
pub(crate) struct Arguments {
    /// The operation
    #[arg(value_name = "OPERATION", required_unless_present = "plan")]
    operation: Option<OperationId>,
    #[command(flatten)]
    how: How,
    /// Run exactly what `resplit plan --out FILE` showed, or refuse
    #[arg(long, value_name = "FILE", conflicts_with_all = ["operation", "generation"])]
    plan: Option<PathBuf>,
    /// Use the pairs of this generation [default: the least recently backed up]
    #[arg(long, value_name = "N")]
    generation: Option<u32>,
}

/// How a run is started: the same for a backup and a restore.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// Print the name of the run and return at once
    #[arg(long)]
    pub(crate) detach: bool,
    /// Exit with 5 rather than wait for the pairs or drives of another run
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Starts the run and follows it.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.place()?;
    let mut submit = match (&arguments.plan, &arguments.operation) {
        (Some(file), _) => accepted::read(file)?,
        (None, Some(operation)) => {
            let options = RunOptions { generation: arguments.generation, ..RunOptions::default() };
            Submit { plan: compiled(session, &place, operation)?, options, measure: false }
        }
        (None, None) => return Err(Stop::usage("an operation, or --plan FILE, has to be named")),
    };
    submit.options.no_wait = arguments.how.no_wait;
    let client = place.writing_coordinator(&submit.plan).await?;
    start(&client, &submit, arguments.how, session).await
}

/// Submits a run, and follows it unless it is to be left to itself.
pub(crate) async fn start(
    client: &Client,
    submit: &Submit,
    how: How,
    session: &Session,
) -> Result<Exit, Stop> {
    let accepted = client.submit(submit).await.map_err(session::stop)?;
    if !how.detach {
        return follow(client, &accepted.run, 0, session).await;
    }
    if session.global.json {
        output::print_json(&json!({ "run": accepted.run }))?;
    } else {
        output::print(&format!("{}\n", accepted.run))?;
    }
    Ok(Exit::Done)
}
