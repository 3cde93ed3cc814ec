//! The pairs that an operator names for a verb, and the records that their images have.

use std::collections::BTreeSet;

use resplit_operations::{
    bound::{Binding, SourceRecord},
    plan::Purpose,
    record::Record,
};
use resplit_steps::failure::Failure;

use super::{Known, drift, generation};

/// Binds every volume to the pair that was named. One that is kept is kept from every verb.
pub(super) fn named(known: &Known<'_>, binding: &mut Binding) -> Result<(), Failure> {
    for volume in known.plan.site.volumes.keys() {
        let generation = known.options.pairs.get(volume).copied().ok_or_else(|| {
            Failure::permanent(format!("the run does not say which pair of volume '{volume}' is meant"))
        })?;
        let bound = known.bound(volume, generation, "asked for")?;
        if let Some(kept) = known.kept(&bound.pair.copy_group) {
            return Err(kept);
        }
        let _ = binding.pairs.insert(volume.clone(), bound);
    }
    // An image made by an operator is as new as a backup: of several pairs it is not the next one to be overwritten.
    binding.order = generation::next_order(known);
    if known.plan.purpose == Purpose::PairRestore {
        sources(known, binding)?;
    }
    Ok(())
}

/// What is compared before a restore: the records that describe the images, if there are any. Where one record describes
/// all of them it is what is restored.
fn sources(known: &Known<'_>, binding: &mut Binding) -> Result<(), Failure> {
    let mut found: Vec<Option<SourceRecord>> = Vec::new();
    for bound in binding.pairs.values() {
        let epoch = known.state(&bound.pair.copy_group)?.epoch;
        let describes = |record: &Record| {
            let group = &bound.pair.copy_group;
            let image = record.origin.images.iter().find(|image| image.copy_group == *group);
            record.is_current() && record.is_on(group) && image.is_some_and(|image| image.epoch == epoch)
        };
        // As the coordinator knows it, where it does: it is in its catalog that the restore looks.
        let own =
            known.records().find(|(host, record)| **host == known.plan.coordinator && describes(record));
        found.push(own.map(|(host, record)| SourceRecord { host: host.clone(), record: record.clone() }));
    }
    let mut told = BTreeSet::new();
    for source in found.iter().flatten().filter(|source| told.insert(source.record.id)) {
        drift::compare_sources(known, &source.record, binding)?;
    }
    let same = |other: &Option<SourceRecord>| {
        let id = |source: &Option<SourceRecord>| source.as_ref().map(|source| source.record.id);
        id(other) == found.first().and_then(id)
    };
    if found.iter().all(same) {
        binding.source = found.into_iter().next().flatten();
    }
    Ok(())
}
