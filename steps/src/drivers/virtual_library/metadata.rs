//! Gives restored entries their owner, attributes, mode and times, in the order in which none undoes another.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat, chownat, fchmod, fchown, fstat,
        futimens, statat, utimensat,
    },
    io::Errno,
};
use tar::EntryType;

use super::{attributes, pax::Member};

/// Of a directory.
pub(super) fn of_directory(directory: impl AsFd, member: &Member) -> Result<(), Errno> {
    of_file(directory, member)
}

/// Of an open file.
pub(super) fn of_file(file: impl AsFd, member: &Member) -> Result<(), Errno> {
    let file = file.as_fd();
    let stat = fstat(file)?;
    if (stat.st_uid, stat.st_gid) != (member.owner, member.group) {
        fchown(file, Some(Uid::from_raw(member.owner)), Some(Gid::from_raw(member.group)))?;
    }
    attributes::set_on_file(file, &member.attributes)?;
    fchmod(file, Mode::from_raw_mode(member.mode))?;
    futimens(file, &times(member))
}

/// Of what cannot be opened: a link, a pipe, a device.
pub(super) fn of_entry(parent: BorrowedFd<'_>, name: &CStr, member: &Member) -> Result<(), Errno> {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (stat.st_uid, stat.st_gid) != (member.owner, member.group) {
        let (owner, group) = (Uid::from_raw(member.owner), Gid::from_raw(member.group));
        chownat(parent, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    attributes::set_on_entry(parent, name, &member.attributes)?;
    if member.kind != EntryType::Symlink {
        chmodat(parent, name, Mode::from_raw_mode(member.mode), AtFlags::empty())?;
    }
    utimensat(parent, name, &times(member), AtFlags::SYMLINK_NOFOLLOW)
}

fn times(member: &Member) -> Timestamps {
    let (seconds, nanoseconds) = member.modified;
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    }
}
