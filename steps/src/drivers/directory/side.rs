//! One side of a pair as a survey reads it: a tree that is here, or what another host told of one.

use std::{ffi::OsStr, io::Error, os::unix::ffi::OsStrExt, path::Path};

use rustix::io::{self, Errno};

use super::{
    compare::refuse_mounts,
    index::Index,
    list::{Buffer, Listed, list},
    remove::{Size, measure},
    stat::Stat,
    tree::Tree,
};
use crate::{context::Work, failure::Failure};

/// A side.
#[derive(Clone, Copy)]
pub(super) enum Side<'a> {
    /// A tree that is here.
    Here(&'a Tree),
    /// A tree on another host: every entry as it was found there, and where it is, in words for an operator.
    Told(&'a Index, &'a Path),
}

impl<'a> From<&'a Tree> for Side<'a> {
    fn from(tree: &'a Tree) -> Self {
        Self::Here(tree)
    }
}

impl Side<'_> {
    /// A directory itself, and its entries in the order of their names.
    pub(super) fn read(&self, path: &[u8], buffer: &mut Buffer) -> io::Result<(Stat, Vec<Listed>)> {
        let index = match self {
            Self::Here(tree) => {
                let opened = tree.directory(path)?;
                return Ok((Stat::of(&opened)?, list(&opened, buffer)?));
            }
            Self::Told(index, _) => index,
        };
        let mut items = index.items(path);
        let own = items.next().ok_or(Errno::NOENT)?.primary;
        Ok((own, items.map(|item| Listed { name: item.name.into(), stat: item.primary }).collect()))
    }

    /// One entry of a directory.
    pub(super) fn look(&self, directory: &[u8], name: &[u8]) -> io::Result<Stat> {
        match self {
            Self::Here(tree) => tree.directory(directory).and_then(|parent| Stat::at(&parent, name)),
            Self::Told(index, _) => {
                let mut items = index.items(directory).skip(1);
                items.find(|item| item.name == name).map(|item| item.primary).ok_or(Errno::NOENT)
            }
        }
    }

    /// Refuses what has another file system mounted below it. Of a tree elsewhere, its host has done so.
    pub(super) fn refuse_mounts(&self, path: &[u8], listed: &[Listed]) -> Result<(), Failure> {
        match self {
            Self::Here(tree) => refuse_mounts(tree, path, listed),
            Self::Told(..) => Ok(()),
        }
    }

    /// Measures an entry and all that it holds.
    pub(super) fn measure(&self, path: &[u8], stat: &Stat, work: &Work) -> Result<Size, Failure> {
        match self {
            Self::Here(tree) => measure(tree, path, stat, work),
            Self::Told(index, _) if stat.is_directory() => Ok(index.size_below(path)),
            Self::Told(..) => Ok(Size { entries: 1, allocated: stat.needed() }),
        }
    }

    /// The failure of doing something to an entry of a directory of it.
    pub(super) fn failure(&self, doing: &str, directory: &[u8], name: &[u8], error: Errno) -> Failure {
        match self {
            Self::Here(tree) => tree.failure(doing, directory, name, error),
            Self::Told(_, root) => {
                let path = root.join(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name));
                Failure::io(doing, &path, &Error::from(error))
            }
        }
    }
}
