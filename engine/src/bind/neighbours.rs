//! What the pairs around those that are acted on admit: in a cascade the pair in front and the pair behind, and beside an
//! array's pair all others of the same primary. (The field: the pair behind one that is resynced or restored must be SMPL
//! or PSUS, and so must the others of a primary that is restored.)

use std::collections::BTreeMap;

use resplit_operations::{
    action::Action,
    bound::BoundPair,
    ids::{CopyGroup, VolumeId},
    pair::{PairRef, PairStatus},
    site::{PairDriverKind, Volume},
};
use resplit_steps::failure::Failure;

use super::Known;

/// What a plan does to a pair, as far as its neighbours are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// The primary is copied to the secondary.
    Resync,
    /// The secondary changes, or goes.
    Overwrite,
    /// The secondary is copied to the primary.
    Restore,
}

/// Why the neighbours of these pairs do not admit what a plan does to them. Pure.
pub(crate) fn refusals(known: &Known<'_>, pairs: &BTreeMap<VolumeId, BoundPair>) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for step in known.plan.graph().node_weights() {
        let (does, volumes) = match &step.action {
            Action::Resync(resync) => (Does::Resync, vec![&resync.volume]),
            Action::Delete(delete) => (Does::Overwrite, vec![&delete.volume]),
            Action::Restore(restore) if restore.to.is_none() => (Does::Restore, vec![&restore.volume]),
            Action::TapeRestore(restore) if restore.to.is_none() => (Does::Overwrite, pairs.keys().collect()),
            _ => continue,
        };
        for bound in volumes.into_iter().filter_map(|volume| pairs.get(volume)) {
            for failure in around(known, bound, does) {
                if !failures.contains(&failure) {
                    failures.push(failure);
                }
            }
        }
    }
    failures
}

fn around(known: &Known<'_>, bound: &BoundPair, does: Does) -> Vec<Failure> {
    let (pair, site) = (&bound.pair, &known.plan.site);
    let mut failures = Vec::new();
    for (id, _) in site.neighbours.iter().filter(|(_, one)| one.behind.as_ref() == Some(&pair.copy_group)) {
        let behind = site.pairs(id);
        failures.extend(behind.iter().filter_map(|one| at_rest(known, pair, "behind", &one.copy_group)));
    }
    let Some(volume) = site.volumes.get(&pair.volume) else { return failures };
    if let Some(front) = &volume.behind {
        match does {
            Does::Restore => failures.extend(overwritten(known, pair, front)),
            Does::Resync => failures.extend(at_rest(known, pair, "in front of", front)),
            Does::Overwrite => {}
        }
    }
    if does == Does::Restore {
        let beside = siblings(known, pair, volume);
        failures.extend(beside.iter().filter_map(|one| at_rest(known, pair, "beside", &one.copy_group)));
    }
    failures
}

/// The other pairs of a primary that an array copies to by itself, as soon as they follow.
fn siblings(known: &Known<'_>, pair: &PairRef, volume: &Volume) -> Vec<PairRef> {
    let site = &known.plan.site;
    let all = site.volumes.iter().chain(&site.neighbours);
    let same = all.filter(|(id, one)| {
        one.driver == PairDriverKind::Declared && one.base(id) == volume.base(&pair.volume)
    });
    let pairs = same.flat_map(|(id, _)| site.pairs(id));
    pairs.filter(|one| one.copy_group != pair.copy_group).collect()
}

/// A neighbour that neither follows nor copies leaves what it shares alone.
fn at_rest(known: &Known<'_>, pair: &PairRef, how: &str, group: &CopyGroup) -> Option<Failure> {
    let status = match known.state(group) {
        Ok(state) if matches!(state.status, PairStatus::Psus | PairStatus::Smpl) => return None,
        Ok(state) => state.status,
        Err(failure) => return Some(failure),
    };
    let text = format!(
        "{} cannot be resynced or restored: {group}, the pair {how} it, is {status}, not PSUS or SMPL",
        pair.copy_group
    );
    let help = match status {
        PairStatus::Pair => format!("split it first: resplit pair split {group}"),
        _ => format!("let it come to rest first: resplit pair status; resplit pair resync {group}"),
    };
    Some(Failure::refused(text).with_help(help))
}

/// What is copied back over a secondary destroys the image of the pair in front, whatever describes it.
fn overwritten(known: &Known<'_>, pair: &PairRef, front: &CopyGroup) -> Option<Failure> {
    let status = match known.state(front) {
        Ok(state) if state.status == PairStatus::Smpl => return None,
        Ok(state) => state.status,
        Err(failure) => return Some(failure),
    };
    let text = format!(
        "{} cannot be restored: its primary is the secondary of {front}, which is {status}, not SMPL",
        pair.copy_group
    );
    Some(
        Failure::refused(text)
            .with_help("restore into another directory: resplit restore OPERATION --to DIR"),
    )
}
