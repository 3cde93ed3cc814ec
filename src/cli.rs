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
const HOST_HELP: &str = "Only this host, in listings [env: RESPLIT_HOST] [default: all]";

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
    /// Start engines that leave interrupted runs as they are, until `resplit resume RUN`
    #[arg(long, global = true)]
    pub(crate) hold: bool,
    /// Colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    #[arg(hide_possible_values = true)]
    pub(crate) color: Colour,
}

/// What is to be done; each verb says what it does where it is.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Init(commands::init::Arguments),
    Check(commands::check::Arguments),
    Plan(commands::plan::Arguments),
    Run(commands::run::Arguments),
    Resume(commands::resume::Arguments),
    Cancel(commands::cancel::Arguments),
    Answer(commands::answer::Arguments),
    Status(commands::status::Arguments),
    Runs(commands::runs::Arguments),
    Show(commands::show::Arguments),
    Logs(commands::logs::Arguments),
    Restore(commands::restore::Arguments),
    /// List, show, lock, compare, carry and delete backups
    #[command(subcommand)]
    Catalog(commands::catalog::Verb),
    /// Show pairs; make, split, restore and dissolve them
    #[command(subcommand)]
    Pair(commands::pair::Verb),
    /// List cartridges
    #[command(subcommand)]
    Tape(commands::tape::Verb),
    Leftovers(commands::leftovers::Arguments),
    Repair(commands::repair::Arguments),
    Agent(commands::agent::Arguments),
    /// Put the definition files on other machines
    #[command(subcommand)]
    Site(commands::site::Verb),
    Schema(commands::schema::Arguments),
    Completions(commands::completions::Arguments),
    Man(commands::man::Arguments),
    /// Be the engine of a host
    #[command(hide = true)]
    Engine(commands::engine::Arguments),
    /// Hold a file system still, and let it go whatever happens
    #[command(hide = true)]
    Watchdog(commands::watchdog::Arguments),
    /// Try to write to a file system, and change nothing
    #[command(hide = true)]
    TryWrite(commands::try_write::Arguments),
    /// Run a command, and keep how it ended
    #[command(hide = true)]
    Shim(commands::shim::Arguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The commands of an example: what stands between `&&`, `|` and `>`.
    fn commands(line: &str) -> Vec<Vec<&str>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pieces = words.split(|word| matches!(*word, "&&" | "|" | ">"));
        pieces.filter(|piece| piece.first() == Some(&"resplit")).map(<[_]>::to_vec).collect()
    }

    #[test]
    fn every_example_parses() {
        Cli::command().debug_assert();
        let mut waiting = vec![Cli::command()];
        let mut examples = 0;
        while let Some(command) = waiting.pop() {
            waiting.extend(command.get_subcommands().cloned());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter(|line| line.starts_with("  ")) {
                for words in commands(line) {
                    examples += 1;
                    assert!(Cli::try_parse_from(&words).is_ok(), "{}: {words:?}", command.get_name());
                }
            }
        }
        assert!(examples >= 30, "{examples}");
    }
}
