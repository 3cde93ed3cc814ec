//! What is refused before anything is touched.

use std::path::Path;

use resplit_operations::pair::PairRef;

use super::{
    state::{State, copy_of},
    volume::Volume,
};
use crate::{
    drivers::{directory, is_there, mounts::Holders},
    failure::Failure,
};

/// Refuses a volume from which something is mounted, or on which anything else lies: what is cached of that would not
/// see what is written beneath, and would write over it.
pub(in crate::drivers) fn held(volume: &Path, why: &str) -> Result<(), Failure> {
    let holders = Holders::settled(volume)
        .map_err(|error| Failure::io("find out what is mounted from", volume, &error))?;
    let (by, help) = match (holders.mounts.last(), holders.devices.last()) {
        (Some(mount), _) => {
            (format!("mounted at {}", mount.point.display()), format!("umount {}", mount.point.display()))
        }
        (None, Some(device)) => {
            (format!("held by {}", device.display()), format!("losetup -d {}", device.display()))
        }
        (None, None) => return Ok(()),
    };
    Err(Failure::refused(format!("{} is {by}, and {why}", volume.display()))
        .with_help(format!("{help}, then run again; nothing was changed")))
}

/// Refuses what a resync would refuse before it touches anything.
pub(super) fn ready(pair: &PairRef, state: &State) -> Result<(), Failure> {
    let primary = Volume::open(&pair.primary)?;
    nested(pair)?;
    if is_there(&pair.secondary)? {
        space(pair, &primary)?;
    }
    held(&copy_of(pair), "its pair cannot follow meanwhile")?;
    emptied(pair, state, &primary)?;
    foreign(pair, state)?;
    let device = pair.device.as_deref().map(Volume::open).transpose()?;
    device.map_or(Ok(()), |device| fits(pair, &device, primary.size))
}

/// Refuses sides that lie one in the other, or are one.
pub(super) fn nested(pair: &PairRef) -> Result<(), Failure> {
    directory::guard::nested(pair)?;
    let Some(device) = &pair.device else { return Ok(()) };
    let (Ok(primary), Ok(copy)) = (pair.primary.canonicalize(), device.canonicalize()) else { return Ok(()) };
    if primary != copy {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "pair {}: primary and secondary are both {}",
        pair.copy_group,
        primary.display()
    ))
    .with_help("give the secondary a device of its own in the site file"))
}

/// Refuses a device too small for what is to be copied to it.
pub(super) fn fits(pair: &PairRef, to: &Volume, size: u64) -> Result<(), Failure> {
    if !to.is_device || to.size >= size {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "pair {}: {} has {} bytes, and {size} are to be copied to it",
        pair.copy_group,
        to.path.display(),
        to.size
    ))
    .with_help("name a device that is at least as large; nothing was changed"))
}

/// Refuses to make a copy as empty as what was left where the primary was.
pub(super) fn emptied(pair: &PairRef, state: &State, from: &Volume) -> Result<(), Failure> {
    if from.size > 0 || state.extra.size == 0 {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "the primary {} is empty: it has no byte, and the copy holds {}",
        pair.primary.display(),
        state.extra.size
    ))
    .with_help("attach the right one, or restore it from the copy; nothing was changed"))
}

/// Refuses a device that holds something when the pair is new: it may be wanted.
pub(super) fn foreign(pair: &PairRef, state: &State) -> Result<(), Failure> {
    let Some(device) = pair.device.as_ref().filter(|_| state.epoch == 0) else { return Ok(()) };
    let Some(kind) = super::filesystem::signature(device)? else { return Ok(()) };
    Err(Failure::refused(format!(
        "{} holds {kind}, and was never the copy of pair {}",
        device.display(),
        pair.copy_group
    ))
    .with_help(format!(
        "if what it holds is not needed: wipefs --all {}; nothing was changed",
        device.display()
    )))
}

/// Refuses a pass that has no room in the file system of the pair's directory. What a device holds that is to be copied
/// into a file cannot be told before it was read: then the disk tells.
pub(super) fn space(pair: &PairRef, from: &Volume) -> Result<(), Failure> {
    /// What the book and the hash map take beside, and what is left free.
    const MARGIN: u64 = 1 << 20;
    let copy = copy_of(pair);
    if pair.device.is_some() || from.is_device {
        return Ok(());
    }
    if !is_there(&copy)? && from.clones_into(&pair.secondary) {
        return Ok(());
    }
    let there = if is_there(&copy)? { Volume::open(&copy)?.allocated()? } else { 0 };
    let needed = from.allocated()?.min(from.size).saturating_sub(there);
    let failure =
        |error: rustix::io::Errno| Failure::io("ask for the free space of", &pair.secondary, &error.into());
    let has = rustix::fs::statvfs(&pair.secondary).map_err(failure)?;
    let free = has.f_bavail.saturating_mul(has.f_frsize);
    let total = needed.saturating_add(from.size / 2048).saturating_add(MARGIN);
    if needed == 0 || free >= total {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "no room in {}: {total} bytes are needed and {free} are free",
        pair.secondary.display()
    ))
    .with_help(format!("free at least {} bytes there, then run again; nothing was changed", total - free)))
}
