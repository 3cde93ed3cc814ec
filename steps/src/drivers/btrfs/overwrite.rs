//! Hands a fresh subvolume to something else that writes it, and makes that the image.

use std::path::PathBuf;

use resplit_operations::pair::CopyReport;

use super::{change::Change, places::Places, program::sync, state::State, subvolume::Subvolume};
use crate::{
    drivers::book::{Verb, is_overwritten},
    failure::Failure,
};

/// Readies the image: it is empty and writable.
pub(super) fn begin(verb: &Verb<'_>, state: &mut State, change: &Change<'_>) -> Result<PathBuf, Failure> {
    let places = Places::named(verb.pair);
    state.extra.image = None;
    verb.begin(state);
    state.write(&verb.pair.secondary)?;
    change
        .remove(&places.new)
        .and_then(|()| change.create(&places.image))
        .map_err(|failure| verb.broken(state, failure))?;
    Ok(places.image)
}

/// Makes what was written the image. Asked again after it was done, it is done.
pub(super) fn end(
    verb: &Verb<'_>,
    state: &mut State,
    report: &CopyReport,
    change: &Change<'_>,
) -> Result<(), Failure> {
    let (pair, asked) = (verb.pair, verb.asked);
    if is_overwritten(pair, state, asked)? {
        return Ok(());
    }
    let image = Places::named(pair).image;
    change.set_read_only(&image)?;
    sync(&image)?;
    state.extra.image = Subvolume::at(&image)?.map(|image| image.uuid);
    state.extra.entries = report.entries;
    state.extra.bytes = report.bytes;
    verb.end(state, report);
    state.write(&pair.secondary)
}
