//! Steps on their way to a plan: named, with the retries and time limits that an operator would give them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    action::{Action, Retry, StepDeclaration},
    ids::{HostId, LONGEST_NAME, StepId, VolumeId},
    operation::{On, Waits},
    units::Period,
};

/// Steps, by their names.
#[derive(Default)]
pub(super) struct Draft {
    waits: Waits,
    steps: BTreeMap<StepId, StepDeclaration>,
}

impl Draft {
    /// No steps yet; those that are added wait for pairs as is said here.
    pub(super) fn new(waits: Waits) -> Self {
        Self { waits, ..Self::default() }
    }

    /// Adds a step that runs after `needs`, under `name` or, if that is too long or taken, one like it.
    pub(super) fn add(&mut self, name: &str, host: &HostId, action: Action, needs: &[StepId]) -> StepId {
        let id = self.free(name);
        let (retry, timeout) = patience(&action, &self.waits);
        let step = StepDeclaration {
            action,
            host: host.clone(),
            needs: needs.to_vec(),
            on: On::Success,
            retry,
            timeout,
            finally: None,
        };
        let _ = self.steps.insert(id.clone(), step);
        id
    }

    /// Adds the same kind of step for each volume: all of them run after `needs`.
    pub(super) fn add_each<'v>(
        &mut self,
        name: &str,
        volumes: impl ExactSizeIterator<Item = (&'v VolumeId, &'v HostId)>,
        action: impl Fn(&VolumeId) -> Action,
        needs: &[StepId],
    ) -> Vec<StepId> {
        let several = volumes.len() > 1;
        volumes
            .map(|(volume, host)| {
                let name = if several { format!("{name}-{volume}") } else { name.to_owned() };
                self.add(&name, host, action(volume), needs)
            })
            .collect()
    }

    /// A step that was added.
    pub(super) fn step(&mut self, id: &StepId) -> Option<&mut StepDeclaration> {
        self.steps.get_mut(id)
    }

    /// The steps that no other needs, in the order of their names.
    pub(super) fn leaves(&self) -> Vec<StepId> {
        let needed: BTreeSet<&StepId> = self.steps.values().flat_map(|step| &step.needs).collect();
        self.steps.keys().filter(|id| !needed.contains(id)).cloned().collect()
    }

    /// Whether a step runs in every run that succeeds.
    pub(super) fn runs_on_success(&self, id: &StepId) -> bool {
        self.steps.get(id).is_some_and(|step| step.on != On::Failure)
    }

    /// The steps that undo others.
    pub(super) fn undoing(&self) -> Vec<StepId> {
        self.steps.values().filter_map(|step| step.finally.clone()).collect()
    }

    /// All steps.
    pub(super) fn done(self) -> BTreeMap<StepId, StepDeclaration> {
        self.steps
    }

    fn free(&self, name: &str) -> StepId {
        let mut number = 1_u64;
        loop {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let room = LONGEST_NAME.saturating_sub(suffix.len());
            let id = StepId(name.chars().take(room).chain(suffix.chars()).collect());
            if !self.steps.contains_key(&id) {
                return id;
            }
            number += 1;
        }
    }
}

/// How often a step is tried, and how long one try may take. What can be repeated without harm, and fails because
/// another host is away for a moment, is tried again, and so is a pair that is busy; what moves data to tape takes the
/// time that the data takes. A quiesce is tried as often as there may be windows: one that was over its budget is opened
/// once more.
fn patience(action: &Action, waits: &Waits) -> (Retry, Option<Period>) {
    let thrice = Retry { attempts: 3, pause: Period::seconds(2) };
    let ten_minutes = Some(Period::seconds(600));
    match action {
        Action::PurgeCache(_) => (waits.busy, ten_minutes),
        Action::Resync(_) => (waits.busy, Some(waits.resync)),
        Action::Split(_) | Action::AbortSplit(_) => (waits.busy, Some(waits.split)),
        Action::Restore(restore) if restore.to.is_none() => (waits.busy, Some(waits.restore)),
        Action::Confirm(confirm) if !confirm.unused.is_empty() => (waits.busy, Some(waits.restore_ready)),
        Action::Quiesce(_) => (Retry { attempts: 2, pause: Period::seconds(1) }, None),
        Action::Export(_) | Action::Transfer(_) | Action::Import(_) => (thrice, ten_minutes),
        // A backup that stays locked keeps its pair from the next run.
        Action::Unmount(_) => (thrice, None),
        // A cartridge or drive that another program has is free again some time; nothing was written meanwhile.
        Action::TapeBackup(_) | Action::TapeRestore(_) => {
            (Retry { attempts: 4, pause: Period::seconds(1) }, None)
        }
        Action::Confirm(_) => (Retry::default(), ten_minutes),
        _ => (Retry::default(), None),
    }
}
