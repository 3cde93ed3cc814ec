//! The side that is written: what is there too much goes, directories and further names are made, and what was put in its
//! place is recorded and counted, wherever it came from.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use resplit_operations::pair::CopyReport;
use rustix::{
    fs::{AtFlags, Mode},
    io::Errno,
};

use super::{
    compare::{Change, Direction, Visited},
    index::{Entry, Evidence},
    links::Link,
    place::Placed,
    progress::Counter,
    remove::remove,
    spot::make_temporary,
    stat::Stat,
    survey::Survey,
    tree::{Tree, join, words},
};
use crate::{context::Work, failure::Failure};

/// What is written to.
pub(super) struct Onto<'a> {
    pub(super) to: &'a Tree,
    pub(super) direction: Direction,
    /// Whether the whole copy is new, and known to nobody before it is complete.
    pub(super) is_new: bool,
    pub(super) work: &'a Work,
}

/// What was counted on the way, from several threads.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) changed: AtomicU64,
    removed: AtomicU64,
    copied: AtomicU64,
    lost: AtomicU64,
    lost_bytes: AtomicU64,
    fuzzy: Mutex<Vec<Vec<u8>>>,
}

pub(super) fn add(counter: &AtomicU64, value: u64) {
    let _ = counter.fetch_add(value, Ordering::Relaxed);
}

impl Tally {
    /// Notes that an entry changed while it was copied.
    pub(super) fn fuzzy(&self, path: Vec<u8>) {
        self.fuzzy.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }
}

impl Onto<'_> {
    /// Removes what is there too much and makes directories.
    pub(super) fn prepare(&self, directory: &Visited, tally: &Tally) -> Result<(), Failure> {
        for removal in &directory.removals {
            self.remove(&directory.path, &removal.name, removal.stat.is_directory(), tally)?;
        }
        let Some(entries) = &directory.entries else { return Ok(()) };
        for change in &directory.changes {
            let name = &entries[change.slot].name;
            if let Some(present) = change.to.filter(|to| to.kind() != change.from.kind()) {
                self.remove(&directory.path, name, present.is_directory(), tally)?;
            }
            if change.from.is_directory() {
                let parent = self.open_copy(&directory.path)?;
                rustix::fs::mkdirat(&parent, &**name, Mode::RWXU)
                    .map_err(|error| self.to.failure("make the directory", &directory.path, name, error))?;
                add(&tally.changed, 1);
            }
        }
        self.work.check()
    }

    pub(super) fn remove(
        &self,
        directory: &[u8],
        name: &[u8],
        is_directory: bool,
        tally: &Tally,
    ) -> Result<(), Failure> {
        let size = remove(self.to, directory, name, is_directory, self.work)?;
        add(&tally.removed, size.entries);
        Ok(())
    }

    pub(super) fn open_copy(&self, path: &[u8]) -> Result<rustix::fd::OwnedFd, Failure> {
        self.to.directory(path).map_err(|error| self.to.failure("open the directory", path, b"", error))
    }

    /// What the index to come says of an entry that was put in its place; and counts it.
    pub(super) fn record(
        &self,
        path: &[u8],
        name: &[u8],
        change: &Change,
        placed: &Placed,
        tally: &Tally,
    ) -> Entry {
        let fuzzy = || {
            tally.fuzzy(join(path, name));
        };
        match placed {
            Placed::Whole(whole) => {
                add(&tally.changed, u64::from(whole.written));
                add(&tally.copied, whole.copied);
                if whole.fuzzy {
                    fuzzy();
                    return doubtful(whole.from);
                }
                entry(self.direction, &whole.from, &whole.to)
            }
            Placed::Vanished => {
                fuzzy();
                add(&tally.lost, 1);
                add(&tally.lost_bytes, change.from.content());
                doubtful(change.from)
            }
        }
    }

    /// Makes the further names of files.
    pub(super) fn link(
        &self,
        survey: &mut Survey,
        counter: &Counter<'_>,
        tally: &Tally,
    ) -> Result<(), Failure> {
        for link in &survey.links {
            let (leader, member) = (&survey.visited[link.leader.0], &survey.visited[link.member.0]);
            let name = |slot: usize, directory: &Visited| -> Box<[u8]> {
                directory.entries.as_ref().map(|entries| entries[slot].name.clone()).unwrap_or_default()
            };
            let (leader_name, name) = (name(link.leader.1, leader), name(link.member.1, member));
            if let Some(present) = link.present.filter(|present| !present.is_file()) {
                self.remove(&member.path, &name, present.is_directory(), tally)?;
            }
            let (to, from) = (self.open_copy(&member.path)?, self.open_copy(&leader.path)?);
            let temporary = make_temporary(&mut |temporary| {
                rustix::fs::linkat(&from, &*leader_name, &to, temporary, AtFlags::empty())
            });
            let linked = temporary.and_then(|temporary| {
                rustix::fs::renameat(&to, &*temporary, &to, &*name)?;
                // Where both names were one file already, the renaming has done nothing and left both.
                match rustix::fs::unlinkat(&to, &*temporary, AtFlags::empty()) {
                    Err(Errno::NOENT) | Ok(()) => Ok(()),
                    Err(error) => Err(error),
                }
            });
            match linked {
                Ok(()) => add(&tally.changed, 1),
                // The leader vanished while it was copied.
                Err(Errno::NOENT) => {
                    tally.fuzzy(join(&member.path, &name));
                    add(&tally.lost, 1);
                }
                Err(error) => return Err(self.to.failure("link", &member.path, &name, error)),
            }
            counter.add(1, 0)?;
        }
        self.record_links(survey)
    }

    /// Looks again at every file that was linked: the linking changed it.
    fn record_links(&self, survey: &mut Survey) -> Result<(), Failure> {
        let Survey { visited, links, .. } = survey;
        for Link { leader, member, stat, .. } in links {
            for (at, slot) in [*leader, *member] {
                let directory = &mut visited[at];
                let Some(entry_there) = directory.entries.as_mut().and_then(|entries| entries.get_mut(slot))
                else {
                    continue;
                };
                let to = self
                    .to
                    .directory(&directory.path)
                    .and_then(|opened| Stat::at(&opened, &*entry_there.name));
                let record = match to {
                    Ok(to) if at == member.0 && slot == member.1 => entry(self.direction, stat, &to),
                    Ok(to) => relinked(self.direction, entry_there, &to),
                    Err(Errno::NOENT) => doubtful(*stat),
                    Err(error) => {
                        return Err(self.to.failure("look at", &directory.path, &entry_there.name, error));
                    }
                };
                let name = std::mem::take(&mut entry_there.name);
                *entry_there = Entry { name, ..record };
            }
        }
        Ok(())
    }

    /// The directories whose attributes have to be given, by their depth.
    pub(super) fn levels(survey: &Survey) -> BTreeMap<usize, Vec<usize>> {
        let depth = |path: &[u8]| {
            if path.is_empty() { 0 } else { path.split(|byte| *byte == b'/').count() }
        };
        let mut levels: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, directory) in survey.visited.iter().enumerate().filter(|(_, directory)| directory.touched) {
            levels.entry(depth(&directory.path)).or_default().push(at);
        }
        levels
    }
}

/// What the index says of an entry that is equal on both sides.
pub(super) fn entry(direction: Direction, from: &Stat, to: &Stat) -> Entry {
    let (primary, copy) = match direction {
        Direction::Resync => (from, to),
        Direction::Restore => (to, from),
    };
    Entry { name: Box::default(), primary: *primary, copy: Evidence::of(copy) }
}

/// The same, of a file whose copy was linked after that.
fn relinked(direction: Direction, before: &Entry, to: &Stat) -> Entry {
    let mut after = before.clone();
    match direction {
        Direction::Resync => after.copy = Evidence::of(to),
        Direction::Restore => after.primary = *to,
    }
    after
}

/// What the index says of an entry that the next pass has to look at, whatever its times say.
pub(super) fn doubtful(from: Stat) -> Entry {
    let mut primary = from;
    primary.ctime.nanoseconds = u32::MAX;
    Entry { name: Box::default(), primary, copy: Evidence::default() }
}

pub(super) fn report(survey: &Survey, tally: Tally) -> CopyReport {
    let mut fuzzy = tally.fuzzy.into_inner().unwrap_or_else(PoisonError::into_inner);
    fuzzy.sort_unstable();
    CopyReport {
        entries: survey.entries.saturating_sub(tally.lost.into_inner()),
        bytes: survey.bytes.saturating_sub(tally.lost_bytes.into_inner()),
        changed: tally.changed.into_inner(),
        removed: tally.removed.into_inner(),
        copied: tally.copied.into_inner(),
        fuzzy_count: u64::try_from(fuzzy.len()).unwrap_or(u64::MAX),
        notes: Vec::new(),
        fuzzy: fuzzy.iter().take(CopyReport::MOST_FUZZY).map(|path| words(path)).collect(),
    }
}
