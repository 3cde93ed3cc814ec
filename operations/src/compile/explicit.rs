//! From steps to a plan: absolute paths, the part of the site that is named, what it is for, and who coordinates.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    action::{Action, StepDeclaration},
    ids::{HostId, OperationId, StepId},
    plan::{self, Plan, PlanData, PlanStep, Purpose},
    site::{Site, absolute},
};

use super::{CompileError, places, setting::one_primary_host};

/// The plan that these steps make, for what they are for by themselves.
pub(super) fn plan(
    site: &Site,
    directory: &Path,
    id: &OperationId,
    steps: BTreeMap<StepId, StepDeclaration>,
) -> Result<Plan, CompileError> {
    let purpose = purpose(steps.values().map(|step| &step.action));
    plan_for(site, directory, id, steps, purpose)
}

/// The plan that these steps make.
pub(super) fn plan_for(
    site: &Site,
    directory: &Path,
    id: &OperationId,
    mut steps: BTreeMap<StepId, StepDeclaration>,
    purpose: Purpose,
) -> Result<Plan, CompileError> {
    if !directory.is_absolute() {
        return Err(CompileError::RelativeDirectory(directory.to_owned()));
    }
    for step in steps.values_mut() {
        let base = site.on(&step.host, directory, Path::new(""));
        resolve(&mut step.action, &base);
    }
    let site = plan::names::part(site, &steps).resolved(directory);
    let coordinator = coordinator(&site, &steps)?;
    let plan = Plan::new(PlanData {
        operation: id.clone(),
        purpose,
        coordinator,
        site,
        steps: steps.into_iter().map(|(id, step)| node(id, step)).collect(),
    })?;
    places::check(&plan)?;
    Ok(plan)
}

fn resolve(action: &mut Action, directory: &Path) {
    let (to, below) = match action {
        Action::Quiesce(quiesce) => (Some(&mut quiesce.filesystem), None),
        Action::Thaw(thaw) => (Some(&mut thaw.filesystem), None),
        Action::Restore(restore) => (restore.to.as_mut(), Some(&mut restore.paths)),
        Action::TapeRestore(restore) => (restore.to.as_mut(), Some(&mut restore.paths)),
        _ => return,
    };
    if let Some(path) = to {
        *path = absolute(directory, path);
    }
    for path in below.into_iter().flatten() {
        *path = places::without_dots(path);
    }
}

fn node(id: StepId, step: StepDeclaration) -> PlanStep {
    let StepDeclaration { action, host, needs, on, retry, timeout, finally } = step;
    PlanStep { id, host, action, needs, on, retry, timeout, finally }
}

/// What steps are for: what reaches a primary is a restore, unless its files go to another place.
fn purpose<'a>(actions: impl Iterator<Item = &'a Action>) -> Purpose {
    let rank = |action: &Action| match action {
        Action::TapeRestore(restore) if restore.to.is_none() => (4, Purpose::RestoreFromTape),
        Action::Restore(restore) if restore.to.is_none() => (3, Purpose::RestoreFromDisk),
        Action::TapeRestore(_) => (2, Purpose::FilesFromTape),
        Action::Restore(_) => (1, Purpose::FilesFromDisk),
        _ => (0, Purpose::Backup),
    };
    actions.map(rank).max_by_key(|(rank, _)| *rank).map_or(Purpose::Backup, |(_, purpose)| purpose)
}

/// The host of the primaries that are named; where none is, that of the first step.
fn coordinator(site: &Site, steps: &BTreeMap<StepId, StepDeclaration>) -> Result<HostId, CompileError> {
    if !site.volumes.is_empty() {
        let volumes: Vec<_> = site.volumes.iter().collect();
        return one_primary_host(&volumes).cloned();
    }
    let undoing: BTreeSet<&StepId> = steps.values().filter_map(|step| step.finally.as_ref()).collect();
    let first = steps.iter().find(|(id, step)| step.needs.is_empty() && !undoing.contains(id));
    // Where no step is first they need each other in a circle, which is reported by who puts them in order.
    let first = first.or_else(|| steps.iter().next());
    first.map(|(_, step)| step.host.clone()).ok_or(CompileError::Nothing)
}
