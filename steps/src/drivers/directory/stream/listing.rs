//! A copy as it is found, for the other host.

use super::super::{
    compare::refuse_mounts,
    index::{Entry, Evidence, Header, Writer},
    list::{Buffer, list},
    progress::Counter,
    stat::{Moment, Stat},
    tree::{Tree, join},
    walk::walk,
};
use crate::{context::Work, failure::Failure};

/// Lists a tree in the form of an index.
pub(super) fn listing(tree: &Tree, work: &Work) -> Result<Vec<u8>, Failure> {
    let counter = Counter::new(work, None, None);
    let mut directories = walk(vec![Vec::new()], Buffer::new, |buffer, path, found| {
        let failure = |error| tree.failure("read the directory", &path, b"", error);
        let opened = tree.directory(&path).map_err(failure)?;
        let own = Stat::of(&opened).map_err(failure)?;
        let listed = list(&opened, buffer).map_err(failure)?;
        refuse_mounts(tree, &path, &listed)?;
        counter.add(0, 0)?;
        found.extend(listed.iter().filter(|e| e.stat.is_directory()).map(|e| join(&path, &e.name)));
        let entries: Vec<Entry> = listed.into_iter().map(|e| entry(e.name, e.stat)).collect();
        Ok((path, entry(Box::default(), own), entries))
    })?;
    directories.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut writer = Writer::new(&Header { pair: [0; 32], pass: 0, moment: Moment::default() }, 0);
    for (path, own, entries) in &directories {
        writer.directory(path, own, entries);
    }
    Ok(writer.finish())
}

fn entry(name: Box<[u8]>, stat: Stat) -> Entry {
    Entry { name, primary: stat, copy: Evidence::of(&stat) }
}
