//! Puts one entry in its place: made under a name of its own, and renamed when it is whole. In a copy that nobody knows
//! yet, made in its place at once.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    attributes::{self, Refusal, Target},
    compare::How,
    content::{self, Copier, Stopped, Told},
    spot::Spot,
    stat::Stat,
};
use crate::failure::Failure;

/// How often a file that changes while it is copied is copied again.
pub(super) const AGAIN: u32 = 3;

/// What came of an entry.
pub(super) enum Placed {
    /// It is in its place.
    Whole(Box<Whole>),
    /// It is no longer there, or something else is.
    Vanished,
}

/// An entry that is in its place.
pub(super) struct Whole {
    /// As it was when it was copied.
    pub(super) from: Stat,
    /// Its copy.
    pub(super) to: Stat,
    /// Whether anything was written.
    pub(super) written: bool,
    /// Bytes of content that were written or cloned.
    pub(super) copied: u64,
    /// Whether it changed while it was copied, each time.
    pub(super) fuzzy: bool,
}

/// Why an entry is not in its place.
pub(super) enum Trouble {
    /// The system refused: what, of the original or of the copy.
    Refused(&'static str, Errno),
    /// The work was asked to stop.
    Asked(Failure),
}

impl From<Refusal> for Trouble {
    fn from((doing, error): Refusal) -> Self {
        Self::Refused(doing, error)
    }
}

impl From<Stopped> for Trouble {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(error) => Self::Refused("copy", error),
            Stopped::Asked(failure) => Self::Asked(failure),
        }
    }
}

pub(super) fn whole(whole: Whole) -> Placed {
    Placed::Whole(Box::new(whole))
}

pub(super) fn trouble(doing: &'static str) -> impl Fn(Errno) -> Trouble {
    move |error| Trouble::Refused(doing, error)
}

/// One entry to be put in its place.
pub(super) struct Place<'a> {
    pub(super) from: BorrowedFd<'a>,
    pub(super) spot: Spot<'a>,
    pub(super) stat: &'a Stat,
    pub(super) how: How,
    pub(super) copier: &'a Copier,
    pub(super) told: Told<'a>,
}

impl Place<'_> {
    /// Does it.
    pub(super) fn put(&self) -> Result<Placed, Trouble> {
        match self.stat.kind() {
            FileType::RegularFile => self.file(),
            FileType::Symlink => self.link(),
            _ => self.special(),
        }
    }

    fn file(&self) -> Result<Placed, Trouble> {
        let mut attempt = 0;
        loop {
            let Some(source) = open_source(self.from, self.spot.name)? else { return Ok(Placed::Vanished) };
            let before = Stat::of(&source).map_err(trouble("look at"))?;
            if !before.is_file() {
                return Ok(Placed::Vanished);
            }
            if let Some(placed) = self.adopt(&source, &before)? {
                return Ok(placed);
            }
            let (temporary, target) = self.spot.temporary_file()?;
            let result = self.fill(&source, &before, &target).and_then(|()| {
                let after = Stat::of(&source).map_err(trouble("look at"))?;
                let steady = before.is_same_moment(&after);
                if steady || attempt >= AGAIN {
                    self.spot.rename(&temporary)?;
                }
                Ok(steady)
            });
            if !matches!(result, Ok(steady) if steady || attempt >= AGAIN) {
                self.spot.discard(&temporary);
            }
            let steady = result?;
            if steady || attempt >= AGAIN {
                let to = Stat::of(&target).map_err(trouble("look at the copy of"))?;
                let copied = before.size;
                return Ok(whole(Whole { from: before, to, written: true, copied, fuzzy: !steady }));
            }
            attempt += 1;
        }
    }

    /// Where the content proves to be equal, only attributes are written.
    fn adopt(&self, source: &OwnedFd, before: &Stat) -> Result<Option<Placed>, Trouble> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if self.how != How::Verify {
            return Ok(None);
        }
        let Ok(target) = rustix::fs::openat(self.spot.to, self.spot.name, flags, Mode::empty()) else {
            return Ok(None);
        };
        let present = Stat::of(&target).map_err(trouble("look at the copy of"))?;
        if !present.is_file()
            || present.nlink != 1
            || present.size != before.size
            || !content::is_equal(source.as_fd(), target.as_fd(), self.told)?
        {
            return Ok(None);
        }
        let written = attributes::copy(
            (Target::Open(source.as_fd()), before),
            (Target::Open(target.as_fd()), &present),
        )?;
        let after = Stat::of(source).map_err(trouble("look at"))?;
        if !before.is_same_moment(&after) {
            return Ok(None);
        }
        let to = Stat::of(&target).map_err(trouble("look at the copy of"))?;
        Ok(Some(whole(Whole { from: *before, to, written, copied: 0, fuzzy: false })))
    }

    fn fill(&self, source: &OwnedFd, before: &Stat, target: &OwnedFd) -> Result<(), Trouble> {
        self.copier.copy(source.as_fd(), target.as_fd(), (before.size, before.allocated), self.told)?;
        let fresh = Stat::of(target).map_err(trouble("look at the copy of"))?;
        let _ =
            attributes::copy((Target::Open(source.as_fd()), before), (Target::Open(target.as_fd()), &fresh))?;
        Ok(())
    }

    fn link(&self) -> Result<Placed, Trouble> {
        let read = |directory| rustix::fs::readlinkat(directory, self.spot.name, Vec::new());
        let target = match read(self.from) {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::INVAL) => return Ok(Placed::Vanished),
            Err(error) => return Err(Trouble::Refused("read the symbolic link", error)),
        };
        if self.how == How::Verify && read(self.spot.to).is_ok_and(|present| present == target) {
            return self.finish(None);
        }
        let temporary = self.spot.make(|name| rustix::fs::symlinkat(&*target, self.spot.to, name))?;
        self.finish(Some(&temporary))
    }

    /// A device, socket or named pipe.
    fn special(&self) -> Result<Placed, Trouble> {
        if self.how == How::Verify && self.spot.present.is_some_and(|present| present.rdev == self.stat.rdev)
        {
            return self.finish(None);
        }
        let (kind, mode, device) = (self.stat.kind(), Mode::RUSR | Mode::WUSR, self.stat.rdev);
        let temporary = self.spot.make(|name| rustix::fs::mknodat(self.spot.to, name, kind, mode, device))?;
        self.finish(Some(&temporary))
    }

    /// Gives what has no content its attributes, under the temporary name if there is one, and then its place.
    fn finish(&self, temporary: Option<&[u8]>) -> Result<Placed, Trouble> {
        let result = self.finish_place(temporary);
        if let (Some(temporary), false) = (temporary, matches!(result, Ok(Placed::Whole(_)))) {
            self.spot.discard(temporary);
        }
        result
    }

    fn finish_place(&self, temporary: Option<&[u8]>) -> Result<Placed, Trouble> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |directory, name| rustix::fs::openat(directory, name, flags, Mode::empty());
        let from = match open(self.from, self.spot.name) {
            Err(Errno::NOENT) => return Ok(Placed::Vanished),
            opened => opened.map_err(trouble("look at"))?,
        };
        let to = open(self.spot.to, temporary.unwrap_or(self.spot.name))
            .map_err(trouble("look at the copy of"))?;
        let before = Stat::of(&from).map_err(trouble("look at"))?;
        let present = Stat::of(&to).map_err(trouble("look at the copy of"))?;
        if before.kind() != self.stat.kind() || present.kind() != before.kind() {
            return Ok(Placed::Vanished);
        }
        let mut written =
            attributes::copy((Target::Place(from.as_fd()), &before), (Target::Place(to.as_fd()), &present))?;
        if let Some(temporary) = temporary {
            self.spot.rename(temporary)?;
            written = true;
        }
        let placed = Stat::of(&to).map_err(trouble("look at the copy of"))?;
        Ok(whole(Whole { from: before, to: placed, written, copied: 0, fuzzy: false }))
    }
}

/// Opens an original; `None` if it is no longer a file.
pub(super) fn open_source(from: BorrowedFd<'_>, name: &[u8]) -> Result<Option<OwnedFd>, Trouble> {
    // NONBLOCK: what was a file may be a pipe by now, and must not be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::openat(from, name, flags, Mode::empty());
    let opened = match open(flags | OFlags::NOATIME) {
        // Only the owner may leave the time of access alone.
        Err(Errno::PERM) => open(flags),
        opened => opened,
    };
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR) => Ok(None),
        Err(error) => Err(Trouble::Refused("open", error)),
    }
}
