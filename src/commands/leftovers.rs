//! `resplit leftovers`: what resplit made in the world and has not undone; and undoing it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use resplit_engine::protocol::{Leftover, LeftoversRequest, ReleaseRequest, Released, RunStanding};
use resplit_operations::{
    action::Action,
    ids::HostId,
    operation::{Operation, QuiesceMode},
    site::Site,
};
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    output, render,
    session::{self, Engines, Place, Session},
};

/// List what was left behind, with the command that undoes it
///
/// Mounts, locks, leases, split pairs, freezes, staging files, processes and whatever else resplit made and has not undone:
/// as its engines know it, and as they find it by looking. What belongs to a run at work is not left behind.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  resplit leftovers\n  resplit leftovers release\n  resplit --hold leftovers"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// What belongs to runs at work, too
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Undo what runs that are over have left behind
    ///
    /// What belongs to a run that is not over is left alone, and so is what an operator has to decide about.
    #[command(after_help = "Example:\n  resplit leftovers release --yes")]
    Release {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Something left behind, and the host that it is on.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The host.
    pub(crate) host: HostId,
    /// It.
    #[serde(flatten)]
    pub(crate) leftover: Leftover,
}

/// Something that was to be undone, and what became of it.
#[derive(Debug, Serialize)]
struct Undone {
    host: HostId,
    #[serde(flatten)]
    released: Released,
}

/// Lists, or undoes.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.place()?;
    let engines = session.listed(&place).await?;
    session::tell_read_only(&engines, session).await?;
    let mut rows = Vec::new();
    for (host, client) in &engines {
        let left = client.leftovers(&request(&place, host)).await.map_err(session::stop)?;
        rows.extend(left.into_iter().map(|leftover| Row { host: host.clone(), leftover }));
    }
    match &arguments.verb {
        Some(Verb::Release { yes }) => release(rows, *yes, (&place, &engines), session).await,
        None => list(rows, arguments.all, session),
    }
}

fn list(mut rows: Vec<Row>, all: bool, session: &Session) -> Result<Exit, Stop> {
    let before = rows.len();
    if !all {
        rows.retain(|row| row.leftover.standing != RunStanding::AtWork);
    }
    let at_work = before - rows.len();
    if session.global.json {
        output::print_json(&rows)?;
        return Ok(Exit::Done);
    }
    output::print(&render::leftovers::listing(&rows, &session.view))?;
    if rows.is_empty() {
        output::note("nothing is left behind");
    }
    if at_work > 0 {
        output::note(&format!(
            "{} more belong to runs at work; `resplit leftovers --all` lists that, too",
            render::units::count(at_work, "thing")
        ));
    }
    Ok(Exit::Done)
}

/// Names what would be undone, asks, and has each host undo its own.
async fn release(
    mut rows: Vec<Row>,
    yes: bool,
    (place, engines): (&Place, &Engines),
    session: &Session,
) -> Result<Exit, Stop> {
    rows.retain(|row| row.leftover.standing != RunStanding::AtWork);
    let before = rows.len();
    rows.retain(|row| row.leftover.releasable);
    if before > rows.len() {
        let rest = render::units::count(before - rows.len(), "thing");
        output::note(&format!("{rest} cannot be released: `resplit leftovers` says what to do about each"));
    }
    if rows.is_empty() {
        output::note("nothing is left behind that could be released");
        if session.global.json {
            output::print_json(&rows)?;
        }
        return Ok(Exit::Done);
    }
    if !yes {
        let named = render::leftovers::listing(&rows, &session.error_view());
        output::note(named.trim_end());
        if !output::can_ask() {
            return Err(Stop::new(Exit::Operator, "nothing was released")
                .help("resplit leftovers release --yes releases what is named above"));
        }
        if !output::ask("Release all of it?") {
            return Err(Stop::new(Exit::Operator, "nothing was released"));
        }
    }
    let (mut undone, mut failures) = (Vec::new(), Vec::new());
    for (host, client) in engines {
        let of_host = rows.iter().filter(|row| row.host == *host);
        let ids: BTreeSet<String> = of_host.map(|row| row.leftover.id.clone()).collect();
        if ids.is_empty() {
            continue;
        }
        let asked = ReleaseRequest { of: request(place, host), ids };
        for released in client.release_leftovers(&asked).await.map_err(session::stop)? {
            if let Some(failure) = &released.failure {
                failures.push(failure.clone());
            } else if !session.global.json {
                let what = render::text::plain(&released.leftover.what).into_owned();
                output::print(&format!("{host}: released: {what}\n"))?;
            }
            undone.push(Undone { host: host.clone(), released });
        }
    }
    if session.global.json {
        output::print_json(&undone)?;
    }
    Ok(session.fail_with(failures))
}

/// What a host is asked: with the site, and what the operations say of volumes and file systems.
fn request(place: &Place, host: &HostId) -> LeftoversRequest {
    let site = place.resolved();
    let mut request = LeftoversRequest { site, resting: [].into(), filesystems: BTreeSet::new() };
    for (id, operation) in &place.definitions.operations {
        let Some(protect) = &operation.protect else { continue };
        for volume in &protect.volumes {
            let usual = operation.usual_state.unwrap_or_default();
            let _ = request.resting.entry(volume.clone()).or_insert_with(|| (id.clone(), usual));
        }
    }
    request.filesystems = frozen_on(place, host);
    request
}

/// The file systems that operations freeze on a host, absolute.
pub(super) fn frozen_on(place: &Place, host: &HostId) -> BTreeSet<PathBuf> {
    let operations = place.definitions.operations.values();
    let frozen = operations.flat_map(|operation| freezes(&place.site, operation));
    let here = frozen.filter(|(of, _)| *of == host);
    here.map(|(_, path)| place.site.on(host, &place.directory, path)).collect()
}

/// The file systems that an operation freezes, and the host of each.
fn freezes<'a>(site: &'a Site, operation: &'a Operation) -> Vec<(&'a HostId, &'a Path)> {
    let mode = operation.quiesce.as_ref().map(|quiesce| quiesce.mode);
    let protect = operation.protect.as_ref().filter(|_| mode == Some(QuiesceMode::Freeze));
    let declared = protect.into_iter().flat_map(|protect| {
        let primaries = protect.volumes.iter().filter_map(|volume| site.volumes.get(volume));
        primaries.map(|volume| (&volume.primary.host, protect.filesystem.as_path()))
    });
    let steps = operation.steps.iter().flat_map(|steps| steps.values());
    let explicit = steps.filter_map(|step| match &step.action {
        Action::Quiesce(quiesce) if quiesce.mode == QuiesceMode::Freeze => {
            Some((&step.host, quiesce.filesystem.as_path()))
        }
        _ => None,
    });
    declared.chain(explicit).collect()
}
