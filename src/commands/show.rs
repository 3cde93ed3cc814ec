//! `resplit show`: one run, step by step.

use clap::Args;

use crate::{
    exit::{Exit, Stop},
    output,
    references::{RUN_HELP, find_run},
    render::run::detail,
    session::{self, Session},
};

/// Show one run, step by step
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit show documents\n  resplit show latest --json")]
pub(crate) struct Arguments {
    #[arg(value_name = "RUN", help = RUN_HELP)]
    run: String,
}

/// Shows the run.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let found = find_run(&session.searched(&place).await?, &arguments.run).await?;
    let run = found.client.run(&found.run).await.map_err(session::stop)?;
    if session.global.json {
        output::print_json(&run)?;
    } else {
        output::print(&detail(&run, &session.view))?;
    }
    Ok(Exit::Done)
}
