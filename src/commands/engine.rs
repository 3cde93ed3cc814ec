//! `resplit engine`, started in the background by whoever needs it: the engine of one host.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use resplit_engine::process::{EngineArguments, engine_main};
use resplit_operations::units::Period;

use crate::{build::build, cli::Global};

/// Be the engine of one host
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The state directory of the host
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// How long to stay when there is nothing to do
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = period)]
    idle: Duration,
}

fn period(text: &str) -> Result<Duration, String> {
    Period::parse(text).map(Period::duration).ok_or_else(|| "not a duration such as 60s".to_owned())
}

/// Is the engine, until it is idle.
pub(crate) fn run(arguments: &Arguments, global: &Global) -> ExitCode {
    let program = std::env::current_exe().unwrap_or_default();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    engine_main(&EngineArguments {
        site: global.site.clone().unwrap_or_default(),
        host: global.host.clone().unwrap_or_default().into(),
        state: arguments.state.clone(),
        idle: arguments.idle,
        build: build(&program),
    })
}
