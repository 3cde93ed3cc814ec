//! Removes, or measures, what is there too much.

use rustix::{fs::AtFlags, io::Errno};

use super::{
    compare::refuse_mounts,
    list::{Buffer, list},
    stat::Stat,
    tree::{Tree, join},
};
use crate::{context::Work, failure::Failure};

/// What a part of a tree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) entries: u64,
    pub(super) allocated: u64,
}

/// Removes an entry, a directory with all that it holds. However deep; nothing outside of the tree is touched, and
/// nothing on another file system.
pub(super) fn remove(
    tree: &Tree,
    directory: &[u8],
    name: &[u8],
    is_directory: bool,
    work: &Work,
) -> Result<Size, Failure> {
    let parent =
        tree.directory(directory).map_err(|e| tree.failure("open the directory", directory, b"", e))?;
    if !is_directory {
        unlink(tree, &parent, directory, name, AtFlags::empty())?;
        return Ok(Size { entries: 1, allocated: 0 });
    }
    let top = join(directory, name);
    let mut size = Size { entries: 1, allocated: 0 };
    let mut found = vec![top];
    let mut at = 0;
    let mut buffer = Buffer::new();
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        work.check()?;
        let failure = |error| tree.failure("empty the directory", &path, b"", error);
        let opened = tree.directory(&path).map_err(failure)?;
        let listed = list(&opened, &mut buffer).map_err(failure)?;
        refuse_mounts(tree, &path, &listed)?;
        for entry in listed {
            size.entries += 1;
            if entry.stat.is_directory() {
                found.push(join(&path, &entry.name));
            } else {
                unlink(tree, &opened, &path, &entry.name, AtFlags::empty())?;
            }
        }
    }
    for path in found.iter().rev() {
        let (above, name) = split(path);
        let opened = tree.directory(above).map_err(|e| tree.failure("open the directory", above, b"", e))?;
        unlink(tree, &opened, above, name, AtFlags::REMOVEDIR)?;
    }
    Ok(size)
}

fn unlink(
    tree: &Tree,
    parent: impl rustix::fd::AsFd,
    directory: &[u8],
    name: &[u8],
    flags: AtFlags,
) -> Result<(), Failure> {
    match rustix::fs::unlinkat(parent, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(tree.failure("remove", directory, name, error)),
    }
}

/// A path's directory and last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Measures an entry and all that it holds. What has something mounted below it is refused.
pub(super) fn measure(tree: &Tree, path: &[u8], stat: &Stat, work: &Work) -> Result<Size, Failure> {
    let mut size = Size { entries: 1, allocated: stat.needed() };
    let mut waiting = if stat.is_directory() { vec![path.to_vec()] } else { Vec::new() };
    let mut buffer = Buffer::new();
    while let Some(path) = waiting.pop() {
        work.check()?;
        let listed = tree
            .directory(&path)
            .and_then(|opened| list(&opened, &mut buffer))
            .map_err(|error| tree.failure("read the directory", &path, b"", error))?;
        refuse_mounts(tree, &path, &listed)?;
        for entry in listed {
            size.entries += 1;
            size.allocated = size.allocated.saturating_add(entry.stat.needed());
            if entry.stat.is_directory() {
                waiting.push(join(&path, &entry.name));
            }
        }
    }
    Ok(size)
}
