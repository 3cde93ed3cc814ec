//! What the verbs of every driver of ours refuse, by the status in a pair's book.

use resplit_operations::pair::{PairRef, PairStatus, PairVerb};

use super::{Book, unusable};
use crate::{drivers::pairs::Asked, failure::Failure};

/// That a restore has begun and not ended: the image is the only whole copy.
pub(in crate::drivers) fn restoring(pair: &PairRef) -> Failure {
    unusable(pair, PairStatus::Rcpy, "PSUS, since its image is the only whole copy")
        .with_help("complete the restore, then run again")
}

/// Refuses to overwrite an image while a restore from it has begun and not ended.
pub(in crate::drivers) fn not_restoring<E>(pair: &PairRef, book: &Book<E>) -> Result<(), Failure> {
    if book.status == PairStatus::Rcpy { Err(restoring(pair)) } else { Ok(()) }
}

/// Refuses to split what does not follow; a split of the same tag that was interrupted goes on.
pub(in crate::drivers) fn splittable<E>(
    pair: &PairRef,
    book: &Book<E>,
    asked: &Asked<'_>,
) -> Result<(), Failure> {
    let is_interrupted = book.status == PairStatus::Copy
        && book.last.as_ref().is_some_and(|last| last.verb == PairVerb::Split && last.tag == asked.tag);
    if book.status == PairStatus::Pair || is_interrupted {
        return Ok(());
    }
    Err(unusable(pair, book.status, "PAIR to be split").with_help("resync it first"))
}

/// Only a split pair, or one whose restore was interrupted, has an image to restore.
pub(in crate::drivers) fn has_image<E>(pair: &PairRef, book: &Book<E>) -> Result<(), Failure> {
    match book.status {
        PairStatus::Psus | PairStatus::Rcpy => Ok(()),
        status => Err(unusable(pair, status, "PSUS to be restored from").with_help("split it first")),
    }
}

/// Whether an overwriting of this tag has ended already; refused if it has not even begun.
pub(in crate::drivers) fn is_overwritten<E>(
    pair: &PairRef,
    book: &Book<E>,
    asked: &Asked<'_>,
) -> Result<bool, Failure> {
    let last = book.last.as_ref();
    let last = last.filter(|last| last.verb == PairVerb::Overwrite && last.tag == asked.tag);
    match (book.status, last) {
        (PairStatus::Psus, Some(last)) if last.ended.is_some() => Ok(true),
        (PairStatus::Copy, Some(_)) => Ok(false),
        (status, _) => Err(Failure::refused(format!(
            "pair {} is {status} and is not being overwritten by {}",
            pair.copy_group, asked.tag.0
        ))
        .with_help("begin the overwriting again")),
    }
}
