//! `resplit schema`: what editors check definition files with.

use clap::{Args, ValueEnum};
use resplit_operations::schema;

use crate::{
    exit::{Exit, Stop},
    output,
};

/// Print the JSON Schema of a definition file
///
/// Editors that know JSON Schema complete and check definition files with it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit schema site > site.schema.json\n  \
    resplit schema operation > operation.schema.json\n  \
    resplit schema driver > driver.schema.json")]
pub(crate) struct Arguments {
    /// Of which file: site (site.yaml), operation (operations/*.yaml) or driver (drivers/*.yaml)
    #[arg(value_enum, value_name = "FILE", default_value = "operation", hide_possible_values = true)]
    file: Kind,
}

/// A kind of definition file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Site,
    Operation,
    Driver,
}

/// Prints the schema.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Stop> {
    let text = match arguments.file {
        Kind::Site => schema::site(),
        Kind::Operation => schema::operation(),
        Kind::Driver => schema::driver(),
    };
    output::print(&format!("{}\n", text.trim_end()))?;
    Ok(Exit::Done)
}
