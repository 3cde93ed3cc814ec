//! Hands a secondary to something else that writes it, and takes it back.

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use resplit_operations::pair::{CopyReport, PairRef};

use super::{
    list::{Buffer, list},
    remove::remove,
    state::{DATA, NEW_DATA, State},
    tree::Tree,
};
use crate::{
    context::Work,
    drivers::book::{Verb, is_overwritten},
    failure::Failure,
};

/// Readies `data/`: it is empty and nothing is known of it.
pub(super) fn begin(verb: &Verb<'_>, state: &mut State) -> Result<PathBuf, Failure> {
    let (pair, asked) = (verb.pair, verb.asked);
    state.extra.settled = false;
    verb.begin(state);
    state.write(&pair.secondary)?;
    let data = pair.secondary.join(DATA);
    make(pair, &data)?;
    empty(&data, asked.work)?;
    Ok(data)
}

/// Removes all that a directory holds.
pub(in crate::drivers) fn empty(directory: &Path, work: &Work) -> Result<(), Failure> {
    let tree = Tree::open(directory)?;
    let listed = list(tree.root(), &mut Buffer::new())
        .map_err(|error| tree.failure("read the directory", b"", b"", error))?;
    for entry in listed {
        let _ = remove(&tree, b"", &entry.name, entry.stat.is_directory(), work)?;
    }
    Ok(())
}

/// Makes `data/` if it is not there, of what an interrupted first resync has left if there is any.
fn make(pair: &PairRef, data: &Path) -> Result<(), Failure> {
    if data.is_dir() {
        return Ok(());
    }
    let made = match fs::rename(pair.secondary.join(NEW_DATA), data) {
        Err(error) if error.kind() == ErrorKind::NotFound => DirBuilder::new().mode(0o700).create(data),
        renamed => renamed,
    };
    made.map_err(|error| Failure::io("make the directory", data, &error))
}

/// Makes what was written the image. Asked again after it was done, it is done.
pub(super) fn end(verb: &Verb<'_>, state: &mut State, report: &CopyReport) -> Result<(), Failure> {
    let (pair, asked) = (verb.pair, verb.asked);
    if is_overwritten(pair, state, asked)? {
        return Ok(());
    }
    let tree = Tree::open(&pair.secondary.join(DATA))?;
    rustix::fs::syncfs(tree.root()).map_err(|error| tree.failure("make durable", b"", b"", error))?;
    verb.end(state, report);
    state.write(&pair.secondary)
}
