//! `resplit resume`: takes a run up again where it stopped.

use std::collections::BTreeSet;

use clap::Args;
use resplit_engine::protocol::RunStatus;

use crate::{
    exit::{Exit, Stop},
    follow::{conclude, follow},
    output,
    references::{FoundRun, RUN_HELP, find_run},
    session::{self, Place, Session},
};

/// Take up a failed, parked or cancelled run again
///
/// Steps that are done are not done again. A step that was interrupted is probed first: the engine finds out whether it
/// happened. A run that an engine has taken up by itself is followed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit resume documents\n  resplit resume latest --detach")]
pub(crate) struct Arguments {
    #[arg(value_name = "RUN", help = RUN_HELP)]
    run: String,
    /// Print the name of the run and return at once
    #[arg(long)]
    detach: bool,
}

/// Resumes the run and follows it.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let found = find_run(&session.listed(&place).await?, &arguments.run).await?;
    let detail = found.client.run(&found.run).await.map_err(session::stop)?;
    start_engines(&place, &found).await?;
    match detail.summary.status {
        RunStatus::Waiting { .. } | RunStatus::Running => {
            output::note(&format!("run {} goes on already", found.run));
        }
        RunStatus::Done => {
            output::note(&format!("run {} is done already", found.run));
            return conclude(&detail.summary, session.global.json, &session.view);
        }
        _ => {
            let _ = found.client.resume(&found.run).await.map_err(session::stop)?;
        }
    }
    if arguments.detach {
        output::print(&format!("{}\n", found.run))?;
        return Ok(Exit::Done);
    }
    follow(&found.client, &found.run, session.global.json, &session.view).await
}

/// Starts the engines of all hosts of a run that do not run.
pub(crate) async fn start_engines(place: &Place, found: &FoundRun) -> Result<(), Stop> {
    let detail = found.client.run(&found.run).await.map_err(session::stop)?;
    let hosts: BTreeSet<_> = detail.step_list.into_iter().map(|step| step.host).collect();
    place.engines(hosts).await.map(drop)
}
