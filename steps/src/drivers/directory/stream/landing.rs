//! Puts what came in its place.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    super::{
        attributes::{self, Target},
        content::write_at,
        place::{Placed, Trouble, Whole, trouble, whole},
        spot::Spot,
        stat::Stat,
    },
    item::{Item, What},
};

/// A file that is being made.
pub(super) struct Draft<'a> {
    spot: Spot<'a>,
    temporary: Vec<u8>,
    file: OwnedFd,
    is_placed: bool,
    /// Bytes that are written, holes among them.
    end: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(spot: Spot<'a>) -> Result<Self, Trouble> {
        let (temporary, file) = spot.temporary_file()?;
        Ok(Self { spot, temporary, file, is_placed: false, end: 0 })
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Trouble> {
        write_at(self.file.as_fd(), bytes, at).map_err(trouble("write the copy of"))?;
        self.end = at + u64::try_from(bytes.len()).unwrap_or_default();
        Ok(())
    }

    /// Gives it its length and attributes, and its place.
    pub(super) fn place(mut self, item: &Item, fuzzy: bool) -> Result<Placed, Trouble> {
        if self.end != item.stat.size {
            // The hole at the end.
            rustix::fs::ftruncate(&self.file, item.stat.size).map_err(trouble("write the copy of"))?;
        }
        let fresh = Stat::of(&self.file).map_err(trouble("look at the copy of"))?;
        let target = Target::Open(self.file.as_fd());
        let _ = attributes::write((&item.stat, &item.extended), (target, &fresh))?;
        self.spot.rename(&self.temporary)?;
        self.is_placed = true;
        let to = Stat::of(&self.file).map_err(trouble("look at the copy of"))?;
        Ok(whole(Whole { from: item.stat, to, written: true, copied: item.stat.size, fuzzy }))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.is_placed {
            self.spot.discard(&self.temporary);
        }
    }
}

/// Puts an entry in its place whose content is there, or that has none.
pub(super) fn put(spot: &Spot<'_>, item: &Item) -> Result<Placed, Trouble> {
    match item.what {
        What::Same => same(spot, item),
        What::Link => {
            let there =
                spot.present.and_then(|_| rustix::fs::readlinkat(spot.to, spot.name, Vec::new()).ok());
            if there.is_some_and(|there| there.as_bytes() == item.target) {
                return finish(spot, item, None);
            }
            let temporary = spot.make(|name| rustix::fs::symlinkat(&*item.target, spot.to, name))?;
            finish(spot, item, Some(&temporary))
        }
        _ => {
            if spot.present.is_some_and(|present| present.rdev == item.stat.rdev) {
                return finish(spot, item, None);
            }
            let (kind, mode, device) = (item.stat.kind(), Mode::RUSR | Mode::WUSR, item.stat.rdev);
            let temporary = spot.make(|name| rustix::fs::mknodat(spot.to, name, kind, mode, device))?;
            finish(spot, item, Some(&temporary))
        }
    }
}

/// Only attributes are written.
fn same(spot: &Spot<'_>, item: &Item) -> Result<Placed, Trouble> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(spot.to, spot.name, flags, Mode::empty()).map_err(trouble("open the copy of"))?;
    let present = Stat::of(&file).map_err(trouble("look at the copy of"))?;
    if !present.is_file() || present.nlink != 1 || present.size != item.stat.size {
        return Err(Trouble::Refused("find, as it was a moment ago, the copy of", Errno::STALE));
    }
    let target = Target::Open(file.as_fd());
    let written = attributes::write((&item.stat, &item.extended), (target, &present))?;
    let to = Stat::of(&file).map_err(trouble("look at the copy of"))?;
    Ok(whole(Whole { from: item.stat, to, written, copied: 0, fuzzy: false }))
}

/// Gives what has no content its attributes, under the temporary name if there is one, and then its place.
fn finish(spot: &Spot<'_>, item: &Item, temporary: Option<&[u8]>) -> Result<Placed, Trouble> {
    let placed = finish_place(spot, item, temporary);
    if let (Some(temporary), true) = (temporary, placed.is_err()) {
        spot.discard(temporary);
    }
    placed
}

fn finish_place(spot: &Spot<'_>, item: &Item, temporary: Option<&[u8]>) -> Result<Placed, Trouble> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let to = rustix::fs::openat(spot.to, temporary.unwrap_or(spot.name), flags, Mode::empty())
        .map_err(trouble("look at the copy of"))?;
    let present = Stat::of(&to).map_err(trouble("look at the copy of"))?;
    if present.kind() != item.stat.kind() || present.kind() == FileType::RegularFile {
        return Err(Trouble::Refused("find, as it was a moment ago, the copy of", Errno::STALE));
    }
    let target = Target::Place(to.as_fd());
    let mut written = attributes::write((&item.stat, &item.extended), (target, &present))?;
    if let Some(temporary) = temporary {
        spot.rename(temporary)?;
        written = true;
    }
    let placed = Stat::of(&to).map_err(trouble("look at the copy of"))?;
    Ok(whole(Whole { from: item.stat, to: placed, written, copied: 0, fuzzy: false }))
}
