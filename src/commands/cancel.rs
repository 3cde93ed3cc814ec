//! `resplit cancel`: stops a run at its next safe point.

use clap::Args;
use serde_json::json;

use crate::{
    exit::{Exit, Stop},
    output,
    references::{RUN_HELP, find_run},
    session::{self, Session},
};

/// Stop a run at its next safe point
///
/// Whatever the run holds still is let go, and what it has mounted is unmounted. `resplit resume` takes it up again.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  resplit cancel documents")]
pub(crate) struct Arguments {
    #[arg(value_name = "RUN", help = RUN_HELP)]
    run: String,
}

/// Asks the run's coordinator to cancel it.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let found = find_run(&session.searched(&place).await?, &arguments.run).await?;
    found.client.cancel(&found.run).await.map_err(session::stop)?;
    if session.global.json {
        output::print_json(&json!({ "run": found.run }))?;
    } else {
        output::note(&format!(
            "run {0} stops at its next safe point; `resplit show {0}` shows how far it is",
            found.run
        ));
    }
    Ok(Exit::Done)
}
