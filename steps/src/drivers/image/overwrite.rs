//! Hands the tree of an image to something else that writes it, and takes it back.

use std::path::{Path, PathBuf};

use resplit_operations::pair::CopyReport;

use super::{
    filesystem::FileSystem,
    guard,
    opening::close_one,
    state::{Image, copy_of},
    volume::Volume,
};
use crate::{
    drivers::{
        book::{Book, Lock, Verb, is_overwritten, unusable},
        directory,
        mounts::{self, Holders},
    },
    failure::Failure,
};

/// Readies the image: its file system is mounted at `at`, empty. A pair that was never made has none.
pub(in crate::drivers) fn begin<E: Image>(
    verb: &Verb<'_>,
    lock: &Lock,
    state: &mut Book<E>,
    at: &Path,
) -> Result<PathBuf, Failure> {
    let pair = verb.pair;
    let copy = copy_of(pair);
    let help = "make a file system on the primary and resync the pair: a file system of its own is what is written to";
    if state.epoch == 0 {
        // A file system that is on its device is somebody else's.
        return Err(unusable(pair, state.status, "made: what it holds is emptied").with_help(help));
    }
    let system = FileSystem::of(&copy).map_err(|failure| failure.with_help(help))?;
    close_one(at)?;
    let held = || guard::held(&copy, "it cannot be overwritten meanwhile");
    // A mount of who was killed may have come about only just now.
    held().or_else(|_| close_one(at).and_then(|()| held()))?;
    state.extra.disturbed();
    verb.begin(state);
    state.write(&pair.secondary)?;
    mounts::open_under(lock, &copy, system.writable(), at)
        .and_then(|()| directory::overwrite::empty(at, verb.asked.work))
        .map_err(|failure| verb.broken(state, failure))?;
    Ok(at.to_owned())
}

/// Makes what was written the image. Asked again after it was done, it is done.
pub(in crate::drivers) fn end<E: Image>(
    verb: &Verb<'_>,
    state: &mut Book<E>,
    report: &CopyReport,
) -> Result<(), Failure> {
    let (pair, asked) = (verb.pair, verb.asked);
    if is_overwritten(pair, state, asked)? {
        return Ok(());
    }
    let copy = copy_of(pair);
    let holders =
        Holders::of(&copy).map_err(|error| Failure::io("find out what is mounted from", &copy, &error))?;
    for mount in holders.mounts.iter().rev() {
        mounts::unmount(&mount.point)?;
    }
    let volume = Volume::open(&copy)?;
    volume.make_durable().map_err(|error| volume.failure("make durable", &error))?;
    state.extra.unmounted(&volume);
    verb.end(state, report);
    state.write(&pair.secondary)
}
