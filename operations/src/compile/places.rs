//! What the explicit form could say, and must not: a step on a host that keeps no account of what it does, or something
//! held still with nothing to let it go.

use std::path::{Component, Path, PathBuf};

use crate::{
    action::Action,
    ids::HostId,
    operation::QuiesceMode,
    plan::{Plan, PlanStep},
    site::Volume,
};

use super::CompileError;

/// Checks every step of a plan.
pub(super) fn check(plan: &Plan) -> Result<(), CompileError> {
    for (behind, front) in plan.site.volumes.iter().filter_map(|(id, v)| Some((id, v.behind.as_ref()?))) {
        let has = |volume: &Volume| volume.pairs.iter().any(|pair| pair.copy_group == *front);
        if let Some((volume, _)) = plan.site.volumes.iter().find(|(_, volume)| has(volume)) {
            let (volume, front, behind) = (volume.clone(), front.clone(), behind.clone());
            return Err(CompileError::Cascade { volume, front, behind });
        }
    }
    for step in plan.graph().node_weights() {
        if let Some((wanted, why)) = place(plan, step).filter(|(wanted, _)| **wanted != step.host) {
            let (step, host, wanted) = (step.id.clone(), step.host.clone(), wanted.clone());
            return Err(CompileError::WrongHost { step, host, wanted, why });
        }
        match &step.action {
            Action::Quiesce(quiesce) if quiesce.mode == QuiesceMode::Cold => return Err(CompileError::Cold),
            Action::Quiesce(quiesce) => {
                let undone = step.finally.as_ref().and_then(|id| plan.step(id)).map(|step| &step.action);
                let thawed = matches!(undone, Some(Action::Thaw(t)) if t.filesystem == quiesce.filesystem);
                if !thawed {
                    return Err(CompileError::NoThaw(step.id.clone()));
                }
            }
            Action::Record(record) if record.volumes.is_empty() => return Err(CompileError::NoVolume),
            Action::Restore(restore) => files(&restore.paths, restore.to.is_some())?,
            Action::TapeRestore(restore) => files(&restore.paths, restore.to.is_some())?,
            _ => {}
        }
    }
    Ok(())
}

/// Where a step must run, and why, if there is one such place.
fn place<'p>(plan: &'p Plan, step: &PlanStep) -> Option<(&'p HostId, &'static str)> {
    let library = |id| plan.site.libraries.get(id).map(|library| &library.host);
    match &step.action {
        Action::Resync(_)
        | Action::Split(_)
        | Action::AbortSplit(_)
        | Action::Restore(_)
        | Action::Delete(_) => {
            Some((&plan.coordinator, "account of the pairs is kept on the primary's host"))
        }
        Action::Quiesce(_) | Action::Thaw(_) => {
            Some((&plan.coordinator, "what is held still is on the primary's host"))
        }
        Action::Record(_) => Some((&plan.coordinator, "a backup gets its original ID on the primary's host")),
        Action::Confirm(confirm) if !confirm.unused.is_empty() => {
            Some((&plan.coordinator, "only the primary's host sees who uses a primary"))
        }
        Action::PurgeCache(purge) => {
            let mut pairs = plan.site.volumes.get(&purge.volume)?.pairs.iter();
            let known = pairs.clone().any(|pair| pair.secondary.host == step.host);
            let first = pairs.next().filter(|_| !known)?;
            Some((&first.secondary.host, "the cache to be purged is that of the secondary's host"))
        }
        Action::TapeBackup(tape) => Some((library(&tape.library)?, "the library is not attached to it")),
        Action::TapeRestore(tape) => Some((library(&tape.library)?, "the library is not attached to it")),
        _ => None,
    }
}

/// What may be asked of single files: paths below the root, and another place to put them.
pub(super) fn files(paths: &[PathBuf], elsewhere: bool) -> Result<(), CompileError> {
    if let Some(path) = paths.iter().find(|path| !is_below_root(path)) {
        return Err(CompileError::NotBelowRoot(path.clone()));
    }
    if !paths.is_empty() && !elsewhere {
        return Err(CompileError::PathsWithoutTo);
    }
    Ok(())
}

/// A path without its `.`s.
pub(super) fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

/// Relative, without `..`, and not the root itself.
fn is_below_root(path: &Path) -> bool {
    let inner = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    path.components().all(inner) && path.components().any(|c| matches!(c, Component::Normal(_)))
}
