//! Dissolves a pair: what the driver has made of it goes; the book stays, and says so.

use std::fs;

use resplit_operations::pair::CopyReport;

use super::{
    guard,
    overwrite::Written,
    state::{Known, State},
};
use crate::{drivers::book::NEW, failure::Failure};

/// Removes what the driver has made of a pair. Asked again after it was interrupted, it goes on.
pub(super) fn delete(written: &Written<'_>, state: &mut State) -> Result<CopyReport, Failure> {
    let place = match written {
        Written::Snapshot(one) => &one.place,
        Written::Half(one) => &one.place,
    };
    guard::unused(place.image(state)?)?;
    let verb = written.verb();
    verb.run(state, |state| {
        let removed = match written {
            Written::Snapshot(one) => one.dissolve(state)?,
            Written::Half(one) => one.dissolve(state)?,
        };
        let _ = fs::remove_file(verb.pair.secondary.join(NEW));
        state.extra = Known::default();
        // It holds no backup: of all pairs of the volume it is the first to be chosen.
        state.backed_up = 0;
        Ok(CopyReport { removed, ..CopyReport::default() })
    })
}
