//! `resplit pair`: the pairs that are declared, and what their drivers say of them.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use resplit_engine::protocol::{Lease, PairView, World, WorldRequest};
use resplit_operations::{
    ids::{CopyGroup, HostId, VolumeId},
    pair::{PairRef, PairVerb},
    plan::Resource,
    record::Record,
    site::{PairDriverKind, Site},
};
use resplit_steps::failure::Failure;
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    output,
    render::table::Table,
    session::{self, Session},
};

/// What is asked of the pairs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the pairs that the site declares
    List(Which),
    /// Ask the drivers for the status of the pairs
    ///
    /// Shows the pair status, the backup whose image the pair holds, its lock, and the run that has it.
    Status(Which),
}

/// Which pairs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  resplit pair list\n  resplit pair status --volume documents")]
pub(crate) struct Which {
    /// Only of this volume
    #[arg(long, value_name = "VOLUME")]
    volume: Option<VolumeId>,
}

/// A pair that is declared.
#[derive(Debug, Serialize)]
struct Declared {
    host: HostId,
    secondary_host: HostId,
    #[serde(skip)]
    driver: PairDriverKind,
    #[serde(flatten)]
    pair: PairRef,
}

/// A pair as it is.
#[derive(Debug, Serialize)]
struct Status {
    host: HostId,
    #[serde(flatten)]
    view: PairView,
    /// The backup whose image it holds, by the primary's host's ID.
    record: Option<Record>,
    /// The run that has it.
    lease: Option<Lease>,
}

/// Does what is asked.
pub(crate) async fn run(verb: &Verb, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let (Verb::List(which) | Verb::Status(which)) = verb;
    let site = place.resolved();
    if let Some(volume) = which.volume.as_ref().filter(|volume| !site.volumes.contains_key(*volume)) {
        return Err(Stop::usage(format!("the site has no volume '{volume}'")));
    }
    let pairs = declared(&site, which.volume.as_ref());
    if matches!(verb, Verb::List(_)) {
        let mut pairs = pairs;
        pairs.iter_mut().for_each(|declared| declared.pair.array = None);
        return list(&pairs, session);
    }
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (host, client) in session.listed(&place).await? {
        let of_host = pairs.iter().filter(|pair| pair.host == host);
        let request = WorldRequest {
            pairs: of_host.map(|declared| (declared.driver, declared.pair.clone())).collect(),
            ..WorldRequest::default()
        };
        if request.pairs.is_empty() {
            continue;
        }
        let world = client.world(&request).await.map_err(session::stop)?;
        failures.extend(world.pairs.iter().filter_map(|pair| pair.state.as_ref().err().cloned()));
        rows.extend(statuses(&host, world));
    }
    if session.global.json {
        output::print_json(&rows)?;
    } else {
        output::print(&status_listing(&rows))?;
    }
    Ok(session.fail_with(failures))
}

fn declared(site: &Site, volume: Option<&VolumeId>) -> Vec<Declared> {
    let volumes = site.volumes.iter().filter(|(id, _)| volume.is_none_or(|wanted| wanted == *id));
    let pairs = volumes.flat_map(|(id, volume)| {
        site.pairs(id).into_iter().zip(&volume.pairs).map(move |(pair, declared)| Declared {
            host: volume.primary.host.clone(),
            secondary_host: declared.secondary.host.clone(),
            driver: volume.driver,
            pair,
        })
    });
    pairs.collect()
}

fn list(pairs: &[Declared], session: &Session) -> Result<Exit, Stop> {
    if session.global.json {
        output::print_json(pairs)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["VOLUME", ">GENERATION", "COPY-GROUP", "PRIMARY", "SECONDARY"]);
    for Declared { host, secondary_host, pair, .. } in pairs {
        table.row([
            pair.volume.to_string(),
            pair.generation.to_string(),
            pair.copy_group.to_string(),
            format!("{host}:{}", pair.primary.display()),
            format!("{secondary_host}:{}", pair.secondary.display()),
        ]);
    }
    output::print(&table.text())?;
    Ok(Exit::Done)
}

fn statuses(host: &HostId, world: World) -> Vec<Status> {
    let leases: BTreeMap<Resource, Lease> =
        world.leases.into_iter().map(|lease| (lease.resource.clone(), lease)).collect();
    let rows = world.pairs.into_iter().map(|mut view| {
        // A whole driver file is nothing to list.
        view.pair.array = None;
        Status {
            host: host.clone(),
            record: image_of(&world.catalog, &view.pair.copy_group).cloned(),
            lease: leases.get(&Resource::Volume(view.pair.volume.clone())).cloned(),
            view,
        }
    });
    rows.collect()
}

/// The record whose image is on a pair.
fn image_of<'r>(catalog: &'r [Record], copy_group: &CopyGroup) -> Option<&'r Record> {
    catalog
        .iter()
        .filter(|record| record.is_current() && record.is_on(copy_group))
        .max_by_key(|record| record.id)
}

fn status_listing(rows: &[Status]) -> String {
    let mut table = Table::new(&[
        "VOLUME",
        ">GENERATION",
        "COPY-GROUP",
        "STATUS",
        "BACKUP-ID",
        "LOCK",
        "HELD BY",
        "NOTE",
    ]);
    for Status { view, record, lease, .. } in rows {
        let (status, note) = match &view.state {
            Ok(state) => (state.status.to_string(), unfinished(state.last.as_ref()).unwrap_or_default()),
            Err(Failure { message, .. }) => ("unknown".to_owned(), message.clone()),
        };
        let locked = record.as_ref().is_some_and(|record| record.lock.is_some());
        table.row([
            view.pair.volume.to_string(),
            view.pair.generation.to_string(),
            view.pair.copy_group.to_string(),
            status,
            record.as_ref().map(|record| record.id.to_string()).unwrap_or_default(),
            if locked { "locked".to_owned() } else { String::new() },
            lease.as_ref().map(|lease| lease.run.to_string()).unwrap_or_default(),
            note,
        ]);
    }
    table.text()
}

/// What was begun on a pair and has not ended.
fn unfinished(last: Option<&resplit_operations::pair::LastVerb>) -> Option<String> {
    let last = last.filter(|last| last.ended.is_none())?;
    let verb = match last.verb {
        PairVerb::Resync => "resync",
        PairVerb::Split => "split",
        PairVerb::Restore => "restore",
        PairVerb::Overwrite => "overwrite from tape",
    };
    Some(format!("{verb} by {} has not ended", last.tag.0))
}
