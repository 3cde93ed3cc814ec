//! A directory that entries are restored into. Every step of a path is taken by descriptor and without following
//! symbolic links, so that nothing is ever written outside.

use std::{
    ffi::{CString, OsStr},
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, Stat, Timespec, Timestamps, fstat, futimens, mkdirat, openat},
    io::Errno,
};

use super::{metadata, pax::Member};
use crate::failure::Failure;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory being restored into, and where in it we are.
pub(super) struct Tree<'a> {
    path: &'a Path,
    root: OwnedFd,
    /// What the root is to be, once everything is in it.
    root_member: Option<Member>,
    /// Whether the root takes the attributes that the dataset has.
    own_root: bool,
    levels: Vec<Level>,
}

struct Level {
    name: Vec<u8>,
    directory: OwnedFd,
    /// What it is to be, once everything is in it; `None` if it was there before.
    member: Option<Member>,
}

impl<'a> Tree<'a> {
    /// Opens a directory, or makes it.
    pub(super) fn open(path: &'a Path, replace: bool) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::io("open the directory", path, error);
        let own_root = replace || !path.exists();
        fs::create_dir_all(path).map_err(|error| failed(&error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty()).map_err(|error| failed(&error.into()))?;
        Ok(Self { path, root, root_member: None, own_root, levels: Vec::new() })
    }

    /// The directory itself.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A path in it, for messages.
    pub(super) fn place(&self, inside: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(inside))
    }

    /// An error at a path in it.
    pub(super) fn failed(&self, doing: &str, inside: &[u8], error: Errno) -> Failure {
        Failure::io(doing, &self.place(inside), &error.into())
    }

    /// The directory that holds a path, and the name in it. Directories that were left behind get their attributes.
    pub(super) fn parent(&mut self, inside: &[u8]) -> Result<(BorrowedFd<'_>, CString), Failure> {
        let (directory, name) = match inside.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&inside[..slash], &inside[slash + 1..]),
            None => (&inside[..0], inside),
        };
        let name = CString::new(name).map_err(|_| self.failed("restore", inside, Errno::INVAL))?;
        self.go(directory)?;
        Ok((self.here(), name))
    }

    /// A directory, made if it is not there.
    pub(super) fn directory(&mut self, inside: &[u8], member: Member) -> Result<(), Failure> {
        if inside.is_empty() {
            self.root_member = self.own_root.then_some(member);
            return Ok(());
        }
        let (parent, name) = self.parent(inside)?;
        let made = mkdirat(parent, &*name, Mode::RWXU);
        let opened = match made {
            Ok(()) | Err(Errno::EXIST) => openat(parent, &*name, DIRECTORY, Mode::empty()),
            Err(error) => Err(error),
        };
        let directory = opened.map_err(|error| self.failed("make the directory", inside, error))?;
        let member = made.is_ok().then_some(member);
        self.levels.push(Level { name: name.into_bytes(), directory, member });
        Ok(())
    }

    /// Leaves every directory: all have their attributes then.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.leave(0)?;
        match self.root_member.take() {
            Some(member) => metadata::of_directory(&self.root, &member)
                .map_err(|error| self.failed("set the attributes of", b"", error)),
            None => Ok(()),
        }
    }

    /// Does something in the directory that holds a path, so that it is not seen in its times.
    pub(super) fn keeping_times(
        &mut self,
        inside: &[u8],
        work: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (parent, _) = self.parent(inside)?;
        let before = fstat(parent);
        work(self)?;
        let (parent, _) = self.parent(inside)?;
        let restored = before.and_then(|before| futimens(parent, &times(&before)));
        restored.map_err(|error| self.failed("set the times of the directory of", inside, error))
    }

    /// The directory that holds a path, and the name in it, without going there.
    pub(super) fn look_up(&self, inside: &[u8]) -> Result<(OwnedFd, CString), Failure> {
        let failed = |error| self.failed("open the directory of", inside, error);
        let mut names: Vec<&[u8]> = inside.split(|byte| *byte == b'/').collect();
        let name = CString::new(names.pop().unwrap_or_default()).map_err(|_| failed(Errno::INVAL))?;
        let mut directory = self.root.try_clone().map_err(|_| failed(Errno::MFILE))?;
        for name in names {
            directory = openat(&directory, name, DIRECTORY, Mode::empty()).map_err(failed)?;
        }
        Ok((directory, name))
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.levels.last().map_or(self.root.as_fd(), |level| level.directory.as_fd())
    }

    fn go(&mut self, directory: &[u8]) -> Result<(), Failure> {
        let names: Vec<&[u8]> =
            directory.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
        let common = names.iter().zip(&self.levels).take_while(|(name, level)| **name == level.name).count();
        self.leave(common)?;
        for name in &names[common..] {
            let opened = openat(self.here(), *name, DIRECTORY, Mode::empty());
            let directory = opened.map_err(|error| self.failed("open the directory", directory, error))?;
            self.levels.push(Level { name: name.to_vec(), directory, member: None });
        }
        Ok(())
    }

    fn leave(&mut self, depth: usize) -> Result<(), Failure> {
        while self.levels.len() > depth {
            let Some(level) = self.levels.pop() else { break };
            if let Some(member) = level.member {
                metadata::of_directory(&level.directory, &member).map_err(|error| {
                    let above: Vec<&[u8]> = self.levels.iter().map(|level| &*level.name).collect();
                    let path = [above.as_slice(), &[&*level.name]].concat().join(&b'/');
                    self.failed("set the attributes of", &path, error)
                })?;
            }
        }
        Ok(())
    }
}

fn times(stat: &Stat) -> Timestamps {
    let time =
        |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanoseconds).unwrap_or(0) };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}
