//! Walks a tree in the order of names, by descriptors, without following symbolic links.

use std::{
    ffi::{CStr, CString, OsStr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat},
    io::Errno,
};

use crate::failure::Failure;

/// Something that was found.
pub(super) struct Found<'a> {
    /// Its path in the archive: the volume's name, and its path in the volume.
    pub(super) path: &'a [u8],
    /// The directory it is in.
    pub(super) parent: BorrowedFd<'a>,
    /// Its name there.
    pub(super) name: &'a CStr,
    /// Itself, if it is a directory.
    pub(super) directory: Option<BorrowedFd<'a>>,
    /// What the system says of it.
    pub(super) stat: &'a Stat,
    /// The root of the volume, for messages.
    root: &'a Path,
    prefix: usize,
}

impl Found<'_> {
    /// Where it is, for messages.
    pub(super) fn place(&self) -> PathBuf {
        place(self.root, self.prefix, self.path)
    }

    /// What it is.
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

fn place(root: &Path, prefix: usize, path: &[u8]) -> PathBuf {
    path.get(prefix + 1..).map_or_else(|| root.to_owned(), |inside| root.join(OsStr::from_bytes(inside)))
}

/// Who is told.
pub(super) trait Visitor {
    /// An entry; a directory comes before what is in it.
    fn entry(&mut self, found: &Found<'_>) -> Result<(), Failure>;

    /// A name that was listed and was gone when it was looked at.
    fn vanished(&mut self, path: &[u8]);
}

struct Level {
    directory: OwnedFd,
    names: std::vec::IntoIter<CString>,
    length: usize,
}

/// Walks the tree at `root`, whose entries are under `prefix` in the archive.
pub(super) fn walk(root: &Path, prefix: &str, visitor: &mut impl Visitor) -> Result<(), Failure> {
    let failed =
        |path: &[u8], error: Errno| Failure::io("read", &place(root, prefix.len(), path), &error.into());
    let mut path = prefix.as_bytes().to_vec();
    let name = CString::new(root.as_os_str().as_bytes())
        .map_err(|_| Failure::permanent(format!("{} is no path", root.display())))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, &*name, flags, Mode::empty()).map_err(|error| failed(&path, error))?;
    let stat = fstat(&directory).map_err(|error| failed(&path, error))?;
    visitor.entry(&Found {
        path: &path,
        parent: CWD,
        name: &name,
        directory: Some(directory.as_fd()),
        stat: &stat,
        root,
        prefix: prefix.len(),
    })?;
    let names = list(&directory).map_err(|error| failed(&path, error))?;
    let mut levels = vec![Level { directory, names, length: path.len() }];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.next() else {
            let _ = levels.pop();
            continue;
        };
        path.truncate(level.length);
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        let stat = match statat(&level.directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => {
                visitor.vanished(&path);
                continue;
            }
            Err(error) => return Err(failed(&path, error)),
        };
        let mut found = Found {
            path: &path,
            parent: level.directory.as_fd(),
            name: &name,
            directory: None,
            stat: &stat,
            root,
            prefix: prefix.len(),
        };
        if found.file_type() != FileType::Directory {
            visitor.entry(&found)?;
            continue;
        }
        let directory = match openat(&level.directory, &*name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => {
                visitor.vanished(&path);
                continue;
            }
            Err(error) => return Err(failed(&path, error)),
        };
        found.directory = Some(directory.as_fd());
        visitor.entry(&found)?;
        let names = list(&directory).map_err(|error| failed(&path, error))?;
        levels.push(Level { directory, names, length: path.len() });
    }
    Ok(())
}

/// The names in a directory, sorted by their bytes.
fn list(directory: &OwnedFd) -> Result<std::vec::IntoIter<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names.into_iter())
}
