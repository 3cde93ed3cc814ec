//! The only unsafe code: two system calls without a safe wrapper.

use std::{io, os::fd::AsFd};

use rustix::ioctl::{NoArg, Opcode, ioctl, opcode};

/// `_IOWR('X', 119, int)` and `_IOWR('X', 120, int)` of `linux/fs.h`.
const FIFREEZE: Opcode = opcode::read_write::<i32>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<i32>(b'X', 120);

/// Holds the whole file system of an open file still: writers wait from now on, and all that was written is on disk.
/// `EBUSY` if it is held still already, `EOPNOTSUPP` if it cannot be, `EPERM` without `CAP_SYS_ADMIN`.
pub(crate) fn freeze(file: impl AsFd) -> io::Result<()> {
    call::<FIFREEZE>(file)
}

/// Lets it go. `EINVAL` if it is not held still.
pub(crate) fn thaw(file: impl AsFd) -> io::Result<()> {
    call::<FITHAW>(file)
}

#[expect(unsafe_code, reason = "rustix has no safe wrapper for these two")]
fn call<const OPCODE: Opcode>(file: impl AsFd) -> io::Result<()> {
    // SAFETY: the kernel ignores the argument of both calls (`ioctl_fsfreeze`, `ioctl_fsthaw`): it reads and writes no
    // memory of this process, whatever their numbers say of an int.
    unsafe { ioctl(file, NoArg::<OPCODE>::new()) }.map_err(io::Error::from)
}
