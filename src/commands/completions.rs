//! `resplit completions`: what a shell sources to complete verbs and options.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::{
    cli::Cli,
    exit::{Exit, Stop},
    output,
};

/// Print completions for a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit completions bash > /etc/bash_completion.d/resplit\n  \
    resplit completions zsh > ~/.zfunc/_resplit")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL", hide_possible_values = true, help = shells())]
    shell: Shell,
}

fn shells() -> String {
    let names: Vec<String> = Shell::value_variants().iter().map(ToString::to_string).collect();
    format!("The shell: {}", names.join(", "))
}

/// Prints the completions.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Stop> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "resplit", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}
