//! `resplit man`: manual pages made of the same words as the help.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use crate::{
    cli::Cli,
    exit::{Exit, Stop},
    output,
};

/// Print the manual page, or write a page for each verb
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit man | man -l -\n  \
    resplit man --out /usr/local/share/man/man1")]
pub(crate) struct Arguments {
    /// Write resplit.1 and a page for each verb into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints or writes the pages.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Stop> {
    let mut command = Cli::command();
    command.build();
    let Some(directory) = &arguments.out else {
        let page =
            page(&command, "resplit").map_err(|e| Stop::failed(format!("cannot make the page: {e}")))?;
        output::print(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Done);
    };
    write_all(&command, directory)
        .map_err(|error| Stop::failed(format!("cannot write into {}: {error}", directory.display())))?;
    Ok(Exit::Done)
}

/// Writes the page of the program, and of every verb and verb of a verb that is not hidden.
fn write_all(root: &Command, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut waiting = vec![("resplit".to_owned(), root)];
    while let Some((name, command)) = waiting.pop() {
        fs::write(directory.join(format!("{name}.1")), page(command, &name)?)?;
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        waiting.extend(verbs.map(|verb| (format!("{name}-{}", verb.get_name()), verb)));
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    // A page is named after the whole path of the verb, so that `man resplit-run` finds it.
    let command = command.clone().name(name.to_owned());
    Man::new(command).render(&mut page)?;
    Ok(page)
}
