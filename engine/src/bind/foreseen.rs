//! Whether the pairs admit what a plan asks of them, one step after the other, by the table of verdicts.

use std::collections::BTreeMap;

use resplit_operations::{
    action::Action,
    bound::{Binding, BoundPair},
    ids::VolumeId,
    pair::foresee::{self, Rejected},
    plan::Plan,
};
use resplit_steps::failure::Failure;

/// The pairs whose status a step may change.
fn touched(action: &Action, pairs: &BTreeMap<VolumeId, BoundPair>) -> Vec<VolumeId> {
    match action {
        Action::TapeRestore(_) => pairs.keys().cloned().collect(),
        _ => action.volume().cloned().into_iter().collect(),
    }
}

/// Takes the pairs to the statuses in which a step leaves them; gives those that reject it, which stay as they are.
fn advance(
    plan: &Plan,
    action: &Action,
    pairs: &mut BTreeMap<VolumeId, BoundPair>,
) -> Vec<(VolumeId, Rejected)> {
    let mut rejecting = Vec::new();
    for volume in touched(action, pairs) {
        let Some(declared) = plan.site.volumes.get(&volume) else { continue };
        let Some(bound) = pairs.get_mut(&volume) else { continue };
        match foresee::after_step(plan.purpose, action, declared.driver.copy_type(), bound.status) {
            Ok(status) => bound.status = status,
            Err(rejected) => rejecting.push((volume, rejected)),
        }
    }
    rejecting
}

/// Takes the bound pairs to the statuses in which a step leaves them.
pub(crate) fn after(plan: &Plan, action: &Action, binding: &mut Binding) {
    let _ = advance(plan, action, &mut binding.pairs);
}

/// Why pairs would reject what a plan asks of them: of each, the first step that it rejects.
pub(super) fn rejections(plan: &Plan, pairs: &BTreeMap<VolumeId, BoundPair>) -> Vec<Failure> {
    let mut pairs = pairs.clone();
    let mut failures = Vec::new();
    for step in plan.graph().node_weights() {
        for (volume, rejected) in advance(plan, &step.action, &mut pairs) {
            // What follows from there is not known.
            if let Some(bound) = pairs.remove(&volume) {
                let group = &bound.pair.copy_group;
                let text = format!("{group} is {rejected}");
                failures.push(Failure::refused(text).with_help(rejected.help(group)));
            }
        }
    }
    failures
}
