//! Drift: what a backup was made from is not what it would be restored over. Refused, unless the operator has accepted it
//! by a flag that is recorded with the run.

use std::collections::BTreeSet;

use resplit_operations::{
    bound::Binding,
    ids::VolumeId,
    record::{FileSystem, Record, VolumeSource},
};
use resplit_steps::failure::Failure;

use super::Known;

/// Compares what a record was made from with what is there; notes in the binding what differs, or refuses it. Pure.
pub(super) fn check(known: &Known<'_>, record: &Record, binding: &mut Binding) -> Result<(), Failure> {
    membership(known, record)?;
    compare_sources(known, record, binding)
}

/// The same, of what the plan restores of it, which may be a part.
pub(super) fn compare_sources(
    known: &Known<'_>,
    record: &Record,
    binding: &mut Binding,
) -> Result<(), Failure> {
    let mut differs = Vec::new();
    for image in &record.origin.images {
        let Some(then) = &image.source else { continue };
        let now = known.worlds.values().find_map(|world| world.sources.get(&image.volume));
        // A primary that is not there is refused, or made, by who restores it.
        if let Some(Ok(now)) = now {
            differs.extend(compare(&image.volume, then, now));
        }
    }
    if differs.is_empty() || known.options.accept_drift {
        binding.drift.extend(differs);
        return Ok(());
    }
    let text = format!("what backup {} was made from has changed since: {}", record.id, differs.join("; "));
    Err(Failure::refused(text).with_help(
        "put it back as it was; or restore over it as it is: --accept-drift; or elsewhere: --to DIR",
    ))
}

/// A volume that was added since is not in the backup. No flag helps: there is nothing to restore it from.
fn membership(known: &Known<'_>, record: &Record) -> Result<(), Failure> {
    let held: BTreeSet<&VolumeId> = record.origin.images.iter().map(|image| &image.volume).collect();
    let Some(added) = known.plan.site.volumes.keys().find(|volume| !held.contains(volume)) else {
        return Ok(());
    };
    let text = format!("volume '{added}' belongs to the operation now, and is not in backup {}", record.id);
    let help = format!("take '{added}' out of the operation for the restore; or restore elsewhere: --to DIR");
    Err(Failure::refused(text).with_help(help))
}

fn compare(volume: &VolumeId, then: &VolumeSource, now: &VolumeSource) -> Vec<String> {
    let mut differs = Vec::new();
    let mut add = |what: &str, then: String, now: String| {
        if then != now {
            differs.push(format!("{what} of volume '{volume}' was {then}, and is {now}"));
        }
    };
    let then_size = then.size;
    let place = |source: &VolumeSource| format!("{}:{}", source.host, source.path.display());
    add("the primary", place(then), place(now));
    if let (Some(then), Some(now)) = (then.size, now.size) {
        add("the size", format!("{then} bytes"), format!("{now} bytes"));
    }
    if let (Some(then), Some(now)) = (&then.filesystem, &now.filesystem) {
        add("the type of the file system", then.kind.clone(), now.kind.clone());
        if then_size.is_none() {
            // A volume has to be unmounted to be restored.
            add("the mount point of the file system", mounted(then), mounted(now));
        }
        // One that cannot be told is not known to be another.
        if let (Some(then), Some(now)) = (&then.uuid, &now.uuid) {
            add("the UUID of the file system", then.clone(), now.clone());
        }
    }
    differs
}

fn mounted(filesystem: &FileSystem) -> String {
    match filesystem.mounted_at.as_os_str() {
        at if at.is_empty() => "none".to_owned(),
        at => at.to_string_lossy().into_owned(),
    }
}
