//! Dissolves a pair: its snapshots go, on both sides; the book stays, and says so.

use std::fs;

use resplit_operations::pair::CopyReport;

use super::{
    change::Change,
    places::Places,
    state::{Known, State},
};
use crate::{
    drivers::book::{NEW, Verb},
    failure::Failure,
};

/// Deletes what the driver has made of a pair. Asked again after it was interrupted, it goes on.
pub(super) fn delete(verb: &Verb<'_>, state: &mut State, change: &Change<'_>) -> Result<CopyReport, Failure> {
    let pair = verb.pair;
    let places = Places::named(pair);
    verb.run(state, |state| {
        let removed = u64::from(places.image.symlink_metadata().is_ok());
        for snapshot in [&places.image, &places.new, &places.base, &places.new_base] {
            change.remove(snapshot)?;
        }
        // Only what is empty can be removed so: nobody else's files are in these.
        let _ = fs::remove_dir(&places.beside);
        let _ = places.beside.parent().map(fs::remove_dir);
        let _ = fs::remove_file(pair.secondary.join(NEW));
        fs::File::open(&pair.secondary)
            .and_then(|directory| rustix::fs::syncfs(&directory).map_err(Into::into))
            .map_err(|error| Failure::io("make durable", &pair.secondary, &error))?;
        state.extra = Known::default();
        // It holds no backup: of all pairs of the volume it is the first to be chosen.
        state.backed_up = 0;
        Ok(CopyReport { removed, ..CopyReport::default() })
    })
}
