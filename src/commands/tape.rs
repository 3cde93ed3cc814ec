//! `resplit tape`: the cartridges of the libraries.

use clap::{Args, Subcommand};
use resplit_engine::protocol::WorldRequest;
use resplit_operations::ids::LibraryId;
use resplit_steps::drivers::media::Cartridge;
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    output,
    render::{table::Table, units::size},
    session::{self, Session},
};

/// What is asked of the libraries.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the cartridges of the libraries
    List(List),
}

/// List the cartridges of the libraries
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  resplit tape list")]
pub(crate) struct List {
    /// Only of this library
    #[arg(long, value_name = "LIBRARY")]
    library: Option<LibraryId>,
}

/// A cartridge, and its library.
#[derive(Debug, Serialize)]
struct Row {
    library: LibraryId,
    #[serde(flatten)]
    cartridge: Cartridge,
}

/// Asks the host of each library.
pub(crate) async fn run(verb: &Verb, session: &Session) -> Result<Exit, Stop> {
    let Verb::List(list) = verb;
    let place = session.site()?;
    let site = place.resolved();
    if let Some(library) = list.library.as_ref().filter(|library| !site.libraries.contains_key(*library)) {
        return Err(Stop::usage(format!("the site has no library '{library}'")));
    }
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (host, client) in session.listed(&place).await? {
        let wanted = |id: &LibraryId| list.library.as_ref().is_none_or(|only| only == id);
        let libraries = site.libraries.iter().filter(|(id, library)| library.host == host && wanted(id));
        let libraries = libraries.map(|(id, library)| (id.clone(), library.clone())).collect();
        let request = WorldRequest { libraries, ..WorldRequest::default() };
        for (library, cartridges) in client.world(&request).await.map_err(session::stop)?.cartridges {
            match cartridges {
                Ok(all) => {
                    rows.extend(all.into_iter().map(|cartridge| Row { library: library.clone(), cartridge }));
                }
                Err(failure) => failures.push(failure),
            }
        }
    }
    if session.global.json {
        output::print_json(&rows)?;
    } else {
        output::print(&listing(&rows))?;
    }
    Ok(session.fail_with(failures))
}

fn listing(rows: &[Row]) -> String {
    let mut table =
        Table::new(&["LIBRARY", ">SLOT", "BARCODE", "POOL", ">USED", ">CAPACITY", ">DATASETS", "NOTE"]);
    for Row { library, cartridge } in rows {
        table.row([
            library.to_string(),
            cartridge.slot.to_string(),
            cartridge.barcode.to_string(),
            cartridge.pool.as_ref().map_or("blank".to_owned(), ToString::to_string),
            size(cartridge.used),
            size(cartridge.capacity),
            cartridge.datasets.to_string(),
            cartridge.unusable.clone().unwrap_or_default(),
        ]);
    }
    table.text()
}
