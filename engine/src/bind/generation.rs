//! Which pair a backup goes to: the least recently backed up that is not kept, of the same generation for every volume
//! of the backup. Restores do not count.

use std::collections::BTreeMap;

use resplit_operations::{bound::Binding, ids::VolumeId, site::targets::LOCAL};
use resplit_steps::failure::Failure;

use super::{Known, foreseen, neighbours};

/// Binds every volume of a backup to the pair of one generation; where there are several targets, each for itself. A
/// generation that is asked for is that of the volumes' own pairs, if they are among them.
pub(super) fn choose(known: &Known<'_>, binding: &mut Binding) -> Result<(), Failure> {
    let mut targets: BTreeMap<&str, Vec<&VolumeId>> = BTreeMap::new();
    for (id, volume) in &known.plan.site.volumes {
        targets.entry(volume.target(id)).or_default().push(id);
    }
    binding.order = next_order(known);
    let has_local = targets.contains_key(LOCAL);
    for (target, volumes) in targets {
        let asked = known.options.generation.filter(|_| target == LOCAL || !has_local);
        choose_of(known, &volumes, asked, binding)?;
    }
    Ok(())
}

fn choose_of(
    known: &Known<'_>,
    volumes: &[&VolumeId],
    asked: Option<u32>,
    binding: &mut Binding,
) -> Result<(), Failure> {
    let count = volumes.iter().map(|volume| known.plan.pairs(volume).len()).min().unwrap_or(0);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if let Some(wanted) = asked {
        if wanted >= count {
            let text = format!(
                "there is no generation {wanted}: the pairs are numbered 0 to {}",
                count.saturating_sub(1)
            );
            return Err(Failure::refused(text).with_help("resplit pair list"));
        }
        let _ = usable(known, volumes, wanted)?;
        return take(known, volumes, binding, wanted, "asked for");
    }
    let mut best: Option<(u64, u32)> = None;
    let mut refusals = Vec::new();
    for generation in 0..count {
        match usable(known, volumes, generation) {
            Ok(backed_up) => {
                best = Some(best.map_or((backed_up, generation), |best| best.min((backed_up, generation))));
            }
            Err(failure) => refusals.push(failure),
        }
    }
    match best {
        Some((_, generation)) => {
            take(known, volumes, binding, generation, "least recently backed up, not locked")
        }
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
    let volumes: Vec<_> = known.plan.site.volumes.keys().collect();
    let free =
        |generation: &u32| known.options.generation.is_none() && usable(known, &volumes, *generation).is_ok();
    if let Some(generation) = first.filter(free) {
        return take(known, &volumes, binding, generation, "the pair that it was backed up to");
    }
    let order = binding.order;
    choose(known, binding)?;
    // Restores do not change the order.
    binding.order = order;
    Ok(())
}

fn take(
    known: &Known<'_>,
    volumes: &[&VolumeId],
    binding: &mut Binding,
    generation: u32,
    reason: &str,
) -> Result<(), Failure> {
    for volume in volumes {
        let _ = binding.pairs.insert((*volume).clone(), known.bound(volume, generation, reason)?);
    }
    Ok(())
}

/// When a generation was last backed up, of whichever volume that is latest; or why it cannot be chosen.
fn usable(known: &Known<'_>, volumes: &[&VolumeId], generation: u32) -> Result<u64, Failure> {
    let mut latest = 0;
    let mut pairs = BTreeMap::new();
    for volume in volumes {
        let bound = known.bound(volume, generation, "")?;
        let group = &bound.pair.copy_group;
        if let Some(kept) = known.kept(group) {
            return Err(kept);
        }
        latest = latest.max(known.state(group)?.backed_up);
        let _ = pairs.insert((*volume).clone(), bound);
    }
    let rejected = foreseen::rejections(known.plan, &pairs).into_iter();
    let rejected = rejected.chain(neighbours::refusals(known, &pairs)).next();
    rejected.map_or(Ok(latest), Err)
}
