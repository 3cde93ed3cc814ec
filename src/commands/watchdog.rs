//! `resplit watchdog`, started by an engine: holds a file system still, and lets it go whatever happens.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use resplit_steps::drivers::window::watchdog_main;

/// Hold a file system still, and let it go whatever happens
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The mount point
    #[arg(long, value_name = "PATH")]
    filesystem: PathBuf,
    /// How long it may be held still, in milliseconds
    #[arg(long, value_name = "N")]
    budget_ms: u64,
}

/// Is the watchdog.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    watchdog_main(&arguments.filesystem, Duration::from_millis(arguments.budget_ms))
}
