//! Owner, mode, extended attributes, access control lists and times: copied from one entry to another.

use std::{collections::BTreeMap, ffi::CString};

use rustix::{
    buffer::spare_capacity,
    fd::{AsRawFd, BorrowedFd},
    fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags},
    io::{self, Errno},
};

use super::stat::Stat;

/// The name spaces that are kept. Others (`system.` beyond access control lists, a file system's own) describe the
/// file system rather than the entry.
const KEPT: [&[u8]; 4] = [b"user.", b"security.", b"trusted.", b"system.posix_acl_"];

/// What could not be done to an entry, in words that take its path, and why.
pub(super) type Refusal = (&'static str, Errno);

/// An entry whose attributes are read or written.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// A file or directory that is open.
    Open(BorrowedFd<'a>),
    /// Anything else, opened as a mere place: it is neither followed nor disturbed.
    Place(BorrowedFd<'a>),
}

/// Extended attributes that are kept, access control lists among them.
pub(super) type Extended = BTreeMap<CString, Vec<u8>>;

/// Whether an extended attribute of this name is kept.
pub(super) fn is_kept(name: &[u8]) -> bool {
    KEPT.iter().any(|space| name.starts_with(space))
}

/// Makes the attributes of `to` those of `from`. `true` if any were written.
pub(super) fn copy((from, from_stat): (Target<'_>, &Stat), to: (Target<'_>, &Stat)) -> Result<bool, Refusal> {
    write((from_stat, &read(from)?), to)
}

/// The extended attributes of an entry.
pub(super) fn read(from: Target<'_>) -> Result<Extended, Refusal> {
    from.extended().map_err(|e| ("read the extended attributes of", e))
}

/// Makes the attributes of `to` as they were read. `true` if any were written.
pub(super) fn write(
    (from_stat, wanted): (&Stat, &Extended),
    (to, to_stat): (Target<'_>, &Stat),
) -> Result<bool, Refusal> {
    let mut written = false;
    if (from_stat.uid, from_stat.gid) != (to_stat.uid, to_stat.gid) {
        to.own(from_stat.uid, from_stat.gid).map_err(|e| ("keep the owner of", e))?;
        written = true;
    }
    // A change of owner takes away capabilities, so they come after it.
    written |= write_extended(wanted, to, written)?;
    // It also takes away set-user-ID, and an access control list changes the mode.
    let is_link = from_stat.kind() == rustix::fs::FileType::Symlink;
    if !is_link && (written || from_stat.mode != to_stat.mode) {
        to.allow(from_stat.mode).map_err(|e| ("keep the mode of", e))?;
        written = true;
    }
    if from_stat.mtime != to_stat.mtime {
        to.stamp(from_stat).map_err(|e| ("keep the times of", e))?;
        written = true;
    }
    Ok(written)
}

/// Makes the extended attributes equal, access control lists among them.
fn write_extended(wanted: &Extended, to: Target<'_>, owner_changed: bool) -> Result<bool, Refusal> {
    let writing = |e| ("keep the extended attributes of", e);
    let present = read(to)?;
    if *wanted == present && (wanted.is_empty() || !owner_changed) {
        return Ok(false);
    }
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        match to.remove(name) {
            // A label that the system gives to everything cannot be taken away.
            Err(_) if name.as_bytes().starts_with(b"security.") => {}
            Err(Errno::NODATA) | Ok(()) => {}
            Err(error) => return Err(writing(error)),
        }
    }
    for (name, value) in wanted {
        if owner_changed || present.get(name) != Some(value) {
            to.set(name, value).map_err(writing)?;
        }
    }
    Ok(true)
}

impl Target<'_> {
    /// The entry through the process's own descriptors, for calls that take a path only.
    fn through(fd: BorrowedFd<'_>) -> String {
        format!("/proc/self/fd/{}", fd.as_raw_fd())
    }

    /// The extended attributes that are kept.
    fn extended(self) -> io::Result<Extended> {
        let mut kept = BTreeMap::new();
        let names = loop {
            let mut names = Vec::new();
            let length = match self.list(&mut [])? {
                0 => return Ok(kept),
                length => length,
            };
            names.resize(length, 0);
            match self.list(&mut names) {
                Err(Errno::RANGE) => {}
                length => break names.drain(..length?).collect::<Vec<u8>>(),
            }
        };
        for name in names.split_inclusive(|byte| *byte == 0) {
            if !is_kept(name) {
                continue;
            }
            let Ok(name) = std::ffi::CStr::from_bytes_with_nul(name) else { continue };
            match self.get(name) {
                Ok(value) => {
                    let _ = kept.insert(name.to_owned(), value);
                }
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(kept)
    }

    /// The names, or how many bytes they take.
    fn list(self, names: &mut [u8]) -> io::Result<usize> {
        let result = match self {
            Self::Open(fd) if names.is_empty() => rustix::fs::flistxattr_query(fd),
            Self::Open(fd) => rustix::fs::flistxattr(fd, names),
            Self::Place(fd) if names.is_empty() => rustix::fs::listxattr_query(Self::through(fd)),
            Self::Place(fd) => rustix::fs::listxattr(Self::through(fd), names),
        };
        // A file system without extended attributes has none.
        if matches!(result, Err(Errno::OPNOTSUPP)) { Ok(0) } else { result }
    }

    fn get(self, name: &std::ffi::CStr) -> io::Result<Vec<u8>> {
        // The largest value that the system allows.
        let mut value = Vec::with_capacity(64 * 1024);
        let _ = match self {
            Self::Open(fd) => rustix::fs::fgetxattr(fd, name, spare_capacity(&mut value))?,
            Self::Place(fd) => rustix::fs::getxattr(Self::through(fd), name, spare_capacity(&mut value))?,
        };
        value.shrink_to_fit();
        Ok(value)
    }

    fn set(self, name: &std::ffi::CStr, value: &[u8]) -> io::Result<()> {
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Self::Place(fd) => rustix::fs::setxattr(Self::through(fd), name, value, XattrFlags::empty()),
        }
    }

    fn remove(self, name: &std::ffi::CStr) -> io::Result<()> {
        match self {
            Self::Open(fd) => rustix::fs::fremovexattr(fd, name),
            Self::Place(fd) => rustix::fs::removexattr(Self::through(fd), name),
        }
    }

    fn own(self, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match self {
            Self::Open(fd) => rustix::fs::fchown(fd, uid, gid),
            Self::Place(fd) => rustix::fs::chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH),
        }
    }

    fn allow(self, mode: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd, mode),
            Self::Place(fd) => rustix::fs::chmodat(CWD, Self::through(fd), mode, AtFlags::empty()),
        }
    }

    fn stamp(self, stat: &Stat) -> io::Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: stat.mtime.seconds,
                tv_nsec: stat.mtime.nanoseconds.into(),
            },
        };
        match self {
            Self::Open(fd) => rustix::fs::futimens(fd, &times),
            Self::Place(fd) => rustix::fs::utimensat(fd, c"", &times, AtFlags::EMPTY_PATH),
        }
    }
}
