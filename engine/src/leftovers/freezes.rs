//! File systems that are held still, found by looking.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use resplit_steps::{contract::Obligation, drivers::quiesce::LeftFrozen};

use super::{Found, Undo};
use crate::{
    engine::Engine,
    protocol::{LeftoverKind, LeftoversRequest},
};

/// File systems that are frozen although no duty says so, and watchdogs that hold one for nobody.
pub(super) fn freezes(engine: &Engine, request: &LeftoversRequest, known: &[Found]) -> Vec<Found> {
    let owed: BTreeSet<PathBuf> = known.iter().filter_map(|found| frozen_path(&found.undo)).collect();
    let all: BTreeSet<&PathBuf> = request.filesystems.union(&owed).collect();
    let mut found = Vec::new();
    let watchdogs = if all.is_empty() { Ok(Vec::new()) } else { engine.windows.watchdogs() };
    let watchdogs = watchdogs.unwrap_or_else(|failure| {
        found.push(Found::untold(LeftoverKind::Process, "watchdogs", failure));
        Vec::new()
    });
    for watchdog in watchdogs.iter().filter(|watchdog| all.contains(&watchdog.filesystem)) {
        let path = watchdog.filesystem.display();
        if watchdog.is_orphan {
            found.push(Found {
                kind: LeftoverKind::Process,
                key: format!("watchdog {path}"),
                what: format!(
                    "a watchdog of {path} that no engine holds runs as process {}",
                    watchdog.process.pid
                ),
                since: None,
                run: None,
                undo: Undo::EndWatchdog(watchdog.clone()),
            });
        }
    }
    // What a watchdog holds is in a window: it is thawed when that ends, and to try it would only wait.
    let held = |path: &PathBuf| watchdogs.iter().any(|watchdog| watchdog.filesystem == *path);
    let left = engine.windows.left_frozen().unwrap_or_else(|failure| {
        found.push(Found::untold(LeftoverKind::Freeze, "watchdogs", failure));
        Vec::new()
    });
    for path in request.filesystems.iter().filter(|path| !owed.contains(*path) && !held(path)) {
        match engine.windows.is_frozen(path) {
            Ok(false) => {}
            Ok(true) => found.push(frozen(path, left.iter().find(|left| left.filesystem == *path))),
            Err(failure) => {
                found.push(Found::untold(LeftoverKind::Freeze, &path.display().to_string(), failure));
            }
        }
    }
    found
}

/// A file system that is frozen without a duty: ours, if a watchdog that is gone has noted so.
fn frozen(path: &Path, left: Option<&LeftFrozen>) -> Found {
    let shown = path.display();
    let (what, undo) = match left {
        Some(left) => (
            format!("{shown} is frozen: by a watchdog, process {}, which is gone", left.watchdog.pid),
            Undo::Thaw(path.to_owned()),
        ),
        None => (
            format!("{shown} is frozen, and no run of this host has frozen it"),
            Undo::by(format!("if nobody holds it, as root: fsfreeze --unfreeze {shown}")),
        ),
    };
    let since = left.map(|left| left.since);
    Found { kind: LeftoverKind::Freeze, key: shown.to_string(), what, since, run: None, undo }
}

fn frozen_path(undo: &Undo) -> Option<PathBuf> {
    match undo {
        Undo::Duty(duty) => match &duty.obligation {
            Obligation::Thaw { filesystem } => Some(filesystem.clone()),
            _ => None,
        },
        _ => None,
    }
}
