//! Hands the tree of an image to something else that writes it.

use std::path::{Path, PathBuf};

use super::{guard, raid::Halves, snapshots::Snapshots, state::State};
use crate::{
    drivers::{
        book::unusable,
        directory,
        image::{filesystem::FileSystem, opening::close_one, state::Image},
        mounts,
    },
    failure::Failure,
};

/// What can be written to.
pub(super) enum Written<'a> {
    /// A snapshot.
    Snapshot(Snapshots<'a>),
    /// A half of a mirror.
    Half(Halves<'a>),
}

/// Readies the image: its file system is mounted at `at`, empty.
pub(super) fn begin(written: &Written<'_>, state: &mut State, at: &Path) -> Result<PathBuf, Failure> {
    let (verb, lock, place) = match written {
        Written::Snapshot(one) => (&one.verb, one.lock, &one.place),
        Written::Half(one) => (&one.verb, one.lock, &one.place),
    };
    let help = "make a file system on the primary and resync the pair: a file system of its own is what is written to";
    if state.epoch == 0 {
        return Err(unusable(verb.pair, state.status, "made: what it holds is emptied").with_help(help));
    }
    let old = place.image(state)?.filter(|image| !image.is_invalid);
    let system =
        FileSystem::of(&old.unwrap_or(&place.primary).device).map_err(|failure| failure.with_help(help))?;
    close_one(at)?;
    guard::unused(old).or_else(|_| close_one(at).and_then(|()| guard::unused(old)))?;
    state.extra.disturbed();
    verb.begin(state);
    state.write(&verb.pair.secondary)?;
    let ready = |state: &mut State| {
        let image = match (written, old) {
            (Written::Snapshot(_), Some(old)) => old.clone(),
            (Written::Snapshot(one), _) => {
                // One that was full is in the way.
                let _ = one.dissolve(state)?;
                one.take(state)?
            }
            (Written::Half(one), _) => one.detach(state)?,
        };
        state.extra.image = Some(image.uuid);
        state.write(&verb.pair.secondary)?;
        mounts::open_under(lock, &image.device, system.writable(), at)?;
        directory::overwrite::empty(at, verb.asked.work)
    };
    ready(state).map_err(|failure| verb.broken(state, failure))?;
    Ok(at.to_owned())
}
