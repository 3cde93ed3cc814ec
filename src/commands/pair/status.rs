//! `resplit pair status`: what the drivers say of the pairs, and what the engines know of them.

use std::collections::BTreeMap;

use clap::Args;
use resplit_engine::protocol::{Lease, PairView, World, WorldRequest};
use resplit_operations::{
    ids::{CopyGroup, HostId, VolumeId},
    pair::verdict::{ArrayStatus, Side, group_status},
    plan::Resource,
    record::{Lock, Record},
};
use serde::Serialize;

use super::declared::{Declared, declared};
use crate::{
    exit::{Exit, Stop},
    output,
    session::{self, Place, Session},
};

/// Which pairs, and whether they are compared.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    resplit pair status --volume documents\n  \
    resplit pair status --diff")]
pub(crate) struct Arguments {
    /// Only of this volume
    #[arg(long, value_name = "VOLUME")]
    volume: Option<VolumeId>,
    /// Measure how each secondary differs from its primary: reads their directories, or blocks
    #[arg(long)]
    diff: bool,
}

/// A pair that was asked.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) declared: Declared,
    pub(super) view: PairView,
    /// The run that has its volume.
    pub(super) lease: Option<Lease>,
}

/// A lock of a record on a pair.
#[derive(Debug, Serialize)]
pub(super) struct Locked {
    /// The host that has the record.
    pub(super) host: HostId,
    /// The record.
    id: String,
    #[serde(flatten)]
    pub(super) lock: Lock,
}

/// A group of several devices, by the field's rule for members that differ.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) devices: usize,
    /// Seen from the primaries; none if some are SMPL and others are not, or one cannot be told.
    pub(super) status: Option<ArrayStatus>,
    /// Seen from the secondaries.
    pub(super) secondary_status: Option<&'static str>,
}

/// A pair as it is.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) host: HostId,
    #[serde(flatten)]
    pub(super) view: PairView,
    /// Its status, seen from the secondary.
    pub(super) secondary_status: Option<&'static str>,
    /// The backup whose image it holds, by the primary's host's ID; a stale one if there is no other.
    pub(super) record: Option<Record>,
    /// The locks that keep it, on whichever host.
    pub(super) locks: Vec<Locked>,
    /// The run that has it.
    pub(super) lease: Option<Lease>,
    /// The group that it is of, if that has several devices.
    pub(super) group: Option<Group>,
}

/// Asks the drivers, and shows what they say.
pub(super) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let pairs = declared(&place.resolved(), arguments.volume.as_ref())?;
    let (mut found, mut catalogs) = (Vec::new(), Vec::new());
    for (host, client) in session.listed(&place).await? {
        let world = client.world(&request(&host, &pairs, arguments.diff)).await.map_err(session::stop)?;
        catalogs.push((host.clone(), world.catalog.clone()));
        found.extend(join(&host, &pairs, world));
    }
    let mut failures = Vec::new();
    for one in &found {
        failures.extend(one.view.state.as_ref().err().cloned());
        failures.extend(one.view.no_difference.clone());
    }
    let groups = groups(&found);
    let rows: Vec<_> = found.into_iter().map(|one| status(one, &catalogs, &groups)).collect();
    if session.global.json {
        output::print_json(&rows)?;
    } else {
        output::print(&super::shown::listing(&rows, &session.view))?;
    }
    Ok(session.fail_with(failures))
}

/// What pairs are, asked of the engines of their primaries' hosts.
pub(super) async fn asked(place: &Place, pairs: &[Declared], measure: bool) -> Result<Vec<Found>, Stop> {
    let hosts: std::collections::BTreeSet<_> = pairs.iter().map(|one| one.host.clone()).collect();
    let mut found = Vec::new();
    for (host, client) in place.engines(hosts).await? {
        let world = client.world(&request(&host, pairs, measure)).await.map_err(session::stop)?;
        found.extend(join(&host, pairs, world));
    }
    Ok(found)
}

fn request(host: &HostId, pairs: &[Declared], measure: bool) -> WorldRequest {
    let of_host = pairs.iter().filter(|pair| pair.host == *host);
    let pairs = of_host.map(|declared| (declared.driver, declared.pair.clone())).collect();
    WorldRequest { pairs, measure, ..WorldRequest::default() }
}

fn join(host: &HostId, pairs: &[Declared], world: World) -> Vec<Found> {
    let leases: BTreeMap<Resource, Lease> =
        world.leases.into_iter().map(|lease| (lease.resource.clone(), lease)).collect();
    let of_host = pairs.iter().filter(|pair| pair.host == *host).cloned();
    let found = of_host.zip(world.pairs).map(|(declared, mut view)| {
        // A whole driver file is nothing to show.
        view.pair.array = None;
        let lease = leases.get(&Resource::Volume(view.pair.volume.clone())).cloned();
        Found { declared, view, lease }
    });
    found.collect()
}

/// The groups of several devices.
fn groups(found: &[Found]) -> BTreeMap<String, Group> {
    let mut members: BTreeMap<String, Vec<Option<ArrayStatus>>> = BTreeMap::new();
    for one in found {
        let status = one.view.state.as_ref().ok().map(|state| ArrayStatus::from(state.status));
        members.entry(one.declared.group().to_owned()).or_default().push(status);
    }
    members.retain(|_, members| members.len() > 1);
    let group = |(name, members): (String, Vec<Option<ArrayStatus>>)| {
        let all: Option<Vec<ArrayStatus>> = members.iter().copied().collect();
        let of = |side| all.as_ref().and_then(|all| group_status(all, side));
        let seen = |status| resplit_operations::pair::PairStatus::from(status).on_secondary();
        let group = Group {
            name: name.clone(),
            devices: members.len(),
            status: of(Side::Primary),
            secondary_status: of(Side::Secondary).map(seen),
        };
        (name, group)
    };
    members.into_iter().map(group).collect()
}

fn status(found: Found, catalogs: &[(HostId, Vec<Record>)], groups: &BTreeMap<String, Group>) -> Status {
    let group = &found.view.pair.copy_group;
    let on_pair = |record: &&Record| record.is_on(group);
    let own = catalogs.iter().filter(|(host, _)| *host == found.declared.host);
    let own = own.flat_map(|(_, records)| records.iter().filter(on_pair));
    let locks = catalogs.iter().flat_map(|(host, records)| {
        records.iter().filter(on_pair).filter_map(move |record| {
            let (host, id) = (host.clone(), record.id.to_string());
            record.lock.clone().map(|lock| Locked { host, id, lock })
        })
    });
    Status {
        host: found.declared.host.clone(),
        record: own.max_by_key(|record| (record.is_current(), record.id)).cloned(),
        locks: locks.collect(),
        secondary_status: found.view.state.as_ref().ok().map(|state| state.status.on_secondary()),
        lease: found.lease,
        group: groups.get(found.declared.group()).cloned(),
        view: found.view,
    }
}

/// Whether an image on a pair is the one that a record describes.
pub(super) fn describes(record: &Record, group: &CopyGroup, epoch: u64) -> bool {
    let image = record.origin.images.iter().find(|image| image.copy_group == *group);
    record.is_current() && image.is_some_and(|image| image.epoch == epoch)
}
