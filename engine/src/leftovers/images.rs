//! Images that runs have mounted, found by looking: each run has a directory of its own for them.

use std::{collections::BTreeSet, fs, io, path::Path};

use resplit_operations::ids::RunId;
use resplit_steps::{contract::Obligation, drivers::mounts, failure::Failure};

use super::{Found, Undo, seen::changed};
use crate::{engine::Engine, protocol::LeftoverKind};

/// Directories in which runs have images mounted, or had: each is named after its run.
pub(super) fn images(engine: &Engine, known: &[Found]) -> Result<Vec<Found>, Failure> {
    let directory = &engine.directories.mounts;
    let failure = |error: &io::Error| Failure::io("read", directory, error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failure(&error)),
    };
    let owed: BTreeSet<&Path> = known.iter().filter_map(|found| owed_images(&found.undo)).collect();
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failure(&error))?.path();
        if owed.contains(&*path) {
            continue;
        }
        let mounted = mounts::mounted_below(&path).map_err(|error| failure(&error))?;
        let what = match &mounted[..] {
            [] => format!("an empty directory for images: {}", path.display()),
            all => format!("{} images are mounted in {}", all.len(), path.display()),
        };
        found.push(Found {
            kind: LeftoverKind::Mount,
            key: path.display().to_string(),
            what,
            since: changed(&path),
            run: path.file_name().map(|name| RunId(name.to_string_lossy().into_owned())),
            undo: Undo::CloseImages(path),
        });
    }
    Ok(found)
}

fn owed_images(undo: &Undo) -> Option<&Path> {
    match undo {
        Undo::Duty(duty) => match &duty.obligation {
            Obligation::CloseImages { at } => Some(at),
            _ => None,
        },
        _ => None,
    }
}
