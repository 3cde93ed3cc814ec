//! `resplit try-write`, started by an engine: finds out whether a file system is frozen, by waiting if it is.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use resplit_steps::drivers::window::try_write_main;

/// Try to write to a file system, and change nothing
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The mount point
    #[arg(long, value_name = "PATH")]
    filesystem: PathBuf,
}

/// Tries.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    try_write_main(&arguments.filesystem)
}
