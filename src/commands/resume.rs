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
/// happened. A run that an engine has taken up by itself is followed; one that an engine holds (--hold) is taken up.
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
    let found = find_run(&session.searched(&place).await?, &arguments.run).await?;
    let detail = found.client.run(&found.run).await.map_err(session::stop)?;
    start_engines(&place, &found).await?;
    let mut known = 0;
    match detail.summary.status {
        RunStatus::Waiting { .. } | RunStatus::Running if detail.held => {
            known = events_so_far(&found).await?;
            let _ = found.client.resume(&found.run).await.map_err(session::stop)?;
        }
        RunStatus::Waiting { .. } | RunStatus::Running => {
            output::note(&format!("run {} goes on already", found.run));
        }
        RunStatus::Done => {
            output::note(&format!("run {} is done already", found.run));
            return conclude(&detail.summary, session.global.json, &session.view);
        }
        _ => {
            known = events_so_far(&found).await?;
            let _ = found.client.resume(&found.run).await.map_err(session::stop)?;
        }
    }
    if arguments.detach {
        output::print(&format!("{}\n", found.run))?;
        return Ok(Exit::Done);
    }
    follow(&found.client, &found.run, known, session).await
}

/// How many events a run has had: what happened before it is resumed is not told again.
async fn events_so_far(found: &FoundRun) -> Result<usize, Stop> {
    let mut events = found.client.events(&found.run, false).await.map_err(session::stop)?;
    let mut count = 0;
    while let Some(event) = events.next().await {
        let _ = event.map_err(session::stop)?;
        count += 1;
    }
    Ok(count)
}

/// Starts the engines of all hosts of a run that do not run.
pub(crate) async fn start_engines(place: &Place, found: &FoundRun) -> Result<(), Stop> {
    let detail = found.client.run(&found.run).await.map_err(session::stop)?;
    let hosts: BTreeSet<_> = detail.step_list.into_iter().map(|step| step.host).collect();
    place.engines(hosts).await.map(drop)
}
