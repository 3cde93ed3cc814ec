//! How the entries of one directory differ from their copies.

use rustix::io::Errno;

use super::{
    index::{Entry, Evidence, Index, Item},
    list::{Buffer, Listed},
    side::Side,
    stat::{Moment, Stat},
    tree::{Tree, join},
};
use crate::failure::Failure;

/// Which side is copied to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Primary to secondary.
    Resync,
    /// Secondary to primary.
    Restore,
}

/// What a tree is compared with.
pub(super) enum Against<'a> {
    /// What the index says of the copy: only the original is looked at.
    Index(&'a Index),
    /// The copy as it is. Where the index knows both sides as they are, they are equal.
    Tree { to: Side<'a>, index: Option<&'a Index>, direction: Direction },
    /// A tree of which one side is a snapshot, taken at that moment: what has the same state on both sides has not
    /// changed since, and needs not be read.
    Snapshot { to: Side<'a>, taken: Moment },
    /// There is no copy yet.
    Nothing,
}

/// What has to be done about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Nothing of that name and kind is there.
    Create,
    /// The content differs.
    Content,
    /// The content may differ: it is read.
    Verify,
    /// The content has proven to be equal: attributes may differ.
    Attributes,
}

/// An entry that differs, or may.
#[derive(Debug)]
pub(super) struct Change {
    /// Its place in [`Visited::entries`].
    pub(super) slot: usize,
    pub(super) from: Stat,
    /// What stands in its place.
    pub(super) to: Option<Stat>,
    pub(super) how: How,
}

/// An entry that only the copy has.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) name: Box<[u8]>,
    pub(super) stat: Stat,
}

/// A file known by several names.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) name: Box<[u8]>,
    pub(super) stat: Stat,
}

/// One directory, compared.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) path: Vec<u8>,
    /// The directory itself.
    pub(super) own: Stat,
    /// Its place in the index to come; written when its attributes have been.
    pub(super) record: Entry,
    /// Whether its own attributes may differ, or its times will once its entries were written.
    pub(super) touched: bool,
    /// Entries of the original, and bytes of content of those known by one name only.
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// Its entries, for the index to come; `None` if the index has them as they are.
    pub(super) entries: Option<Vec<Entry>>,
    pub(super) changes: Vec<Change>,
    pub(super) removals: Vec<Removal>,
    pub(super) linked: Vec<Linked>,
}

impl Visited {
    /// A directory of which nothing was found yet.
    pub(super) fn new(path: Vec<u8>, own: Stat) -> Self {
        Self {
            path,
            own,
            record: Entry { name: Box::default(), primary: own, copy: Evidence::default() },
            touched: false,
            count: 0,
            bytes: 0,
            entries: None,
            changes: Vec::new(),
            removals: Vec::new(),
            linked: Vec::new(),
        }
    }
}

/// An entry of the copy, and what the index says of it.
struct Other<'a> {
    name: &'a [u8],
    item: Option<Item<'a>>,
    found: Option<Stat>,
}

impl Other<'_> {
    fn stat(&self) -> Option<Stat> {
        self.found.or_else(|| self.item.map(|item| item.primary))
    }
}

/// Compares one directory of `from`, and finds the directories in it.
pub(super) fn visit(
    from: Side<'_>,
    against: &Against<'_>,
    buffer: &mut Buffer,
    path: Vec<u8>,
    found: &mut Vec<Vec<u8>>,
) -> Result<Visited, Failure> {
    let (own, listed, vanished) = match from.read(&path, buffer) {
        Ok((own, listed)) => (own, listed, false),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !path.is_empty() => {
            (Stat { mode: 0o040_700, ..Stat::default() }, Vec::new(), true)
        }
        Err(error) => return Err(from.failure("read the directory", &path, b"", error)),
    };
    from.refuse_mounts(&path, &listed)?;
    let (to_own, to_listed) = match against {
        Against::Tree { to, .. } | Against::Snapshot { to, .. } => read_copy(*to, &path, buffer)?,
        _ => (None, Vec::new()),
    };
    let index = match against {
        Against::Index(index) => Some(*index),
        Against::Tree { index, .. } => *index,
        Against::Snapshot { .. } | Against::Nothing => None,
    };
    let taken = if let Against::Snapshot { taken, .. } = against { Some(*taken) } else { None };
    let mut items = index.map(|index| index.items(&path));
    let own_item = items.as_mut().and_then(Iterator::next);
    let others: Vec<Other<'_>> = match (against, items) {
        (Against::Index(_), Some(items)) => {
            items.map(|item| Other { name: item.name, item: Some(item), found: None }).collect()
        }
        (_, items) => with_items(&to_listed, items.into_iter().flatten()),
    };
    let mut visited = Visited::new(path, own);
    visited.count = u64::try_from(listed.len()).unwrap_or(u64::MAX);
    visited.touched = vanished;
    let judge = Judge { index, direction: against.direction(), taken };
    let own_other = Other { name: b"", item: own_item, found: to_own };
    if judge.is_unchanged(&own, &own_other) && !vanished {
        visited.record = judge.record(Box::default(), &own, &own_other);
    } else {
        visited.touched = true;
    }
    judge.join(&mut visited, &listed, &others, matches!(against, Against::Index(_)));
    found.extend(listed.iter().filter(|e| e.stat.is_directory()).map(|e| join(&visited.path, &e.name)));
    Ok(visited)
}

impl Against<'_> {
    fn direction(&self) -> Direction {
        match self {
            Self::Tree { direction, .. } => *direction,
            _ => Direction::Resync,
        }
    }
}

/// Refuses what has another file system mounted below it: it is a volume of its own.
pub(super) fn refuse_mounts(tree: &Tree, path: &[u8], listed: &[Listed]) -> Result<(), Failure> {
    let Some(mount) = listed.iter().find(|entry| entry.stat.mounted) else { return Ok(()) };
    let place = super::tree::words(&join(path, &mount.name));
    Err(Failure::refused(format!(
        "something is mounted at {place} below {}: nested mounts cannot be copied together",
        tree.path().display()
    ))
    .with_help(format!("unmount {place}, or declare it as a volume of its own outside this one")))
}

/// The copy's own state and entries; nothing if it is not there.
fn read_copy(to: Side<'_>, path: &[u8], buffer: &mut Buffer) -> Result<(Option<Stat>, Vec<Listed>), Failure> {
    match to.read(path, buffer) {
        Ok((own, listed)) => {
            to.refuse_mounts(path, &listed)?;
            Ok((Some(own), listed))
        }
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok((None, Vec::new())),
        Err(error) => Err(to.failure("read the directory", path, b"", error)),
    }
}

/// Joins what was found with what the index says of it; both are in the order of names.
fn with_items<'a>(listed: &'a [Listed], items: impl Iterator<Item = Item<'a>>) -> Vec<Other<'a>> {
    let mut items = items.peekable();
    listed
        .iter()
        .map(|entry| {
            while items.next_if(|item| item.name < &*entry.name).is_some() {}
            let item = items.next_if(|item| item.name == &*entry.name);
            Other { name: &entry.name, item, found: Some(entry.stat) }
        })
        .collect()
}

/// Says what differs.
struct Judge<'a> {
    index: Option<&'a Index>,
    direction: Direction,
    /// When one side was made a snapshot of the other.
    taken: Option<Moment>,
}

impl Judge<'_> {
    /// Whether both sides are known to be as they were when they were equal. A change in the tick in which the last
    /// pass began may not show in the times: what has such a time counts as changed.
    fn is_unchanged(&self, from: &Stat, other: &Other<'_>) -> bool {
        if let (Some(taken), Some(to)) = (self.taken, &other.found) {
            // Only a file's content can change in the tick of the snapshot without its state showing it.
            return from.is_as(to) && (from.ctime < taken || !from.is_file());
        }
        let (Some(index), Some(item)) = (self.index, other.item) else { return false };
        let (primary, copy) = match (self.direction, &other.found) {
            (Direction::Resync, copy) => (from, copy.as_ref()),
            (Direction::Restore, Some(primary)) => (primary, Some(from)),
            (Direction::Restore, None) => return false,
        };
        primary.is_as(&item.primary)
            && primary.ctime < index.header.moment
            && copy.is_none_or(|copy| Evidence::of(copy) == item.copy)
    }

    /// What the index to come says of an entry that is equal.
    fn record(&self, name: Box<[u8]>, from: &Stat, other: &Other<'_>) -> Entry {
        let copy = other.item.map(|item| item.copy).unwrap_or_default();
        let primary = match (self.direction, &other.found) {
            (Direction::Restore, Some(primary)) => *primary,
            _ => *from,
        };
        Entry { name, primary, copy }
    }

    /// Finds what differs. Where `may_keep` allows it and nothing does, the entries are left to the index.
    fn join(&self, visited: &mut Visited, listed: &[Listed], others: &[Other<'_>], may_keep: bool) {
        let mut rest = others.iter().peekable();
        let mut equal = Vec::with_capacity(listed.len());
        let removal =
            |other: &Other<'_>| Removal { name: other.name.into(), stat: other.stat().unwrap_or_default() };
        for (slot, entry) in listed.iter().enumerate() {
            while let Some(other) = rest.next_if(|other| other.name < &*entry.name) {
                visited.removals.push(removal(other));
            }
            let other = rest.next_if(|other| other.name == &*entry.name);
            if entry.stat.is_linked() {
                visited.linked.push(Linked { name: entry.name.clone(), stat: entry.stat });
            } else {
                visited.bytes += entry.stat.content();
            }
            let how = self.judge(&entry.stat, other);
            if let Some(how) = how {
                let to = other.and_then(Other::stat);
                visited.changes.push(Change { slot, from: entry.stat, to, how });
            }
            equal.push(other.filter(|_| how.is_none()));
        }
        visited.removals.extend(rest.map(removal));
        if may_keep && visited.changes.is_empty() && visited.removals.is_empty() {
            return;
        }
        visited.touched = visited.touched || !visited.changes.is_empty() || !visited.removals.is_empty();
        let entries = listed.iter().zip(equal).map(|(entry, equal)| match equal {
            Some(other) => self.record(entry.name.clone(), &entry.stat, other),
            None => Entry { name: entry.name.clone(), primary: entry.stat, copy: Evidence::default() },
        });
        visited.entries = Some(entries.collect());
    }

    /// What has to be done; `None` if it is equal. Directories are compared when they are visited themselves.
    fn judge(&self, from: &Stat, other: Option<&Other<'_>>) -> Option<How> {
        let Some(other) = other else { return Some(How::Create) };
        let to = other.stat()?;
        if from.kind() != to.kind() {
            return Some(How::Create);
        }
        if from.is_directory() || self.is_unchanged(from, other) {
            return None;
        }
        // Times of what was not made by a pass prove nothing, so equal ones only save no reading.
        let is_same_size = (from.size, from.mtime) == (to.size, to.mtime);
        Some(if from.is_file() && (!is_same_size || from.nlink > 1 || to.nlink > 1) {
            How::Content
        } else {
            How::Verify
        })
    }
}
