//! Files known by several names: one copy is made, and known by the same names.

use std::collections::HashMap;

use super::{
    compare::{Change, How, Visited},
    index::Index,
    stat::Stat,
};

/// A place in what was visited: directory, entry.
pub(super) type Slot = (usize, usize);

/// A name that becomes another one of a file that is copied.
pub(super) struct Link {
    pub(super) leader: Slot,
    pub(super) member: Slot,
    pub(super) stat: Stat,
    /// What stands in its place.
    pub(super) present: Option<Stat>,
}

/// One name: its directory's place, itself, and what it is a name of.
type Member = (usize, Box<[u8]>, Stat);

/// Finds the groups of which a member differs: the first member is copied, the others become links to it. What is in
/// such a group is taken out of the directories' changes, but for the first. Counts the content of every group once.
pub(super) fn group(visited: &mut [Visited], index: Option<&Index>) -> Vec<Link> {
    let mut groups: HashMap<(u64, u64), Vec<Member>> = HashMap::new();
    for (at, directory) in visited.iter_mut().enumerate() {
        for linked in std::mem::take(&mut directory.linked) {
            let group = groups.entry((linked.stat.dev, linked.stat.ino)).or_default();
            if group.is_empty() {
                directory.bytes += linked.stat.content();
            }
            group.push((at, linked.name, linked.stat));
        }
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable_by(|a, b| (a[0].0, &a[0].1).cmp(&(b[0].0, &b[0].1)));
    let mut links = Vec::new();
    for group in groups {
        if !group.iter().any(|(at, name, _)| changed(&visited[*at], name).is_some()) {
            continue;
        }
        let mut leader = None;
        for (at, name, stat) in group {
            let Some(slot) = ensure_changed(&mut visited[at], index, &name, stat) else { continue };
            match leader {
                None => leader = Some((at, slot)),
                Some(leader) => {
                    let present = take(&mut visited[at], slot).and_then(|change| change.to);
                    links.push(Link { leader, member: (at, slot), stat, present });
                }
            }
        }
    }
    links
}

fn slot(directory: &Visited, name: &[u8]) -> Option<usize> {
    let entries = directory.entries.as_ref()?;
    entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()
}

fn changed(directory: &Visited, name: &[u8]) -> Option<usize> {
    let slot = slot(directory, name)?;
    directory.changes.binary_search_by_key(&slot, |change| change.slot).ok()
}

/// Makes sure that an entry is among the changes, and gives its place.
fn ensure_changed(directory: &mut Visited, index: Option<&Index>, name: &[u8], from: Stat) -> Option<usize> {
    if directory.entries.is_none() {
        let known = index.map(|index| index.items(&directory.path).skip(1).map(|item| item.entry()));
        directory.entries = Some(known.into_iter().flatten().collect());
    }
    directory.touched = true;
    let slot = slot(directory, name)?;
    if let Err(at) = directory.changes.binary_search_by_key(&slot, |change| change.slot) {
        // It is equal, so what stands in its place is a file.
        let change = Change { slot, from, to: Some(from), how: How::Content };
        directory.changes.insert(at, change);
    }
    Some(slot)
}

fn take(directory: &mut Visited, slot: usize) -> Option<Change> {
    let at = directory.changes.binary_search_by_key(&slot, |change| change.slot).ok()?;
    Some(directory.changes.remove(at))
}
