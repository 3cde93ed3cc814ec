//! The steps of a restore.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    action::{Action, Confirm, Nothing, RestoreStep, StepDeclaration, TapeRestore, Transfer},
    ids::{HostId, LibraryId, StepId, TransportId, VolumeId},
    operation::Waits,
    pace::Pace,
    plan::Plan,
    site::targets::LOCAL,
};

use super::{
    CompileError,
    draft::Draft,
    places,
    setting::{Setting, Target},
};

/// Where a restore restores from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The image on the secondary.
    Disk,
    /// The dataset on tape.
    Tape,
}

/// What is asked of a restore. Which backup is not part of it: that is bound when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// Where from.
    pub from: RestoreFrom,
    /// Only these files and directories, relative to the volume's root; where the operation has several volumes each
    /// begins with the volume's name. All if empty.
    pub paths: Vec<PathBuf>,
    /// An absolute directory to put files in, on the primary's host or, from tape, the library's; no primary is touched
    /// then. Without it whole volumes are restored in place.
    pub to: Option<PathBuf>,
    /// A volume of the backup, where the operation makes a backup of each of several targets: as a record's image names
    /// it. The first target's, if not said.
    pub volume: Option<VolumeId>,
}

/// What a restore needs to know of the operation.
pub(super) struct Source {
    volumes: Vec<VolumeId>,
    primary: HostId,
    tape: Option<(LibraryId, HostId)>,
    waits: Waits,
    pace: Option<Pace>,
    via: Option<TransportId>,
}

impl Source {
    /// Of the declarative form.
    pub(super) fn declared(setting: &Setting<'_>, request: &RestoreRequest) -> Self {
        let targets = setting.targets.iter().map(Target::ids).collect();
        Self {
            volumes: wanted(targets, request),
            primary: setting.primary.clone(),
            tape: setting.tape.map(|(tape, host)| (tape.library.clone(), host.clone())),
            waits: setting.waits,
            pace: setting.pace,
            via: setting.via.cloned(),
        }
    }

    /// Of the plan of an explicit form: the volumes that it records, and the library that it writes to.
    pub(super) fn explicit(plan: &Plan, request: &RestoreRequest) -> Result<Self, CompileError> {
        let mut targets: BTreeMap<&str, Vec<VolumeId>> = BTreeMap::new();
        let (mut tape, mut pace, mut via) = (None, None, None);
        for step in plan.steps() {
            match &step.action {
                Action::Record(record) => {
                    for id in &record.volumes {
                        let target = plan.site.volumes.get(id).map_or(LOCAL, |volume| volume.target(id));
                        targets.entry(target).or_default().push(id.clone());
                    }
                }
                Action::Resync(resync) => pace = pace.or(resync.pace),
                Action::Transfer(transfer) => via = via.or_else(|| transfer.via.clone()),
                Action::TapeBackup(backup) => tape = Some((backup.library.clone(), step.host.clone())),
                _ => {}
            }
        }
        let mut seen = BTreeSet::new();
        let mut volumes = wanted(targets.into_values().collect(), request);
        volumes.retain(|volume| seen.insert(volume.clone()));
        if volumes.is_empty() {
            return Err(CompileError::NoBackup);
        }
        Ok(Self { volumes, primary: plan.coordinator.clone(), tape, waits: Waits::default(), pace, via })
    }
}

/// The volumes of the target that is restored.
fn wanted(mut targets: Vec<Vec<VolumeId>>, request: &RestoreRequest) -> Vec<VolumeId> {
    let named =
        request.volume.as_ref().and_then(|volume| targets.iter().position(|ids| ids.contains(volume)));
    if targets.is_empty() { Vec::new() } else { targets.swap_remove(named.unwrap_or(0)) }
}

/// The steps of a restore.
pub(super) fn steps(
    source: &Source,
    request: &RestoreRequest,
) -> Result<BTreeMap<StepId, StepDeclaration>, CompileError> {
    places::files(&request.paths, request.to.is_some())?;
    let paths: Vec<PathBuf> = request.paths.iter().map(|path| places::without_dots(path)).collect();
    let mut draft = Draft::new(source.waits);
    match (&request.to, request.from) {
        (Some(to), _) if !to.is_absolute() => return Err(CompileError::RelativeTo(to.clone())),
        (Some(to), RestoreFrom::Disk) => files_from_disk(&mut draft, source, &paths, to)?,
        (Some(to), RestoreFrom::Tape) => {
            let (library, host) = source.tape.as_ref().ok_or(CompileError::NoTape)?;
            // Which volume a path is in is checked here, and looked up again by who reads the dataset.
            let _ = by_volume(&source.volumes, &paths)?;
            let to = Some(to.clone());
            let action = Action::TapeRestore(TapeRestore { library: library.clone(), paths, to });
            let _ = draft.add("tape-restore", host, action, &[]);
        }
        (None, RestoreFrom::Disk) => {
            let unused = confirm_unused(&mut draft, source);
            put_back(&mut draft, source, &[unused]);
        }
        (None, RestoreFrom::Tape) => {
            let (library, host) = source.tape.as_ref().ok_or(CompileError::NoTape)?;
            volume_from_tape(&mut draft, source, library, host);
        }
    }
    Ok(draft.done())
}

/// Nobody may be using a primary that is about to be overwritten.
fn confirm_unused(draft: &mut Draft, source: &Source) -> StepId {
    let action = Action::Confirm(Confirm { unused: source.volumes.clone(), tape: false });
    draft.add("confirm", &source.primary, action, &[])
}

/// Copies the images back over the primaries. A restore splits the pair where it must, and leaves it split.
fn put_back(draft: &mut Draft, source: &Source, needs: &[StepId]) {
    let restore = |volume: &VolumeId| {
        Action::Restore(RestoreStep {
            volume: volume.clone(),
            paths: Vec::new(),
            to: None,
            pace: source.pace,
        })
    };
    let _ = draft.add_each("restore", on_primary(source), restore, needs);
}

/// Reads the dataset into the secondaries, enters the record that this makes on the primary's host, and copies back from
/// there. Nothing is mounted: a mount locks a record and hands out its image to be read, whereas here that record is
/// evicted and its image overwritten. tape-restore opens the pair for that itself, under the run's lease, whatever its status:
/// the pair may follow a primary that is lost, or a backup that stopped halfway may have left it so.
fn volume_from_tape(draft: &mut Draft, source: &Source, library: &LibraryId, host: &HostId) {
    let confirmed = confirm_unused(draft, source);
    let action = Action::TapeRestore(TapeRestore { library: library.clone(), paths: Vec::new(), to: None });
    let mut entered = draft.add("tape-restore", host, action, &[confirmed]);
    if *host != source.primary {
        let exported = draft.add("export", host, Action::Export(Nothing {}), &[entered]);
        let action = Action::Transfer(Transfer { to: source.primary.clone(), via: source.via.clone() });
        let transferred = draft.add("transfer", host, action, &[exported]);
        entered = draft.add("import", &source.primary, Action::Import(Nothing {}), &[transferred]);
    }
    put_back(draft, source, &[entered]);
}

/// Copies files out of the images, on the primary's host.
fn files_from_disk(
    draft: &mut Draft,
    source: &Source,
    paths: &[PathBuf],
    to: &Path,
) -> Result<(), CompileError> {
    let wanted = by_volume(&source.volumes, paths)?;
    let confirm = draft.add("confirm", &source.primary, Action::Confirm(Confirm::default()), &[]);
    let volumes: Vec<(&VolumeId, &HostId)> = wanted.keys().map(|volume| (*volume, &source.primary)).collect();
    let several = source.volumes.len() > 1;
    let restore = |volume: &VolumeId| {
        let paths = wanted.get(volume).cloned().unwrap_or_default();
        let to = if several { to.join(volume.as_str()) } else { to.to_owned() };
        Action::Restore(RestoreStep { volume: volume.clone(), paths, to: Some(to), pace: None })
    };
    let _ = draft.add_each("restore", volumes.into_iter(), restore, &[confirm]);
    Ok(())
}

fn on_primary(source: &Source) -> impl ExactSizeIterator<Item = (&VolumeId, &HostId)> {
    source.volumes.iter().map(|volume| (volume, &source.primary))
}

/// Tells the paths of a restore apart by volume: what is wanted of each, relative to its root, everything where the list
/// is empty. Of several volumes a path begins with the name of its own; the name alone is the whole volume. Volumes of
/// which nothing is wanted are left out. Files go to `to` itself if there is one volume, else to `to`/volume.
pub fn by_volume<'v>(
    volumes: &'v [VolumeId],
    paths: &[PathBuf],
) -> Result<BTreeMap<&'v VolumeId, Vec<PathBuf>>, CompileError> {
    if paths.is_empty() {
        return Ok(volumes.iter().map(|volume| (volume, Vec::new())).collect());
    }
    if let [only] = volumes {
        return Ok([(only, paths.to_vec())].into());
    }
    let mut wanted: BTreeMap<&VolumeId, Vec<PathBuf>> = BTreeMap::new();
    let mut whole = BTreeSet::new();
    for path in paths {
        let found =
            volumes.iter().find_map(|volume| Some((volume, path.strip_prefix(volume.as_str()).ok()?)));
        let which = || CompileError::WhichVolume { path: path.clone(), volumes: volumes.to_vec() };
        let (volume, rest) = found.ok_or_else(which)?;
        let list = wanted.entry(volume).or_default();
        if rest.as_os_str().is_empty() {
            let _ = whole.insert(volume);
        } else {
            list.push(rest.to_owned());
        }
    }
    for volume in whole {
        let _ = wanted.insert(volume, Vec::new());
    }
    Ok(wanted)
}
