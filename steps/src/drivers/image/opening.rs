//! An image made readable as a tree.

use std::path::Path;

use resplit_operations::pair::{PairRef, PairStatus, Tag};

use super::{
    filesystem::FileSystem,
    guard,
    state::{Image, copy_of},
    volume::Volume,
};
use crate::{
    drivers::{
        book::{Book, Lock, unusable},
        mounts,
    },
    failure::Failure,
};

/// Mounts the image of a split pair read-only at `at`.
///
/// An image that was made under `freeze` is mounted as it is. One whose file system was not at rest has its journal
/// replayed first, as after a power cut: without that, names and files may be missing from the tree. That changes blocks of
/// the image, so the book says before that what is known of the copy holds no more: the next pass has more to do.
pub(in crate::drivers) fn open<E: Image>(pair: &PairRef, at: &Path) -> Result<(), Failure> {
    let split = |state: &Book<E>| match state.status {
        PairStatus::Psus => Ok(()),
        status => Err(unusable(pair, status, "PSUS to have an image").with_help("split it first")),
    };
    let missing = || unusable(pair, PairStatus::Smpl, "PSUS to have an image").with_help("split it first");
    split(&Book::<E>::read(pair)?.ok_or_else(missing)?)?;
    let lock = Lock::take(pair, &Tag("opening the image".to_owned()))?;
    let mut state = Book::<E>::read(pair)?.ok_or_else(missing)?;
    split(&state)?;
    let copy = copy_of(pair);
    let system = FileSystem::of(&copy)?;
    if !state.extra.is_at_rest() && system.needs_replay(&copy)? {
        replay(pair, &lock, &system, at, &mut state)?;
    }
    mounts::open_under(&lock, &copy, system.read_only(), at)
}

fn replay<E: Image>(
    pair: &PairRef,
    lock: &Lock,
    system: &FileSystem,
    at: &Path,
    state: &mut Book<E>,
) -> Result<(), Failure> {
    let copy = &copy_of(pair);
    close_one(at)?;
    guard::held(copy, "its journal cannot be replayed meanwhile")?;
    state.extra.disturbed();
    state.write(&pair.secondary)?;
    mounts::open_under(lock, copy, system.writable(), at)?;
    mounts::unmount(at)?;
    let volume = Volume::open(copy)?;
    volume.make_durable().map_err(|error| volume.failure("make durable", &error))?;
    state.extra.unmounted(&volume);
    state.write(&pair.secondary)
}

/// Unmounts what an interrupted opening has left at a directory of ours.
pub(in crate::drivers) fn close_one(at: &Path) -> Result<(), Failure> {
    let is_mounted =
        mounts::is_mount_point(at).map_err(|error| Failure::io("look up the mounts at", at, &error))?;
    if is_mounted { mounts::unmount(at) } else { Ok(()) }
}
