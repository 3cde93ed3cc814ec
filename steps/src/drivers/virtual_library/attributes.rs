//! Extended attributes, read and set. POSIX access control lists are among them.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::{
    fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr, lgetxattr, llistxattr, lsetxattr},
    io::Errno,
};

use super::pax::Attribute;

/// The most that the kernel hands out: of names, and of a value.
const MOST: usize = 64 << 10;

/// The attributes of an open file or directory.
pub(super) fn of_file(file: impl AsFd, buffer: &mut Vec<u8>) -> Result<Vec<Attribute>, Errno> {
    let file = file.as_fd();
    read(buffer, |names| flistxattr(file, names), |name, value| fgetxattr(file, name, value))
}

/// The attributes of an entry of a directory, itself, even if it is a symbolic link.
pub(super) fn of_entry(
    parent: BorrowedFd<'_>,
    name: &CStr,
    buffer: &mut Vec<u8>,
) -> Result<Vec<Attribute>, Errno> {
    let path = &*path(parent, name)?;
    read(buffer, |names| llistxattr(path, names), |name, value| lgetxattr(path, name, value))
}

fn read(
    buffer: &mut Vec<u8>,
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&CStr, &mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<Attribute>, Errno> {
    buffer.resize(MOST, 0);
    let length = match list(&mut buffer[..]) {
        // Some file systems have none.
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(length) => length,
        Err(error) => return Err(error),
    };
    let names: Vec<CString> = buffer[..length]
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok().map(CStr::to_owned))
        .collect();
    let mut attributes = Vec::with_capacity(names.len());
    for name in names {
        match get(&name, &mut buffer[..]) {
            Ok(length) => attributes.push((name.into_bytes(), buffer[..length].to_vec())),
            // It went between listing and reading.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    attributes.sort_unstable();
    Ok(attributes)
}

/// Sets the attributes of an open file or directory.
pub(super) fn set_on_file(file: impl AsFd, attributes: &[Attribute]) -> Result<(), Errno> {
    let file = file.as_fd();
    each(attributes, |name, value| fsetxattr(file, name, value, XattrFlags::empty()))
}

/// Sets the attributes of an entry of a directory, itself.
pub(super) fn set_on_entry(
    parent: BorrowedFd<'_>,
    name: &CStr,
    attributes: &[Attribute],
) -> Result<(), Errno> {
    if attributes.is_empty() {
        return Ok(());
    }
    let path = &*path(parent, name)?;
    each(attributes, |name, value| lsetxattr(path, name, value, XattrFlags::empty()))
}

fn each(attributes: &[Attribute], set: impl Fn(&CStr, &[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
    for (name, value) in attributes {
        let name = CString::new(name.clone()).map_err(|_| Errno::INVAL)?;
        set(&name, value)?;
    }
    Ok(())
}

/// There are no calls for attributes that take a directory and a name, but the kernel gives every directory a path.
fn path(parent: BorrowedFd<'_>, name: &CStr) -> Result<CString, Errno> {
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    CString::new(path).map_err(|_| Errno::INVAL)
}
