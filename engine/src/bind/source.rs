//! Which backup a restore restores.

use resplit_operations::{
    bound::{Binding, SourceRecord},
    ids::HostId,
    pair::PairStatus,
    plan::Purpose,
    record::{Medium, Record, newest},
};
use resplit_steps::failure::Failure;

use super::Known;

/// Binds a restore from disk to a record and to the pairs that hold its images.
pub(super) fn disk(known: &Known<'_>, binding: &mut Binding) -> Result<(), Failure> {
    let source = choose(known, false)?;
    for image in &source.record.origin.images {
        let group = &image.copy_group;
        let pairs = known.plan.pairs(&image.volume);
        let gone = || {
            Failure::refused(format!("{group} no longer holds the image of backup {}", source.record.id))
                .with_help("resplit catalog list")
        };
        let pair = pairs.iter().find(|pair| pair.copy_group == *group).ok_or_else(gone)?;
        let state = known.state(group)?;
        if state.epoch != image.epoch {
            return Err(gone());
        }
        if !matches!(state.status, PairStatus::Psus | PairStatus::Rcpy) {
            let text = format!("{group} is {}, not PSUS: it has no image at rest", state.status);
            return Err(Failure::refused(text).with_help("resplit pair status"));
        }
        // Files are only read: a locked image may be read, that is what the lock keeps it for.
        if known.plan.purpose == Purpose::RestoreFromDisk
            && let Some(kept) = known.kept(group)
        {
            return Err(kept);
        }
        let bound = known.bound(&image.volume, pair.generation, "holds the image")?;
        let _ = binding.pairs.insert(image.volume.clone(), bound);
    }
    binding.source = Some(source);
    Ok(())
}

/// Binds a restore from tape to a record on tape.
pub(super) fn tape(known: &Known<'_>, binding: &mut Binding) -> Result<(), Failure> {
    binding.source = Some(choose(known, true)?);
    Ok(())
}

fn is_on(record: &Record, tape: bool) -> bool {
    matches!(record.medium, Medium::Tape(_)) == tape
}

/// The record that was asked for, or the same backup on the medium that is wanted; the newest if none was asked for.
fn choose(known: &Known<'_>, tape: bool) -> Result<SourceRecord, Failure> {
    let operation = &known.plan.operation;
    let medium = if tape { "on tape" } else { "on disk" };
    let right =
        |record: &Record| record.is_current() && is_on(record, tape) && record.origin.operation == *operation;
    let found = |host: &HostId, record: &Record| SourceRecord { host: host.clone(), record: record.clone() };
    let Some(selector) = &known.options.backup else {
        // Of a backup of several targets, the record of those that are restored; files from tape touch no volume.
        let volumes = &known.plan.site.volumes;
        let ours = |record: &Record| {
            let images = &record.origin.images;
            volumes.is_empty() || images.iter().any(|image| volumes.contains_key(&image.volume))
        };
        let mut all: Vec<_> = known.records().filter(|(_, record)| right(record) && ours(record)).collect();
        all.sort_by_key(|(host, record)| (**host == known.plan.coordinator, record.id));
        let newest = newest(all, |(_, record)| &record.origin);
        let none = || {
            Failure::refused(format!("there is no backup of {operation} {medium}"))
                .with_help("resplit catalog list")
        };
        return newest.map(|(host, record)| found(host, record)).ok_or_else(none);
    };
    let named = |host: &HostId| selector.host.as_ref().is_none_or(|wanted| wanted == host);
    let mut asked: Vec<_> =
        known.records().filter(|(host, record)| named(host) && record.id == selector.id).collect();
    // Without a host, the coordinator's own catalog is meant, if it has the ID.
    asked.sort_by_key(|(host, _)| **host != known.plan.coordinator);
    let Some((host, record)) = asked.first() else {
        return Err(Failure::refused(format!("no catalog has a backup {}", selector.id))
            .with_help("resplit catalog list"));
    };
    if record.origin.operation != *operation {
        let text = format!("backup {} of {host} is of operation '{}'", selector.id, record.origin.operation);
        return Err(Failure::refused(text).with_help(format!("resplit restore {}", record.origin.operation)));
    }
    if right(record) {
        return Ok(found(host, record));
    }
    let same = |other: &Record| {
        right(other)
            && other.origin.source_host == record.origin.source_host
            && other.origin.original_id == record.origin.original_id
    };
    let mut others: Vec<_> = known.records().filter(|(_, other)| same(other)).collect();
    others.sort_by_key(|(host, other)| (**host != known.plan.coordinator, other.id));
    let none = || {
        let text = format!("backup {} of {host} is not, or no longer, {medium}", selector.id);
        Failure::refused(text).with_help("resplit catalog list")
    };
    others.first().map(|(host, record)| found(host, record)).ok_or_else(none)
}
