//! Pairs that do not rest, cartridges with a dataset that was never closed, and temporary files of both.

use resplit_operations::{
    ids::RunId,
    operation::UsualState,
    pair::{LastVerb, PairRef, PairState, PairStatus},
    plan::Resource,
};
use resplit_steps::{
    drivers::{media::LibraryRef, pairs::PairDriver},
    failure::Failure,
};

use super::{Found, Undo};
use crate::{
    engine::Engine,
    protocol::{LeftoverKind, LeftoversRequest},
};

/// What is found on the pairs and libraries of this host.
pub(super) fn pairs(engine: &Engine, request: &LeftoversRequest) -> Vec<Found> {
    let mut found = Vec::new();
    for (id, volume) in &request.site.volumes {
        if volume.primary.host != engine.host {
            continue;
        }
        let resting = request.resting.get(id);
        let again = resting.map_or_else(
            || "declare an operation that protects its volume, and run it".to_owned(),
            |(operation, _)| format!("resplit run {operation}"),
        );
        let driver = match engine.drivers.pairs(volume.driver) {
            Ok(driver) => driver,
            Err(failure) => {
                found.push(Found::untold(LeftoverKind::Pair, id.as_str(), failure));
                continue;
            }
        };
        for pair in request.site.pairs(id) {
            match driver.status(&pair) {
                Ok(state) => {
                    let usual = resting.map(|(_, state)| *state).unwrap_or_default();
                    found.extend(unrested(&pair, &state, usual, &again));
                    found.extend(remnants(driver, &pair, &state, &again));
                }
                Err(failure) => {
                    found.push(Found::untold(LeftoverKind::Pair, pair.copy_group.as_str(), failure));
                }
            }
        }
    }
    found.extend(unclosed(engine, request));
    found
}

/// The run that has last touched a pair: its tag begins with it.
fn last_run(state: &PairState) -> Option<RunId> {
    let tag = &state.last.as_ref()?.tag.0;
    tag.split_once('/').map(|(run, _)| RunId(run.to_owned()))
}

fn unrested(pair: &PairRef, state: &PairState, usual: UsualState, again: &str) -> Option<Found> {
    let why = match (state.status, usual) {
        (PairStatus::Copy | PairStatus::Psue | PairStatus::Rcpy, _) => {
            interrupted(state.status, state.last.as_ref())
        }
        (PairStatus::Pair, UsualState::Split) => "it usually rests split".to_owned(),
        (PairStatus::Psus, UsualState::Paired) => "it usually rests paired".to_owned(),
        (PairStatus::Smpl | PairStatus::Pair | PairStatus::Psus, _) => return None,
    };
    let next = match state.status {
        // Only the restore itself ends that: what it has half overwritten is the primary.
        PairStatus::Rcpy => "resplit restore OPERATION, of the same backup".to_owned(),
        _ => again.to_owned(),
    };
    Some(Found {
        kind: LeftoverKind::Pair,
        key: pair.copy_group.to_string(),
        what: format!("{} is {}: {why}", pair.copy_group, state.status),
        since: state.last.as_ref().and_then(|last| last.ended),
        run: last_run(state),
        undo: Undo::By { resume: true, next },
    })
}

fn interrupted(status: PairStatus, last: Option<&LastVerb>) -> String {
    let Some(last) = last else { return "nobody knows what it was touched by".to_owned() };
    let how = if status == PairStatus::Psue || last.ended.is_some() { "failed" } else { "has not ended" };
    format!("{} by {} {how}", last.verb, last.tag.0)
}

fn remnants(driver: &dyn PairDriver, pair: &PairRef, state: &PairState, again: &str) -> Vec<Found> {
    let found = match driver.remnants(pair) {
        Ok(found) => found,
        Err(failure) => {
            return vec![Found::untold(LeftoverKind::TemporaryFile, pair.copy_group.as_str(), failure)];
        }
    };
    let file = |path: std::path::PathBuf| Found {
        kind: LeftoverKind::TemporaryFile,
        key: path.display().to_string(),
        what: format!("a temporary file of {}: {}", pair.copy_group, path.display()),
        since: super::seen::changed(&path),
        run: last_run(state),
        undo: Undo::By { resume: true, next: format!("{again}, which removes it") },
    };
    found.into_iter().map(file).collect()
}

/// Beginnings of datasets that were never closed.
fn unclosed(engine: &Engine, request: &LeftoversRequest) -> Vec<Found> {
    let mut found = Vec::new();
    let here = request.site.libraries.iter().filter(|(_, library)| library.host == engine.host);
    // A library that was never used has nothing; asking for its cartridges would make them.
    for (id, library) in here.filter(|(_, library)| library.path.exists()) {
        let cartridges = match engine.drivers.media(library).inventory(&LibraryRef { id, library }) {
            Ok(cartridges) => cartridges,
            Err(failure) => {
                found.push(Found::untold(LeftoverKind::UnclosedDataset, id.as_str(), untold(failure)));
                continue;
            }
        };
        let drive = Resource::Drive(id.clone());
        let leases = engine.leases.all();
        let run = leases.iter().find(|lease| lease.resource == drive).map(|lease| lease.run.clone());
        found.extend(cartridges.into_iter().filter(|cartridge| cartridge.unclosed > 0).map(|cartridge| {
            Found {
                kind: LeftoverKind::UnclosedDataset,
                key: cartridge.barcode.to_string(),
                what: format!(
                    "{} bytes on cartridge {} after its last dataset, of one that was never closed",
                    cartridge.unclosed, cartridge.barcode
                ),
                since: None,
                run: run.clone(),
                undo: Undo::by("nothing has to be done: the next backup to this cartridge takes their place"),
            }
        }));
    }
    found
}

fn untold(failure: Failure) -> Failure {
    if failure.help.is_some() { failure } else { failure.with_help("resplit tape list") }
}
