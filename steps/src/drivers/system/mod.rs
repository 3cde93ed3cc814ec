//! The only unsafe code: what has no safe wrapper.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, RawFd},
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    ioctl::{NoArg, Opcode, ioctl, opcode},
};

/// `_IOWR('X', 119, int)` and `_IOWR('X', 120, int)` of `linux/fs.h`.
const FIFREEZE: Opcode = opcode::read_write::<i32>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<i32>(b'X', 120);
/// `_IO(0x12, 97)` of `linux/fs.h`.
const BLKFLSBUF: Opcode = opcode::none(0x12, 97);

/// Holds the whole file system of an open file still: writers wait from now on, and all that was written is on disk.
/// `EBUSY` if it is held still already, `EOPNOTSUPP` if it cannot be, `EPERM` without `CAP_SYS_ADMIN`.
pub(crate) fn freeze(file: impl AsFd) -> io::Result<()> {
    call::<FIFREEZE>(file)
}

/// Lets it go. `EINVAL` if it is not held still.
pub(crate) fn thaw(file: impl AsFd) -> io::Result<()> {
    call::<FITHAW>(file)
}

/// Writes back what this machine has cached of a block device, and forgets it. `EACCES` without `CAP_SYS_ADMIN`.
pub(crate) fn forget_buffers(device: impl AsFd) -> io::Result<()> {
    call::<BLKFLSBUF>(device)
}

#[expect(unsafe_code, reason = "rustix has no safe wrapper for these three")]
fn call<const OPCODE: Opcode>(file: impl AsFd) -> io::Result<()> {
    // SAFETY: the kernel ignores the argument of these calls (`ioctl_fsfreeze`, `ioctl_fsthaw`, `blkdev_flushbuf`): it
    // reads and writes no memory of this process, whatever their numbers say of an int.
    unsafe { ioctl(file, NoArg::<OPCODE>::new()) }.map_err(io::Error::from)
}

/// Marks every open file but the standard streams so that no program started from here inherits it: this process may
/// have been given files that are none of its business, by whoever started it.
pub(crate) fn keep_files_back() -> io::Result<()> {
    let names = fs::read_dir("/proc/self/fd")?.map(|entry| Ok(entry?.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        if let Some(number) = name.to_str().and_then(|name| name.parse().ok()).filter(|number| *number > 2) {
            keep_back(number)?;
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "a file that is only known by its number cannot be borrowed otherwise")]
fn keep_back(number: RawFd) -> io::Result<()> {
    // SAFETY: borrowed for one call that reads, writes and closes nothing; a number that is not open any more, as that
    // of the directory just listed, is an error of the call.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    match fcntl_setfd(file, FdFlags::CLOEXEC) {
        Err(rustix::io::Errno::BADF) => Ok(()),
        other => Ok(other?),
    }
}
