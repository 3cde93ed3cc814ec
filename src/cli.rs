//! The command line as it is parsed: global options, and one verb.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{commands, output::Colour};

/// Split-mirror and snapshot backups, declared in files
#[derive(Debug, Parser)]
#[command(
    name = "resplit",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "A site directory holds site.yaml and operations/*.yaml; each operation file declares one \
                  operation. Begin with `resplit init DIR`; see what would happen with `resplit plan OPERATION`.\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 errors in definition files, 4 parked or refused \
                  until an operator acts, 5 busy, 130 cancelled."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const SITE_HELP: &str =
    "Site directory [env: RESPLIT_SITE] [default: the nearest parent with a site.yaml, then /etc/resplit]";
const HOST_HELP: &str = "Only this host, in listings [env: RESPLIT_HOST] [default: all on this machine]";

/// What every verb understands.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    #[arg(long, global = true, value_name = "DIR", help = SITE_HELP)]
    pub(crate) site: Option<PathBuf>,
    #[arg(long, global = true, value_name = "HOST", help = HOST_HELP)]
    pub(crate) host: Option<String>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    #[arg(hide_possible_values = true)]
    pub(crate) color: Colour,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a small site to begin with
    Init(commands::init::Arguments),
    /// Check the definition files
    Check(commands::check::Arguments),
    /// Show what a run would do now
    Plan(commands::plan::Arguments),
    /// Make a backup
    Run(commands::run::Arguments),
    /// Take up a failed, parked or cancelled run again
    Resume(commands::resume::Arguments),
    /// Stop a run at its next safe point
    Cancel(commands::cancel::Arguments),
    /// Answer the question of a parked step
    Answer(commands::answer::Arguments),
    /// Show each operation's last good backup, and what it is doing
    Status(commands::status::Arguments),
    /// List runs, the newest first
    Runs(commands::runs::Arguments),
    /// Show one run, step by step
    Show(commands::show::Arguments),
    /// Print the log of a run
    Logs(commands::logs::Arguments),
    /// Restore a backup, or some of its files
    Restore(commands::restore::Arguments),
    /// List, show and lock backups
    #[command(subcommand)]
    Catalog(commands::catalog::Verb),
    /// List pairs, and ask for their status
    #[command(subcommand)]
    Pair(commands::pair::Verb),
    /// List cartridges
    #[command(subcommand)]
    Tape(commands::tape::Verb),
    /// Print the JSON Schema of a definition file
    Schema(commands::schema::Arguments),
    /// Print completions for a shell
    Completions(commands::completions::Arguments),
    /// Print the manual page, or write a page for each verb
    Man(commands::man::Arguments),
    /// Be the engine of one host
    #[command(hide = true)]
    Engine(commands::engine::Arguments),
    /// Hold a file system still, and let it go whatever happens
    #[command(hide = true)]
    Watchdog(commands::watchdog::Arguments),
    /// Run a command, and keep how it ended
    #[command(hide = true)]
    Shim(commands::shim::Arguments),
}
