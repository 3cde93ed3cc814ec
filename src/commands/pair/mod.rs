//! `resplit pair`: the pairs that are declared, what their drivers say of them, and what an operator asks of them.

use clap::{Args, Subcommand};
use resplit_operations::{ids::VolumeId, pair::verdict::ArrayVerb};

use crate::{
    exit::{Exit, Stop},
    session::Session,
};

mod asked;
pub(in crate::commands) mod declared;
mod shown;
mod status;
mod wait;

/// What is asked of the pairs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the pairs that the site declares
    List(Which),
    /// Ask the drivers for the status of the pairs
    ///
    /// Shows each pair as it is seen from the primary and from the secondary, how much is copied while it is COPY or
    /// RCPY, the backup whose image it holds, its locks, and the run that has it; and the status of each group of
    /// several devices, by the field's rule for groups whose members differ.
    Status(status::Arguments),
    /// Make a pair: copy the primary to the secondary, which then follows it
    #[command(after_help = asked::EXAMPLES)]
    Create(asked::Arguments),
    /// Make the secondary equal to the primary, and keep it so
    ///
    /// What was on the secondary is lost: the image, and the records of the backups that it held.
    #[command(after_help = asked::EXAMPLES)]
    Resync(asked::Arguments),
    /// Stop following the primary, leaving an image
    ///
    /// The image is not a backup: no record describes it, and nothing is held still while it is made. `resplit run`
    /// makes a backup. Until it is overwritten, `resplit pair restore` copies it back.
    #[command(after_help = asked::EXAMPLES)]
    Split(asked::Arguments),
    /// Copy the image back over the primary
    ///
    /// What the primary has that the image has not is lost. The pair stays split. `resplit restore` restores a whole
    /// backup instead, whichever pairs hold it.
    #[command(after_help = asked::EXAMPLES)]
    Restore(asked::Restore),
    /// Dissolve a pair: what was copied to the secondary is removed
    ///
    /// The records of the backups that it held go with it.
    #[command(after_help = asked::EXAMPLES)]
    Delete(asked::Arguments),
    /// Wait until pairs have a status
    ///
    /// Ends with 0 once all pairs that are named have it; with 1 when the time is over, or at once when a pair is PSUE
    /// and nothing is at work on it.
    Wait(wait::Arguments),
    /// Exchange primary and secondary, where the copy type can do that
    Swap(asked::Named),
}

/// Which pairs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit pair list\n  resplit pair list --volume documents")]
pub(crate) struct Which {
    /// Only of this volume
    #[arg(long, value_name = "VOLUME")]
    volume: Option<VolumeId>,
}

/// Does what is asked.
pub(crate) async fn run(verb: &Verb, session: &Session) -> Result<Exit, Stop> {
    match verb {
        Verb::List(which) => declared::list(which.volume.as_ref(), session),
        Verb::Status(arguments) => status::run(arguments, session).await,
        Verb::Create(arguments) => asked::run(ArrayVerb::Create, arguments, session).await,
        Verb::Resync(arguments) => asked::run(ArrayVerb::Resync, arguments, session).await,
        Verb::Split(arguments) => asked::run(ArrayVerb::Split, arguments, session).await,
        Verb::Restore(arguments) => asked::restore(arguments, session).await,
        Verb::Delete(arguments) => asked::run(ArrayVerb::Delete, arguments, session).await,
        Verb::Wait(arguments) => wait::run(arguments, session).await,
        Verb::Swap(named) => asked::swap(named, session).await,
    }
}
