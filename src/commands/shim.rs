//! `resplit shim`, started by an engine: runs an operator's command, outlives the engine, and keeps how it ended.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use resplit_steps::drivers::shim::shim_main;

/// Run a command, and keep how it ended
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where the command is described, and what became of it is kept
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

/// Is the shim.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    shim_main(&arguments.directory)
}
