//! `resplit repair`: gives up what a damaged state has lost, once an operator agrees.

use clap::Args;
use resplit_engine::protocol::{Repair, RepairRequest};
use resplit_operations::ids::HostId;
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    output, render,
    session::{self, Place, Session},
};

/// Give up what a damaged state has lost, and go on
///
/// An engine whose state directory is damaged only reads: it shows what can be trusted, and refuses to change anything.
/// This names what would be given up, and asks. Then the damaged files are set aside into a directory `damaged-...` in the
/// state directory, never deleted, what can be trusted takes their place, and the engine starts again: it asks the world
/// about interrupted runs (with --hold: only once they are resumed). No backup ID that may have been given is given again.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  resplit repair\n  resplit repair --yes\n  resplit --hold repair --host fileserver"
)]
pub(crate) struct Arguments {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What was, or would be, given up on a host.
#[derive(Debug, Serialize)]
struct Row {
    host: HostId,
    #[serde(flatten)]
    repair: Repair,
}

/// Repairs every host asked for whose state is damaged.
pub(crate) async fn run(arguments: &Arguments, session: &Session) -> Result<Exit, Stop> {
    let place = session.site()?;
    let mut damaged = Vec::new();
    for (host, client) in session.listed(&place).await? {
        if client.info().await.map_err(session::stop)?.read_only.is_none() {
            continue;
        }
        // Looked at anew: a copy may have been put back, or the disk may be good again.
        let client = place.restarted(&host).await?;
        let Some(damage) = client.info().await.map_err(session::stop)?.read_only else {
            output::note(&format!("host '{host}': what was damaged is whole again"));
            continue;
        };
        if damage.unreadable {
            return Err(Stop::new(Exit::Operator, format!("host '{host}': {damage}; nothing was changed"))
                .help(damage.help()));
        }
        let request = RepairRequest { site: place.resolved(), confirmed: None };
        let repair = client.repair(&request).await.map_err(session::stop)?;
        damaged.push((host, repair));
    }
    if damaged.is_empty() {
        output::note("nothing is damaged");
    }
    let mut rows = Vec::new();
    for (host, repair) in damaged {
        agree(&host, &repair, arguments.yes)?;
        let repair = repaired(&place, &host, repair).await?;
        if !session.global.json {
            output::print(&render::repair::done(&host, &repair))?;
        }
        rows.push(Row { host, repair });
    }
    if session.global.json {
        output::print_json(&rows)?;
    } else if !rows.is_empty() {
        output::note("look next: resplit status, resplit leftovers, resplit catalog list");
    }
    Ok(Exit::Done)
}

/// Names what is given up; goes on if that was said, or is said now.
fn agree(host: &HostId, repair: &Repair, yes: bool) -> Result<(), Stop> {
    output::note(render::repair::given_up(host, repair).trim_end());
    if yes {
        return Ok(());
    }
    if !output::can_ask() {
        return Err(Stop::new(Exit::Operator, "nothing was repaired")
            .help("resplit repair --yes gives up what is named above"));
    }
    if output::ask("Give this up?") { Ok(()) } else { Err(Stop::new(Exit::Operator, "nothing was repaired")) }
}

/// Has it repaired, and starts the engine that works again.
async fn repaired(place: &Place, host: &HostId, shown: Repair) -> Result<Repair, Stop> {
    // Whoever was asked may have taken longer than an idle engine waits.
    let asked = place.engine(host).await?;
    let confirmed = RepairRequest { site: place.resolved(), confirmed: Some(shown.damage) };
    let repair = asked.repair(&confirmed).await.map_err(session::stop)?;
    let _ = place.restarted(host).await?;
    Ok(repair)
}
