//! Dissolves a pair: the copy and the index go; the book stays, and says so.

use std::{ffi::OsStr, fs, io::ErrorKind, os::unix::ffi::OsStrExt, path::Path};

use resplit_operations::pair::{CopyReport, PairRef};

use super::{
    list::{Buffer, list},
    remove::{measure, remove},
    stat::Stat,
    state::{DATA, INDEX, Known, NEW_DATA, NEW_INDEX, State},
    tree::Tree,
};
use crate::{
    drivers::book::{NEW, Verb},
    failure::Failure,
};

/// Removes what the driver has made of a pair. Asked again after it was interrupted, it goes on.
pub(super) fn delete(verb: &Verb<'_>, state: &mut State) -> Result<CopyReport, Failure> {
    let (pair, work) = (verb.pair, verb.asked.work);
    let secondary = Tree::open(&pair.secondary)?;
    let copies = copies(&secondary)?;
    // What nobody knows where it leads, or has something mounted below it, is refused before anything is gone.
    for (name, stat) in &copies {
        if !stat.is_directory() {
            return Err(foreign(pair, name));
        }
        let _ = measure(&secondary, name, stat, work)?;
    }
    // Whatever becomes of it, the index no longer describes what is there.
    state.extra.settled = false;
    verb.run(state, |state| {
        let mut report = CopyReport::default();
        for (name, _) in &copies {
            report.removed += remove(&secondary, b"", name, true, work)?.entries;
        }
        for name in [INDEX, NEW_INDEX, NEW] {
            remove_file(&pair.secondary.join(name))?;
        }
        rustix::fs::syncfs(secondary.root())
            .map_err(|error| secondary.failure("make durable", b"", b"", error))?;
        state.extra = Known::default();
        // It holds no backup: of all pairs of the volume it is the first to be chosen.
        state.backed_up = 0;
        Ok(report)
    })
}

/// The image, and one that was being made.
fn copies(secondary: &Tree) -> Result<Vec<(Vec<u8>, Stat)>, Failure> {
    let listed = list(secondary.root(), &mut Buffer::new())
        .map_err(|error| secondary.failure("read the directory", b"", b"", error))?;
    let ours = listed.into_iter().filter(|entry| {
        let name: &[u8] = &entry.name;
        name == DATA.as_bytes() || name == NEW_DATA.as_bytes()
    });
    Ok(ours.map(|entry| (entry.name.to_vec(), entry.stat)).collect())
}

fn foreign(pair: &PairRef, name: &[u8]) -> Failure {
    let path = pair.secondary.join(OsStr::from_bytes(name));
    Failure::refused(format!(
        "{} is not a directory, so that it is not what this pair's driver has made",
        path.display()
    ))
    .with_help("move it away, then run again")
}

fn remove_file(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::io("remove", path, &error)),
        _ => Ok(()),
    }
}
