//! `resplit engine`, started by the other verbs: serves one host of a site until there is nothing to do.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::Args;
use resplit_engine::{
    background::announce_failure,
    process::{EngineArguments, engine_main},
};
use resplit_operations::units::Period;
use tracing_subscriber::EnvFilter;

use crate::{build, cli::Global, exit::Exit};

/// Be the engine of a host
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The host's state directory, absolute
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// How long it stays when there is nothing to do
    #[arg(long, value_name = "DURATION", default_value = "60s", env = "RESPLIT_ENGINE_IDLE", value_parser = period)]
    idle: Period,
}

fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).ok_or_else(|| "a duration such as 90s or 10m is wanted".to_owned())
}

/// Is the engine. What it logs goes to standard error, which is a file in its state directory.
pub(crate) fn run(arguments: &Arguments, global: &Global) -> ExitCode {
    let (Some(site), Some(host)) = (&global.site, &global.host) else {
        announce_failure("an engine is started with --site, absolute, and --host");
        return Exit::Usage.into();
    };
    let level = EnvFilter::try_from_env("RESPLIT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        // A log that cannot be written (a full disk) must not end what is being logged.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    engine_main(&EngineArguments {
        site: site.clone(),
        host: host.as_str().into(),
        state: arguments.state.clone(),
        idle: arguments.idle.duration(),
        build: build::identity(),
        hold: global.hold,
    })
}
