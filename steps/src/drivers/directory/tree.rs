//! A directory tree whose entries are reached without ever leaving it: no symbolic link is followed, no mount crossed.

use std::{
    ffi::OsStr,
    io::Error,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::{self, Errno},
};

use crate::failure::Failure;

/// The longest relative path that is handed to the system at once; it takes 4096 bytes.
const LONGEST: usize = 3500;
/// How often an opening is tried again when a rename elsewhere disturbed it.
const DISTURBED: usize = 100;

/// A tree, by its root's descriptor.
pub(super) struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

impl Tree {
    /// Opens the tree at `path`, which an operator named: symbolic links in it are followed.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|error| Failure::io("open the directory", path, &error.into()))?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// The root's descriptor.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Where it is, in words for an operator.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory of the tree, given relative to its root; the root itself if that is empty. However deep.
    pub(super) fn directory(&self, relative: &[u8]) -> io::Result<OwnedFd> {
        let mut at = None;
        let mut rest = relative;
        loop {
            let (head, tail) = cut(rest);
            let parent = at.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            let opened = open_beneath(parent, if head.is_empty() { b"." } else { head })?;
            if tail.is_empty() {
                return Ok(opened);
            }
            at = Some(opened);
            rest = tail;
        }
    }

    /// The failure of doing something to an entry of a directory of the tree.
    pub(super) fn failure(&self, doing: &str, directory: &[u8], name: &[u8], error: Errno) -> Failure {
        let path = self.path.join(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name));
        Failure::io(doing, &path, &Error::from(error))
    }
}

/// Splits a path after at most [`LONGEST`] bytes, at a slash.
fn cut(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= LONGEST {
        return (path, &[]);
    }
    match path[..LONGEST].iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, &[]),
    }
}

fn open_beneath(parent: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    for _ in 0..DISTURBED {
        match rustix::fs::openat2(parent, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// `directory/name`, relative to a root.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if !directory.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// A relative path in words: control characters and what is not UTF-8 are escaped.
pub(super) fn words(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.escape_ascii().to_string(),
    }
}
