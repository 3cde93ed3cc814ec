//! Where an entry is put: made under a name of its own, and renamed when it is whole.

use std::{
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fd::{BorrowedFd, OwnedFd},
    fs::{AtFlags, Mode, OFlags},
    io::{self, Errno},
};

use super::{
    place::{Trouble, trouble},
    stat::Stat,
};

/// A name in a directory of the copy.
pub(super) struct Spot<'a> {
    pub(super) to: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
    /// What stands there, of the same kind.
    pub(super) present: Option<&'a Stat>,
    /// Whether the whole copy is new, and known to nobody before it is complete: then it is made in its place at once.
    pub(super) is_new: bool,
}

impl Spot<'_> {
    pub(super) fn temporary_file(&self) -> Result<(Vec<u8>, OwnedFd), Trouble> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut opened = None;
        let name = self.make(|name| {
            opened = Some(rustix::fs::openat(self.to, name, flags, Mode::RUSR | Mode::WUSR)?);
            Ok(())
        })?;
        opened.map(|file| (name, file)).ok_or(Trouble::Refused("create a copy of", Errno::IO))
    }

    /// Makes something under a name from which it is renamed.
    pub(super) fn make(&self, mut make: impl FnMut(&[u8]) -> io::Result<()>) -> Result<Vec<u8>, Trouble> {
        if self.is_new && self.present.is_none() {
            match make(self.name) {
                Ok(()) => return Ok(self.name.to_vec()),
                // Left by an earlier pass that was interrupted.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(Trouble::Refused("create a copy of", error)),
            }
        }
        make_temporary(&mut make).map_err(trouble("create a copy of"))
    }

    pub(super) fn rename(&self, temporary: &[u8]) -> Result<(), Trouble> {
        if temporary == self.name {
            return Ok(());
        }
        rustix::fs::renameat(self.to, temporary, self.to, self.name).map_err(trouble("put in place"))
    }

    /// Removes what was made. What could not be removed is not the copy's: the next pass removes it.
    pub(super) fn discard(&self, temporary: &[u8]) {
        let _ = rustix::fs::unlinkat(self.to, temporary, AtFlags::empty());
    }
}

/// Makes something under a name that nothing has. What is left of it after a crash is removed by the next pass, since
/// the original does not have it.
pub(super) fn make_temporary(make: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Vec<u8>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u32> = LazyLock::new(process::id);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".resplit-{}-{number}", *PROCESS).into_bytes();
        match make(&name) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
}
