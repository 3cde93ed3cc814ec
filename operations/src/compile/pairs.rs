//! The steps of a verb that an operator asks of pairs: a plan like any other, so that leases, evictions, interlocks and
//! recovery hold for it as for a backup.

use std::{collections::BTreeMap, path::Path};

use crate::{
    action::{Action, Confirm, RestoreStep, ResyncStep, VolumeStep},
    ids::{OperationId, VolumeId},
    pair::verdict::ArrayVerb,
    plan::{Plan, Purpose},
    site::Site,
};

use super::{CompileError, draft::Draft, explicit, setting::one_primary_host};

/// What is asked of pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRequest {
    /// What the plan is for: one of those that have a [`Purpose::pair_verb`].
    pub purpose: Purpose,
    /// One pair a volume, by its generation.
    pub pairs: BTreeMap<VolumeId, u32>,
}

/// The plan of a verb on pairs. Its operation is named after the verb: `pair-split`. Which pair of each volume is meant is
/// bound when it runs, as the run's options say; here it decides where the secondary's cache is purged.
pub fn pair(site: &Site, directory: &Path, request: &PairRequest) -> Result<Plan, CompileError> {
    let verb = request.purpose.pair_verb().ok_or(CompileError::Nothing)?;
    let mut volumes = Vec::with_capacity(request.pairs.len());
    for id in request.pairs.keys() {
        let missing = || CompileError::NotInSite(format!("volume '{id}'"));
        volumes.push((id, site.volumes.get(id).ok_or_else(missing)?));
    }
    let primary = one_primary_host(&volumes)?.clone();
    let mut draft = Draft::default();
    let one = |volume: &VolumeId| VolumeStep { volume: volume.clone() };
    let needs = match verb {
        // What is on the secondary goes: its host forgets what it has cached and what its catalog says.
        ArrayVerb::Create | ArrayVerb::Resync | ArrayVerb::Delete => {
            let mut purged = Vec::with_capacity(volumes.len());
            for (id, volume) in &volumes {
                let index = request.pairs.get(*id).and_then(|generation| usize::try_from(*generation).ok());
                let pair = index.and_then(|index| volume.pairs.get(index));
                let pair = pair.ok_or_else(|| CompileError::NoPair((*id).clone()))?;
                let (name, action) = (format!("purge-cache-{id}"), Action::PurgeCache(one(id)));
                purged.push(draft.add(&name, &pair.secondary.host, action, &[]));
            }
            purged
        }
        ArrayVerb::Restore => {
            let unused = request.pairs.keys().cloned().collect();
            vec![draft.add("confirm", &primary, Action::Confirm(Confirm { unused, tape: false }), &[])]
        }
        _ => Vec::new(),
    };
    let action = |volume: &VolumeId| match verb {
        ArrayVerb::Split => Action::Split(one(volume)),
        ArrayVerb::Restore => {
            Action::Restore(RestoreStep { volume: volume.clone(), paths: Vec::new(), to: None, pace: None })
        }
        ArrayVerb::Delete => Action::Delete(one(volume)),
        _ => Action::Resync(ResyncStep { volume: volume.clone(), pace: None }),
    };
    // Named after its volume, one or several, so that how long it took last time is told of the same volume.
    for volume in request.pairs.keys() {
        let _ = draft.add(&format!("{}-{volume}", verb.word()), &primary, action(volume), &needs);
    }
    let id = OperationId(format!("pair-{}", verb.word()));
    explicit::plan_for(site, directory, &id, draft.done(), request.purpose)
}
