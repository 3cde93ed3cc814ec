//! `resplit engine`, started by the other verbs: serves one host of a site until there is nothing to do.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::Args;
use resplit_engine::process::{EngineArguments, engine_main};
use resplit_operations::{ids::HostId, units::Period};
use tracing_subscriber::EnvFilter;

use crate::build;

/// Be the engine of a host
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The site directory, absolute
    #[arg(long, value_name = "DIR")]
    site_directory: PathBuf,
    /// The host
    #[arg(long, value_name = "HOST")]
    host_name: HostId,
    /// Its state directory, absolute
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
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let level = EnvFilter::try_from_env("RESPLIT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    engine_main(&EngineArguments {
        site: arguments.site_directory.clone(),
        host: arguments.host_name.clone(),
        state: arguments.state.clone(),
        idle: arguments.idle.duration(),
        build: build::identity(),
    })
}
