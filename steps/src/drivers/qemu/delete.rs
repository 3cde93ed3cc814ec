//! Dissolves a pair: the copy goes, and with it what QEMU keeps for it; the book stays, and says so.

use std::{fs, io::ErrorKind};

use resplit_operations::pair::CopyReport;

use super::{
    daemon::Daemon,
    state::{Known, State},
};
use crate::{
    drivers::{
        book::{NEW, Verb},
        image::{guard, state::copy_of},
    },
    failure::Failure,
};

/// Removes what the driver has made of a pair. Asked again after it was interrupted, it goes on.
pub(super) fn delete(verb: &Verb<'_>, state: &mut State) -> Result<CopyReport, Failure> {
    let pair = verb.pair;
    let copy = copy_of(pair);
    guard::held(&copy, "the pair cannot be dissolved meanwhile")?;
    // Whatever becomes of it, no bitmap tells any more where the copy differs.
    state.extra.base = None;
    verb.run(state, |state| {
        // A QEMU that is gone has nothing open.
        if let Some(mut daemon) = Daemon::find(pair)? {
            daemon.sweep(None)?;
        }
        let mut report = CopyReport::default();
        for (path, counts) in [(copy, 1), (pair.secondary.join(NEW), 0)] {
            match fs::remove_file(&path) {
                Ok(()) => report.removed += counts,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::io("remove", &path, &error)),
            }
        }
        fs::File::open(&pair.secondary)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Failure::io("make durable", &pair.secondary, &error))?;
        // The number of the last pass stays: names that it has used are not used again.
        state.extra = Known { pass: state.extra.pass, ..Known::default() };
        // It holds no backup: of all pairs of the volume it is the first to be chosen.
        state.backed_up = 0;
        Ok(report)
    })
}
