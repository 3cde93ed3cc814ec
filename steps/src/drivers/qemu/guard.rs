//! What is refused before anything is touched.

use std::os::unix::fs::MetadataExt;

use resplit_operations::pair::PairRef;

use super::{
    daemon::{Daemon, Node},
    pass::is_whole,
    state::State,
};
use crate::{
    drivers::{directory, image::state::copy_of},
    failure::Failure,
};

/// Refuses a primary that is not there, or not the disk that QEMU has by this name, and sides that lie one in the other.
pub(super) fn primary(pair: &PairRef) -> Result<Node, Failure> {
    if let Err(error) = pair.primary.metadata() {
        let text = format!("the primary {} is not there: {error}", pair.primary.display());
        return Err(Failure::refused(text).with_help("correct 'path' of the volume in the site file"));
    }
    directory::guard::nested(pair)?;
    Daemon::of(pair)?.primary(&pair.primary)
}

/// Refuses an image that is not there any more.
pub(super) fn image(pair: &PairRef, state: &State) -> Result<(), Failure> {
    if is_whole(pair, state.extra.size) {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "the image {} is not there, or not of the {} bytes that it had",
        copy_of(pair).display(),
        state.extra.size
    ))
    .with_help("restore from another generation or from tape"))
}

/// Refuses a primary that has another size than the image.
pub(super) fn same_size(pair: &PairRef, primary: &Node, size: u64) -> Result<(), Failure> {
    if primary.size() == size {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "the primary of volume '{}' has {} bytes, and the image {size}",
        pair.volume,
        primary.size()
    ))
    .with_help("give it the image's size (QMP: block_resize), then run again; nothing was changed"))
}

/// Refuses a pass that has no room in the file system of the pair's directory. What a disk that holds holes will fill of a
/// copy that is there cannot be told: then the file system tells.
pub(super) fn space(pair: &PairRef, primary: &Node, is_kept: bool) -> Result<(), Failure> {
    /// What the book takes beside, and what is left free.
    const MARGIN: u64 = 1 << 20;
    if is_kept {
        return Ok(());
    }
    let there = copy_of(pair).metadata().map_or(0, |found| found.blocks() * 512);
    let needed = primary.allocated().min(primary.size()).saturating_add(MARGIN);
    let failure =
        |error: rustix::io::Errno| Failure::io("ask for the free space of", &pair.secondary, &error.into());
    let has = rustix::fs::statvfs(&pair.secondary).map_err(failure)?;
    let free = has.f_bavail.saturating_mul(has.f_frsize).saturating_add(there);
    if free >= needed {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "no room in {}: {needed} bytes are needed and {free} are free",
        pair.secondary.display()
    ))
    .with_help(format!("free at least {} bytes there, then run again; nothing was changed", needed - free)))
}
