//! Which pair a backup goes to: the least recently backed up that is not kept, of the same generation for every volume
//! of the backup. Restores do not count.

use std::collections::BTreeMap;

use resplit_operations::bound::Binding;
use resplit_steps::failure::Failure;

use super::{Known, foreseen};

/// Binds every volume of a backup to the pair of one generation.
pub(super) fn choose(known: &Known<'_>, binding: &mut Binding) -> Result<(), Failure> {
    let volumes: Vec<_> = known.plan.site.volumes.keys().cloned().collect();
    if volumes.is_empty() {
        return Ok(());
    }
    let count = volumes.iter().map(|volume| known.plan.pairs(volume).len()).min().unwrap_or(0);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    binding.order = next_order(known);
    if let Some(wanted) = known.options.generation {
        if wanted >= count {
            let text = format!(
                "there is no generation {wanted}: the pairs are numbered 0 to {}",
                count.saturating_sub(1)
            );
            return Err(Failure::refused(text).with_help("resplit pair list"));
        }
        let _ = usable(known, wanted)?;
        return take(known, binding, wanted, "asked for");
    }
    let mut best: Option<(u64, u32)> = None;
    let mut refusals = Vec::new();
    for generation in 0..count {
        match usable(known, generation) {
            Ok(backed_up) => {
                best = Some(best.map_or((backed_up, generation), |best| best.min((backed_up, generation))));
            }
            Err(failure) => refusals.push(failure),
        }
    }
    match best {
        Some((_, generation)) => take(known, binding, generation, "least recently backed up, not locked"),
        None => {
            let reasons: Vec<_> = refusals.iter().map(|failure| failure.message.as_str()).collect();
            let helps: Vec<_> = refusals.iter().filter_map(|failure| failure.help.as_deref()).collect();
            let text = format!("no pair can be chosen: {}", reasons.join("; "));
            Err(Failure::refused(text).with_help(helps.join(" | ")))
        }
    }
}

/// What orders a backup made now after all that the pairs of its volumes remember.
pub(super) fn next_order(known: &Known<'_>) -> u64 {
    let volumes = known.plan.site.volumes.keys();
    let pairs = volumes.flat_map(|volume| known.plan.pairs(volume));
    let newest = pairs.filter_map(|pair| Some(known.state(&pair.copy_group).ok()?.backed_up)).max();
    // Read from the pairs: whatever is in them, it does not overflow.
    newest.unwrap_or(0).saturating_add(1)
}

/// Binds every volume of a restore from tape: to the pair that it was on, if that may be overwritten, else as a backup
/// would choose.
pub(super) fn choose_for_tape(known: &Known<'_>, binding: &mut Binding) -> Result<(), Failure> {
    let source = binding.source.as_ref().map(|source| &source.record.origin.images);
    let first = source.and_then(|images| images.first()).map(|image| image.generation);
    if let Some(generation) =
        first.filter(|generation| known.options.generation.is_none() && usable(known, *generation).is_ok())
    {
        return take(known, binding, generation, "the pair that it was backed up to");
    }
    let order = binding.order;
    choose(known, binding)?;
    // Restores do not change the order.
    binding.order = order;
    Ok(())
}

fn take(known: &Known<'_>, binding: &mut Binding, generation: u32, reason: &str) -> Result<(), Failure> {
    for volume in known.plan.site.volumes.keys() {
        let _ = binding.pairs.insert(volume.clone(), known.bound(volume, generation, reason)?);
    }
    Ok(())
}

/// When a generation was last backed up, of whichever volume that is latest; or why it cannot be chosen.
fn usable(known: &Known<'_>, generation: u32) -> Result<u64, Failure> {
    let mut latest = 0;
    let mut pairs = BTreeMap::new();
    for volume in known.plan.site.volumes.keys() {
        let bound = known.bound(volume, generation, "")?;
        let group = &bound.pair.copy_group;
        if let Some(kept) = known.kept(group) {
            return Err(kept);
        }
        latest = latest.max(known.state(group)?.backed_up);
        let _ = pairs.insert(volume.clone(), bound);
    }
    let rejected = foreseen::rejections(known.plan, &pairs).into_iter().next();
    rejected.map_or(Ok(latest), Err)
}
