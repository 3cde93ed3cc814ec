//! What an operation declares, looked up in the site and found to go together.

use std::collections::BTreeSet;

use crate::{
    ids::{HostId, VolumeId},
    operation::{
        AbortPolicy, Hooks, Operation, Protect, QuiesceDeclaration, QuiesceMode, Tape, UsualState, Waits,
    },
    pace::Pace,
    site::{Site, Volume},
};

use super::CompileError;

/// An operation in the declarative form, with what it names.
pub(super) struct Setting<'a> {
    /// What is protected.
    pub(super) protect: &'a Protect,
    /// The volumes, each with the host of its secondaries.
    pub(super) volumes: Vec<(&'a VolumeId, &'a HostId)>,
    /// The host of the primaries.
    pub(super) primary: &'a HostId,
    /// The backup server.
    pub(super) backup_server: Option<&'a HostId>,
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
    /// The operator's commands.
    pub(super) hooks: Option<&'a Hooks>,
}

impl<'a> Setting<'a> {
    /// Looks up what the operation names.
    pub(super) fn of(
        site: &'a Site,
        operation: &'a Operation,
        protect: &'a Protect,
    ) -> Result<Self, CompileError> {
        let named = volumes(site, protect)?;
        let primary = one_primary_host(&named)?;
        let backup_server = operation.backup_server.as_ref();
        let volumes = named
            .iter()
            .map(|(id, volume)| Ok((*id, secondary_host(id, volume, backup_server)?)))
            .collect::<Result<_, CompileError>>()?;
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
        let (pace, on_abort) = (operation.pace, operation.on_abort.unwrap_or_default());
        Ok(Self {
            protect,
            volumes,
            primary,
            backup_server,
            usual_state,
            quiesce,
            waits,
            pace,
            on_abort,
            tape,
            hooks,
        })
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
