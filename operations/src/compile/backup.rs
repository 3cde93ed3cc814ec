//! The steps of a backup: the procedure of the field, in which the resync that precedes a backup and the resync inside
//! it are one step.

use std::collections::BTreeMap;

use crate::{
    action::{
        Action, Confirm, Nothing, Quiesce, RecordStep, ResyncStep, StepDeclaration, TapeBackup, Thaw,
        Transfer, VolumeStep,
    },
    ids::{HostId, StepId, VolumeId},
    operation::{AbortPolicy, Hooks, Tape, UsualState},
};

use super::{
    draft::Draft,
    hooks::{self, HOOK_TIMEOUT, Place},
    setting::{Setting, Target},
};

/// The steps of a backup.
pub(super) fn steps(setting: &Setting<'_>) -> BTreeMap<StepId, StepDeclaration> {
    let none = Hooks::default();
    let hooks = setting.hooks.unwrap_or(&none);
    let mut draft = Draft::new(setting.waits);
    let place =
        |name, after| Place { name, host: setting.primary, timeout: HOOK_TIMEOUT, after, ended: Vec::new() };
    let begun = hooks::add(&mut draft, &hooks.before, place("before", Vec::new()));
    let equal = make_equal(&mut draft, setting, &setting.volumes(), "", &begun.after);
    let ready = hooks::add(&mut draft, &hooks.before_quiesce, place("before-quiesce", equal.clone()));
    let images = window(&mut draft, setting, hooks, &ready.after);
    if setting.on_abort == AbortPolicy::Split {
        split_aborted(&mut draft, setting, &equal, &images);
    }
    let _ = hooks::add(&mut draft, &hooks.after_thaw, place("after-thaw", images.clone()));
    for (number, target) in setting.targets.iter().enumerate() {
        // Only the first is wanted on tape; the others rest split on their own hosts.
        let suffix = if number == 0 { String::new() } else { format!("-{}", target.name) };
        let tape = setting.tape.filter(|_| number == 0);
        let record = record(setting, target, tape.is_some());
        let record = draft.add(&format!("record{suffix}"), setting.primary, record, &images);
        let entered = enter_on_server(&mut draft, setting, target, &suffix, record);
        let confirmed = to_tape(&mut draft, tape, &suffix, &entered);
        if number == 0 && setting.usual_state == UsualState::Paired {
            // This overwrites the only image on disk, so it waits for the confirmation of the one on tape.
            let _ = make_equal(&mut draft, setting, &target.volumes, "-after", &[confirmed]);
        }
    }
    let leaves = draft.leaves();
    let after = leaves.iter().filter(|id| draft.runs_on_success(id)).cloned().collect();
    let ended = leaves.into_iter().chain(draft.undoing()).collect();
    let _ = hooks::add(&mut draft, &hooks.after, Place { ended, ..place("after", after) });
    draft.done()
}

/// Purges what the hosts of the secondaries have cached, and then makes every secondary equal to its primary. No image
/// is overwritten before all caches are purged.
fn make_equal(
    draft: &mut Draft,
    setting: &Setting<'_>,
    volumes: &[(&VolumeId, &HostId)],
    suffix: &str,
    needs: &[StepId],
) -> Vec<StepId> {
    let secondaries = volumes.iter().copied();
    let purge = |volume: &VolumeId| Action::PurgeCache(VolumeStep { volume: volume.clone() });
    let purged = draft.add_each(&format!("purge-cache{suffix}"), secondaries, purge, needs);
    let pace = setting.pace;
    let resync = |volume: &VolumeId| Action::Resync(ResyncStep { volume: volume.clone(), pace });
    draft.add_each(&format!("resync{suffix}"), on(setting.primary, volumes), resync, &purged)
}

/// Holds the application still, splits every pair, and lets it go, whatever happens. What follows needs the splits
/// beside the thaw, since a thaw also follows a split that failed.
fn window(draft: &mut Draft, setting: &Setting<'_>, hooks: &Hooks, needs: &[StepId]) -> Vec<StepId> {
    let filesystem = &setting.protect.filesystem;
    let (mode, window) = (setting.quiesce.mode, setting.quiesce.window);
    let action = Action::Quiesce(Quiesce { filesystem: filesystem.clone(), mode, window });
    let quiesce = draft.add("quiesce", setting.primary, action, needs);
    let place = Place {
        name: "in-window",
        host: setting.primary,
        timeout: HOOK_TIMEOUT.min(window),
        after: vec![quiesce.clone()],
        ended: Vec::new(),
    };
    let held = hooks::add(draft, &hooks.in_window, place);
    let split = |volume: &VolumeId| Action::Split(VolumeStep { volume: volume.clone() });
    let mut done = draft.add_each("split", on(setting.primary, &setting.volumes()), split, &held.after);
    let before_thaw: Vec<StepId> = done.iter().chain(&held.hooks).chain([&quiesce]).cloned().collect();
    let action = Action::Thaw(Thaw { filesystem: filesystem.clone() });
    let thaw = draft.add("thaw", setting.primary, action, &before_thaw);
    if let Some(step) = draft.step(&quiesce) {
        step.finally = Some(thaw.clone());
    }
    done.push(thaw);
    done
}

/// Whatever becomes of the window: a pair that was resynced for it and still follows its primary is split.
fn split_aborted(draft: &mut Draft, setting: &Setting<'_>, resyncs: &[StepId], images: &[StepId]) {
    let split = |volume: &VolumeId| Action::AbortSplit(VolumeStep { volume: volume.clone() });
    let added = draft.add_each("abort-split", on(setting.primary, &setting.volumes()), split, images);
    for (resync, undone) in resyncs.iter().zip(added) {
        if let Some(step) = draft.step(resync) {
            step.finally = Some(undone);
        }
    }
}

fn record(setting: &Setting<'_>, target: &Target<'_>, tape_wanted: bool) -> Action {
    Action::Record(RecordStep { volumes: target.ids(), mode: setting.quiesce.mode, tape_wanted })
}

/// Carries the record to the backup server, unless there is none or it is the primary's host itself. Gives the host
/// that has the record last, and the step that entered it there.
fn enter_on_server<'a>(
    draft: &mut Draft,
    setting: &Setting<'a>,
    target: &Target<'a>,
    suffix: &str,
    record: StepId,
) -> (&'a HostId, StepId) {
    let Some(server) = target.server.filter(|server| *server != setting.primary) else {
        return (setting.primary, record);
    };
    let name = |kind: &str| format!("{kind}{suffix}");
    let export = draft.add(&name("export"), setting.primary, Action::Export(Nothing {}), &[record]);
    let action = Action::Transfer(Transfer { to: server.clone(), via: setting.via.cloned() });
    let transfer = draft.add(&name("transfer"), setting.primary, action, &[export]);
    (server, draft.add(&name("import"), server, Action::Import(Nothing {}), &[transfer]))
}

/// Writes the image to tape, if it is wanted there, and confirms the last record made. Gives that confirmation.
fn to_tape(
    draft: &mut Draft,
    tape: Option<(&Tape, &HostId)>,
    suffix: &str,
    (last, entered): &(&HostId, StepId),
) -> StepId {
    let Some((tape, host)) = tape else {
        let action = Action::Confirm(Confirm::default());
        return draft.add(&format!("confirm{suffix}"), last, action, std::slice::from_ref(entered));
    };
    let mount = draft.add("mount", host, Action::Mount(Nothing {}), std::slice::from_ref(entered));
    let action = Action::TapeBackup(TapeBackup {
        library: tape.library.clone(),
        pool: tape.pool.clone(),
        keep: tape.keep,
    });
    let written = draft.add("tape-backup", host, action, std::slice::from_ref(&mount));
    let unmount = draft.add("unmount", host, Action::Unmount(Nothing {}), &[mount.clone(), written.clone()]);
    if let Some(step) = draft.step(&mount) {
        step.finally = Some(unmount.clone());
    }
    let action = Action::Confirm(Confirm { tape: true, ..Confirm::default() });
    draft.add("confirm", host, action, &[written, unmount])
}

/// These volumes, on this host.
fn on<'a>(
    host: &'a HostId,
    volumes: &[(&'a VolumeId, &'a HostId)],
) -> impl ExactSizeIterator<Item = (&'a VolumeId, &'a HostId)> {
    let volumes: Vec<_> = volumes.iter().map(|(volume, _)| (*volume, host)).collect();
    volumes.into_iter()
}
