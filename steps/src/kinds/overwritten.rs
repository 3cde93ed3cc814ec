//! What overwriting an image costs in a catalog. Whole records go: a record describes images of one moment, and is
//! nothing once one of them is gone (domain rule: overwriting one copy group deletes the whole record that contains it).

use resplit_operations::{
    ids::CopyGroup,
    record::{CatalogChange, Record, TapeState},
};

use crate::{context::Context, failure::Failure};

/// The records of this host whose image is on this pair.
pub(super) fn records_on<'a>(
    context: &'a Context<'_>,
    group: &'a CopyGroup,
) -> impl Iterator<Item = &'a Record> {
    context.catalog.iter().filter(move |record| record.is_on(group))
}

/// Evictions of every record that overwriting a pair costs; refused while one is locked, mounted or wanted on tape.
pub(super) fn evict(
    context: &Context<'_>,
    group: &CopyGroup,
    by: &str,
) -> Result<Vec<CatalogChange>, Failure> {
    records_on(context, group)
        .map(|record| {
            refuse_if_kept(context, record, group)?;
            Ok(CatalogChange::Evict { id: record.id, reason: by.to_owned() })
        })
        .collect()
}

/// Stale marks for every record of this host that is about to be overwritten from another.
pub(super) fn mark_stale(
    context: &Context<'_>,
    group: &CopyGroup,
    by: &str,
) -> Result<Vec<CatalogChange>, Failure> {
    records_on(context, group)
        .filter(|record| record.is_current())
        .map(|record| {
            refuse_if_kept(context, record, group)?;
            Ok(CatalogChange::MarkStale { id: record.id, reason: by.to_owned() })
        })
        .collect()
}

/// Whether it was decided, under the lease and with every catalog in view, that this backup goes: an operator may have
/// waived the tape on another host.
fn is_given_up(context: &Context<'_>, record: &Record) -> bool {
    let (original_id, started) = (record.origin.original_id, record.origin.started);
    context.binding.evictions.iter().any(|going| (going.original_id, going.started) == (original_id, started))
}

fn refuse_if_kept(context: &Context<'_>, record: &Record, group: &CopyGroup) -> Result<(), Failure> {
    let (id, host) = (record.id, context.host);
    if let Some(lock) = &record.lock {
        let holder = lock.run.as_ref().map_or_else(|| "an operator".to_owned(), |run| format!("run {run}"));
        return Err(Failure::refused(format!("backup {id} on {group} is locked by {holder}"))
            .with_help(format!("resplit catalog unlock {host}:{id}")));
    }
    if record.is_current() && record.tape == TapeState::Wanted && !is_given_up(context, record) {
        return Err(Failure::refused(format!(
            "backup {id} on {group} is wanted on tape and is not there yet"
        ))
        .with_help(format!(
            "resplit resume {}, or give it up: resplit catalog waive {host}:{id}",
            record.origin.run
        )));
    }
    Ok(())
}
