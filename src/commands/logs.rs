//! `resplit logs`: what happened in a run, line by line.

use clap::Args;

use crate::{
    exit::{Exit, Stop},
    output::{self, View},
    references::{RUN_HELP, find_run},
    render::progress,
    session::{self, Session},
};

/// Print the log of a run
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit logs latest\n  resplit logs -f documents\n  \
    resplit logs documents --json\n\nWith --json each event is printed as a line.")]
pub(crate) struct Arguments {
    #[arg(value_name = "RUN", help = RUN_HELP)]
    run: String,
    /// Go on as things happen, until the run is over
    #[arg(long, short)]
    follow: bool,
}

/// Prints the events of the run.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let found = find_run(&session.searched(&place).await?, &arguments.run).await?;
    let mut events = found.client.events(&found.run, arguments.follow).await.map_err(session::stop)?;
    while let Some(event) = events.next().await {
        let event = event.map_err(session::stop)?;
        if session.global.json {
            output::print_json_line(&event)?;
        } else if let Some(line) = progress::line(&event, true, &session.view, &View::paint) {
            output::print(&format!("{line}\n"))?;
        }
    }
    Ok(Exit::Done)
}
