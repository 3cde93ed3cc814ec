//! How much a tree holds.

use std::collections::HashSet;

use rustix::io::Errno;

use super::{
    compare::refuse_mounts,
    list::{Buffer, list},
    progress::Counter,
    stat::Stat,
    tree::{Tree, join},
    walk::walk,
};
use crate::{context::Work, failure::Failure};

/// What a tree holds, its root left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::drivers) struct Counted {
    /// Its entries.
    pub(in crate::drivers) entries: u64,
    /// Bytes of content; of a file known by several names, once.
    pub(in crate::drivers) bytes: u64,
    /// Bytes on disk, holes left out.
    pub(in crate::drivers) needed: u64,
}

impl Counted {
    fn add(&mut self, stat: &Stat) {
        self.bytes = self.bytes.saturating_add(stat.content());
        self.needed = self.needed.saturating_add(stat.needed());
    }
}

/// Counts what is in a tree. A directory of another device is an entry, and is not looked into: on btrfs that is a
/// subvolume of its own. What has something mounted below it is refused.
pub(in crate::drivers) fn count(root: &std::path::Path, work: &Work) -> Result<Counted, Failure> {
    let tree = Tree::open(root)?;
    let device = Stat::of(tree.root()).map_err(|error| tree.failure("look at", b"", b"", error))?.dev;
    let counter = Counter::new(work, None, None);
    let found = walk(vec![Vec::new()], Buffer::new, |buffer, path, found| {
        let listed = match tree.directory(&path).and_then(|directory| list(&directory, buffer)) {
            Ok(listed) => listed,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !path.is_empty() => Vec::new(),
            Err(error) => return Err(tree.failure("read the directory", &path, b"", error)),
        };
        refuse_mounts(&tree, &path, &listed)?;
        let mut counted = Counted::default();
        let mut linked = Vec::new();
        for entry in &listed {
            counted.entries += 1;
            if entry.stat.is_linked() {
                linked.push((entry.stat.ino, entry.stat));
            } else {
                counted.add(&entry.stat);
            }
            if entry.stat.is_directory() && entry.stat.dev == device {
                found.push(join(&path, &entry.name));
            }
        }
        counter.add(counted.entries, 0)?;
        Ok((counted, linked))
    })?;
    counter.finish();
    let mut counted = Counted::default();
    let mut seen = HashSet::new();
    for (part, linked) in found {
        counted.entries += part.entries;
        counted.bytes += part.bytes;
        counted.needed = counted.needed.saturating_add(part.needed);
        for (_, stat) in linked.into_iter().filter(|(inode, _)| seen.insert(*inode)) {
            counted.add(&stat);
        }
    }
    Ok(counted)
}
