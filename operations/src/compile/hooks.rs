//! The operator's own commands, between the steps that they were declared for.

use crate::{
    action::{Action, Command},
    ids::{HostId, StepId},
    operation::{Hook, On},
    units::Period,
};

use super::draft::Draft;

/// How long a command may take if its declaration does not say.
pub(super) const HOOK_TIMEOUT: Period = Period::seconds(600);

/// Where a list of hooks is put.
pub(super) struct Place<'a> {
    /// What its steps are named after: `before` gives `before-1`, `before-2`.
    pub(super) name: &'a str,
    /// Where they run unless they say otherwise.
    pub(super) host: &'a HostId,
    /// The longest that they may take unless they say otherwise.
    pub(super) timeout: Period,
    /// What must have succeeded before a hook that runs after success.
    pub(super) after: Vec<StepId>,
    /// What must have ended as well, however, before a hook that runs after failure, or always.
    pub(super) ended: Vec<StepId>,
}

/// What follows a list of hooks.
pub(super) struct Hooked {
    /// What must have succeeded before what follows.
    pub(super) after: Vec<StepId>,
    /// The hooks.
    pub(super) hooks: Vec<StepId>,
}

/// Adds a list of hooks, one after another. A hook `on: failure` is not run when all goes well, so that nothing which
/// runs after success may need it; the later ones of its list that run after failure, or always, come after it.
pub(super) fn add(draft: &mut Draft, list: &[Hook], place: Place<'_>) -> Hooked {
    let Place { name, host, timeout, mut after, mut ended } = place;
    let mut hooks = Vec::with_capacity(list.len());
    for (number, hook) in (1..).zip(list) {
        let mut needs = after.clone();
        if hook.on != On::Success {
            needs.extend(ended.iter().cloned());
        }
        let id = draft.add(
            &format!("{name}-{number}"),
            hook.host.as_ref().unwrap_or(host),
            Action::Command(Command {
                argv: hook.argv.clone(),
                environment: hook.environment.clone(),
                accept: hook.accept.clone(),
            }),
            &needs,
        );
        if let Some(step) = draft.step(&id) {
            step.on = hook.on;
            step.timeout = Some(hook.timeout.unwrap_or(timeout));
        }
        match hook.on {
            On::Success => after = vec![id.clone()],
            // It says nothing of what came before it, which must have succeeded all the same.
            On::Always => after.push(id.clone()),
            On::Failure => ended.push(id.clone()),
        }
        hooks.push(id);
    }
    Hooked { after, hooks }
}
