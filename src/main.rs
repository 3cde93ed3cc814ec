//! The command line of resplit.

mod accepted;
mod backups;
mod build;
mod cli;
mod collisions;
mod commands;
mod exit;
mod follow;
mod hosts;
mod output;
mod references;
mod render;
mod session;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Verb},
    exit::{Exit, Stop},
    output::View,
    session::Session,
};

fn main() -> ExitCode {
    let Cli { global, verb } = Cli::parse();
    match &verb {
        // These do as little as possible: they have to work when little does.
        Verb::Watchdog(arguments) => return commands::watchdog::run(arguments),
        Verb::TryWrite(arguments) => return commands::try_write::run(arguments),
        Verb::Shim(arguments) => return commands::shim::run(arguments),
        Verb::Engine(arguments) => return commands::engine::run(arguments, &global),
        _ => {}
    }
    let view = View::of_process(global.color);
    let session = Session::new(global, view);
    match client(&verb, &session) {
        Ok(exit) => session.ends_with(exit).into(),
        Err(stop) => {
            session.view.complain(&stop);
            stop.exit.into()
        }
    }
}

/// Does what is asked, as a client of engines where one is needed.
fn client(verb: &Verb, session: &Session) -> Result<Exit, Stop> {
    match verb {
        Verb::Init(arguments) => commands::init::run(arguments, session.global.json),
        Verb::Agent(arguments) => commands::agent::run(arguments, session),
        Verb::Check(arguments) => commands::check::run(arguments, session),
        Verb::Schema(arguments) => commands::schema::run(arguments),
        Verb::Completions(arguments) => commands::completions::run(arguments),
        Verb::Man(arguments) => commands::man::run(arguments),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Stop::failed(format!("cannot start: {error}")))?;
            runtime.block_on(asking(verb, session))
        }
    }
}

async fn asking(verb: &Verb, session: &Session) -> Result<Exit, Stop> {
    match verb {
        Verb::Plan(arguments) => commands::plan::run(arguments, session).await,
        Verb::Run(arguments) => commands::run::run(arguments, session).await,
        Verb::Resume(arguments) => commands::resume::run(arguments, session).await,
        Verb::Cancel(arguments) => commands::cancel::run(arguments, session).await,
        Verb::Answer(arguments) => commands::answer::run(arguments, session).await,
        Verb::Status(arguments) => commands::status::run(arguments, session).await,
        Verb::Runs(arguments) => commands::runs::run(arguments, session).await,
        Verb::Show(arguments) => commands::show::run(arguments, session).await,
        Verb::Logs(arguments) => commands::logs::run(arguments, session).await,
        Verb::Restore(arguments) => commands::restore::run(arguments, session).await,
        Verb::Catalog(verb) => commands::catalog::run(verb, session).await,
        Verb::Pair(verb) => commands::pair::run(verb, session).await,
        Verb::Leftovers(arguments) => commands::leftovers::run(arguments, session).await,
        Verb::Repair(arguments) => commands::repair::run(arguments, session).await,
        Verb::Tape(verb) => commands::tape::run(verb, session).await,
        Verb::Site(verb) => commands::site::run(verb, session).await,
        // The others are done before there is a runtime.
        _ => Ok(Exit::Done),
    }
}
