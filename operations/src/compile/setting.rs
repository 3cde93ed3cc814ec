//! What an operation declares, looked up in the site and found to go together.

use std::collections::BTreeSet;

use crate::{
    ids::{HostId, TargetId, TransportId, VolumeId},
    operation::{
        AbortPolicy, Hooks, Operation, Protect, QuiesceDeclaration, QuiesceMode, Tape, UsualState, Waits,
    },
    pace::Pace,
    site::{Site, Volume, targets},
};

use super::CompileError;

/// An operation in the declarative form, with what it names.
pub(super) struct Setting<'a> {
    /// What is protected.
    pub(super) protect: &'a Protect,
    /// The targets, the first of which is the one that the backup server and the tape are about.
    pub(super) targets: Vec<Target<'a>>,
    /// The host of the primaries.
    pub(super) primary: &'a HostId,
    /// How pairs rest.
    pub(super) usual_state: UsualState,
    /// How the application is held still.
    pub(super) quiesce: QuiesceDeclaration,
    /// How long steps wait for pairs.
    pub(super) waits: Waits,
    /// How fast is copied.
    pub(super) pace: Option<Pace>,
    /// What becomes of pairs when a backup is aborted.
    pub(super) on_abort: AbortPolicy,
    /// The tape, and the host that drives it.
    pub(super) tape: Option<(&'a Tape, &'a HostId)>,
    /// The transport of records.
    pub(super) via: Option<&'a TransportId>,
    /// The operator's commands.
    pub(super) hooks: Option<&'a Hooks>,
}

/// The pairs of every volume that are split for one backup.
pub(super) struct Target<'a> {
    /// Its name.
    pub(super) name: &'a TargetId,
    /// The volumes, each with the host of its secondaries.
    pub(super) volumes: Vec<(&'a VolumeId, &'a HostId)>,
    /// The host beside the primary's in whose catalog the backup is entered.
    pub(super) server: Option<&'a HostId>,
}

impl Target<'_> {
    /// Its volumes, by the names that they have in the site.
    pub(super) fn ids(&self) -> Vec<VolumeId> {
        self.volumes.iter().map(|(id, _)| (*id).clone()).collect()
    }
}

impl<'a> Setting<'a> {
    /// The volumes of every target, each with the host of its secondaries.
    pub(super) fn volumes(&self) -> Vec<(&'a VolumeId, &'a HostId)> {
        self.targets.iter().flat_map(|target| target.volumes.iter().copied()).collect()
    }

    /// Looks up what the operation names.
    pub(super) fn of(
        site: &'a Site,
        operation: &'a Operation,
        protect: &'a Protect,
    ) -> Result<Self, CompileError> {
        let named = volumes(site, protect)?;
        let primary = one_primary_host(&named)?;
        let targets = targets(site, protect, operation.backup_server.as_ref())?;
        let usual_state = operation.usual_state.unwrap_or_default();
        let tape = tape(site, operation)?;
        if usual_state == UsualState::Paired && tape.is_none() {
            return Err(CompileError::PairedWithoutTape);
        }
        let quiesce = operation.quiesce.unwrap_or_default();
        if quiesce.mode == QuiesceMode::Cold {
            return Err(CompileError::Cold);
        }
        let waits = operation.waits.unwrap_or_default();
        let hooks = operation.hooks.as_ref();
        let via = operation.transfer.as_ref().map(|transfer| &transfer.via);
        let (pace, on_abort) = (operation.pace, operation.on_abort.unwrap_or_default());
        Ok(Self { protect, targets, primary, usual_state, quiesce, waits, pace, on_abort, tape, via, hooks })
    }
}

/// The volumes, each once.
fn volumes<'a>(
    site: &'a Site,
    protect: &'a Protect,
) -> Result<Vec<(&'a VolumeId, &'a Volume)>, CompileError> {
    let mut seen = BTreeSet::new();
    let mut volumes = Vec::with_capacity(protect.volumes.len());
    for id in &protect.volumes {
        if !seen.insert(id) {
            return Err(CompileError::VolumeTwice(id.clone()));
        }
        let missing = || CompileError::NotInSite(format!("volume '{id}'"));
        volumes.push((id, site.volumes.get(id).ok_or_else(missing)?));
    }
    Ok(volumes)
}

/// The targets that are named, each with every volume.
fn targets<'a>(
    site: &'a Site,
    protect: &'a Protect,
    backup_server: Option<&'a HostId>,
) -> Result<Vec<Target<'a>>, CompileError> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    for name in &protect.targets {
        if targets.iter().any(|target| target.name == name) {
            return Err(CompileError::TargetTwice(name.clone()));
        }
        let is_first = targets.is_empty();
        let backup_server = backup_server.filter(|_| is_first);
        let mut volumes: Vec<(&'a VolumeId, &'a HostId)> = Vec::with_capacity(protect.volumes.len());
        for base in &protect.volumes {
            let missing = || CompileError::NoTarget { volume: base.clone(), target: name.clone() };
            let found = site.volumes.get_key_value(&targets::name(base, name)).ok_or_else(missing)?;
            let host = secondary_host(found.0, found.1, backup_server)?;
            if let Some((first, other)) = volumes.first().filter(|(_, other)| !is_first && *other != host) {
                let (volume, first_host, second) = ((*first).clone(), (*other).clone(), host.clone());
                return Err(CompileError::SecondariesApart { volume, first: first_host, second });
            }
            volumes.push((found.0, host));
        }
        // What is made elsewhere is known there, too.
        let elsewhere = volumes.first().map(|(_, host)| *host).filter(|_| name.as_str() != targets::LOCAL);
        let server = backup_server.or(elsewhere);
        targets.push(Target { name, volumes, server });
    }
    Ok(targets)
}

/// The host of all primaries.
pub(super) fn one_primary_host<'a>(
    volumes: &[(&'a VolumeId, &'a Volume)],
) -> Result<&'a HostId, CompileError> {
    let (first, volume) = *volumes.first().ok_or(CompileError::NoVolume)?;
    let host = &volume.primary.host;
    match volumes.iter().find(|(_, other)| other.primary.host != *host) {
        None => Ok(host),
        Some((second, other)) => Err(CompileError::PrimariesApart {
            first: first.clone(),
            first_host: host.clone(),
            second: (*second).clone(),
            second_host: other.primary.host.clone(),
        }),
    }
}

/// The host of a volume's secondaries. Where there is a backup server it is that: only there can they be mounted, and
/// only there do its records become stale when they are overwritten.
fn secondary_host<'a>(
    id: &VolumeId,
    volume: &'a Volume,
    backup_server: Option<&HostId>,
) -> Result<&'a HostId, CompileError> {
    let mut hosts = volume.pairs.iter().map(|pair| &pair.secondary.host);
    let host = hosts.next().ok_or_else(|| CompileError::NoPair(id.clone()))?;
    if let Some(other) = hosts.find(|other| *other != host) {
        let (volume, first, second) = (id.clone(), host.clone(), other.clone());
        return Err(CompileError::SecondariesApart { volume, first, second });
    }
    match backup_server {
        Some(server) if server != host => Err(CompileError::SecondaryElsewhere {
            volume: id.clone(),
            host: host.clone(),
            backup_server: server.clone(),
        }),
        _ => Ok(host),
    }
}

/// The tape, and the host that drives it: the backup server.
fn tape<'a>(
    site: &'a Site,
    operation: &'a Operation,
) -> Result<Option<(&'a Tape, &'a HostId)>, CompileError> {
    let Some(tape) = &operation.tape else { return Ok(None) };
    let missing = || CompileError::NotInSite(format!("library '{}'", tape.library));
    let host = &site.libraries.get(&tape.library).ok_or_else(missing)?.host;
    let library = tape.library.clone();
    match &operation.backup_server {
        None => Err(CompileError::TapeWithoutServer { library, host: host.clone() }),
        Some(server) if server != host => {
            let (host, backup_server) = (host.clone(), server.clone());
            Err(CompileError::LibraryElsewhere { library, host, backup_server })
        }
        Some(_) => Ok(Some((tape, host))),
    }
}
