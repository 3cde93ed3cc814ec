//! What steps name of a site: whether it is there, and the part of the site that a plan carries.

use std::collections::{BTreeMap, BTreeSet};

use super::{PlanError, PlanStep};
use crate::{
    action::{Action, StepDeclaration},
    ids::{CopyGroup, HostId, LibraryId, StepId, TransportId, VolumeId},
    site::{Site, Volume},
};

/// What one action names, apart from the host that it runs on.
#[derive(Default)]
pub(crate) struct Named<'a> {
    /// Volumes.
    pub(crate) volumes: Vec<&'a VolumeId>,
    /// A library.
    pub(crate) library: Option<&'a LibraryId>,
    /// Another host.
    pub(crate) host: Option<&'a HostId>,
    /// A transport.
    pub(crate) transport: Option<&'a TransportId>,
}

/// What an action names.
pub(crate) fn named(action: &Action) -> Named<'_> {
    let mut named = Named { volumes: action.volume().into_iter().collect(), ..Named::default() };
    match action {
        Action::Record(record) => named.volumes.extend(&record.volumes),
        Action::Confirm(confirm) => named.volumes.extend(&confirm.unused),
        Action::TapeBackup(tape) => named.library = Some(&tape.library),
        Action::TapeRestore(tape) => named.library = Some(&tape.library),
        Action::Transfer(transfer) => {
            (named.host, named.transport) = (Some(&transfer.to), transfer.via.as_ref());
        }
        _ => {}
    }
    named
}

/// Whether the site has all that the steps name, and all that it names itself there.
pub(super) fn check<'a>(site: &Site, steps: impl Iterator<Item = &'a PlanStep>) -> Result<(), PlanError> {
    for step in steps {
        let missing = |what: String| PlanError::NotInSite { step: step.id.clone(), what };
        let named = named(&step.action);
        let mut hosts: Vec<&HostId> = named.host.into_iter().chain([&step.host]).collect();
        for id in named.volumes {
            let volume = site.volumes.get(id).ok_or_else(|| missing(format!("volume '{id}'")))?;
            hosts.push(&volume.primary.host);
            hosts.extend(volume.pairs.iter().map(|pair| &pair.secondary.host));
        }
        if let Some(id) = named.library {
            let library = site.libraries.get(id).ok_or_else(|| missing(format!("library '{id}'")))?;
            hosts.push(&library.host);
        }
        if let Some(id) = named.transport.filter(|id| !site.transports.contains_key(*id)) {
            return Err(missing(format!("transport '{id}'")));
        }
        if let Some(host) = hosts.into_iter().find(|host| !site.hosts.contains_key(*host)) {
            return Err(missing(format!("host '{host}'")));
        }
    }
    Ok(())
}

/// The hosts, volumes and libraries of a site that the steps name, directly or through a volume or library. What the
/// site does not have is left to [`check`].
pub(crate) fn part(site: &Site, steps: &BTreeMap<StepId, StepDeclaration>) -> Site {
    let all = || steps.values().map(|step| named(&step.action));
    let volumes: BTreeSet<&VolumeId> = all().flat_map(|named| named.volumes).collect();
    let libraries: BTreeSet<&LibraryId> = all().filter_map(|named| named.library).collect();
    let mut part = site.clone();
    part.volumes.retain(|id, _| volumes.contains(id));
    part.libraries.retain(|id, _| libraries.contains(id));
    let transports: BTreeSet<&TransportId> = all().filter_map(|named| named.transport).collect();
    part.transports.retain(|id, _| transports.contains(id));
    part.neighbours = neighbours(site, &part);
    let mut hosts: BTreeSet<&HostId> = steps.values().map(|step| &step.host).collect();
    hosts.extend(all().filter_map(|named| named.host));
    for volume in part.volumes.values().chain(part.neighbours.values()) {
        let _ = hosts.insert(&volume.primary.host);
        hosts.extend(volume.pairs.iter().map(|pair| &pair.secondary.host));
    }
    hosts.extend(part.libraries.values().map(|library| &library.host));
    part.hosts.retain(|id, _| hosts.contains(id));
    part
}

/// The volumes whose pairs lie directly in front of or behind those of a part of the site, or share their primaries.
fn neighbours(site: &Site, part: &Site) -> BTreeMap<VolumeId, Volume> {
    let groups =
        |volume: &Volume| volume.pairs.iter().map(|pair| pair.copy_group.clone()).collect::<Vec<_>>();
    let own: BTreeSet<CopyGroup> = part.volumes.values().flat_map(groups).collect();
    let in_front: BTreeSet<&CopyGroup> = part.volumes.values().filter_map(|v| v.behind.as_ref()).collect();
    let bases: BTreeSet<&VolumeId> = part.volumes.iter().map(|(id, volume)| volume.base(id)).collect();
    let is_near = |id: &VolumeId, volume: &Volume| {
        volume.behind.as_ref().is_some_and(|group| own.contains(group))
            || volume.pairs.iter().any(|pair| in_front.contains(&pair.copy_group))
            || bases.contains(volume.base(id))
    };
    let all =
        site.volumes.iter().filter(|(id, volume)| !part.volumes.contains_key(*id) && is_near(id, volume));
    all.map(|(id, volume)| (id.clone(), volume.clone())).collect()
}
