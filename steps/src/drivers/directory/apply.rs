//! Makes the copy equal to the original, in four sweeps: what is there too much is removed and directories are made;
//! files are copied, on several threads; further names are linked; directories get their attributes.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use resplit_operations::pair::CopyReport;
use rustix::{
    fd::AsFd,
    fs::{AtFlags, Mode},
    io::Errno,
};

use super::{
    attributes::{self, Target},
    compare::{Change, Direction, Visited},
    content::Copier,
    index::{Entry, Evidence},
    links::Link,
    place::{Place, Placed, Trouble, make_temporary},
    progress::Counter,
    remove::remove,
    stat::Stat,
    survey::Survey,
    tree::{Tree, join, words},
    walk::walk_slices,
};
use crate::{context::Work, failure::Failure};

/// Entries of one directory that one thread takes at a time.
const SHARE: usize = 256;

/// Both sides, and how they are made equal.
pub(super) struct Apply<'a> {
    pub(super) from: &'a Tree,
    pub(super) to: &'a Tree,
    pub(super) direction: Direction,
    /// Whether the whole copy is new, and known to nobody before it is complete.
    pub(super) is_new: bool,
    pub(super) copier: &'a Copier,
    pub(super) work: &'a Work,
}

/// What was counted on the way, from several threads.
#[derive(Default)]
struct Tally {
    changed: AtomicU64,
    removed: AtomicU64,
    copied: AtomicU64,
    lost: AtomicU64,
    lost_bytes: AtomicU64,
    fuzzy: Mutex<Vec<Vec<u8>>>,
}

fn add(counter: &AtomicU64, value: u64) {
    let _ = counter.fetch_add(value, Ordering::Relaxed);
}

/// Part of a directory's changes, and what came of each.
struct Share<'a> {
    at: usize,
    directory: &'a Visited,
    changes: &'a [Change],
}

impl Apply<'_> {
    /// Does it; what was found is completed for the index to come.
    pub(super) fn run(&self, survey: &mut Survey) -> Result<CopyReport, Failure> {
        let tally = Tally::default();
        let counter = Counter::new(self.work, Some(survey.to_do()), None);
        for directory in &survey.visited {
            self.prepare(directory, &tally)?;
        }
        self.copy(&mut survey.visited, &counter, &tally)?;
        self.link(survey, &counter, &tally)?;
        self.finish(survey, &tally)?;
        counter.finish();
        Ok(report(survey, tally))
    }

    /// Removes what is there too much and makes directories.
    fn prepare(&self, directory: &Visited, tally: &Tally) -> Result<(), Failure> {
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

    fn remove(
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

    fn open_copy(&self, path: &[u8]) -> Result<rustix::fd::OwnedFd, Failure> {
        self.to.directory(path).map_err(|error| self.to.failure("open the directory", path, b"", error))
    }

    /// Copies all that is neither a directory nor a further name.
    fn copy(&self, visited: &mut [Visited], counter: &Counter<'_>, tally: &Tally) -> Result<(), Failure> {
        let shares: Vec<Share<'_>> = visited
            .iter()
            .enumerate()
            .flat_map(|(at, directory)| {
                directory.changes.chunks(SHARE).map(move |changes| Share { at, directory, changes })
            })
            .collect();
        let results = walk_slices(&shares, |share| Ok((share.at, self.copy_share(share, counter, tally)?)))?;
        for (at, placed) in results {
            let Some(entries) = &mut visited[at].entries else { continue };
            for (slot, record) in placed {
                let name = std::mem::take(&mut entries[slot].name);
                entries[slot] = Entry { name, ..record };
            }
        }
        Ok(())
    }

    fn copy_share(
        &self,
        share: &Share<'_>,
        counter: &Counter<'_>,
        tally: &Tally,
    ) -> Result<Vec<(usize, Entry)>, Failure> {
        let path = &share.directory.path;
        let mut records = Vec::with_capacity(share.changes.len());
        let (Some(entries), true) =
            (&share.directory.entries, share.changes.iter().any(|change| !change.from.is_directory()))
        else {
            return Ok(records);
        };
        let to = self.open_copy(path)?;
        let from = match self.from.directory(path) {
            Ok(from) => Some(from),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            Err(error) => return Err(self.from.failure("open the directory", path, b"", error)),
        };
        for change in share.changes.iter().filter(|change| !change.from.is_directory()) {
            let name = &*entries[change.slot].name;
            let told = |bytes| counter.add(0, bytes);
            let present = change.to.as_ref().filter(|to| to.kind() == change.from.kind());
            let place = from.as_ref().map(|from| Place {
                from: from.as_fd(),
                to: to.as_fd(),
                name,
                stat: &change.from,
                present,
                how: change.how,
                is_new: self.is_new,
                copier: self.copier,
                told: &told,
            });
            let placed = match place.map_or(Ok(Placed::Vanished), |place| place.put()) {
                Ok(placed) => placed,
                Err(Trouble::Asked(failure)) => return Err(failure),
                Err(Trouble::Refused(doing, error)) => {
                    return Err(self.trouble(doing, path, name, error));
                }
            };
            if matches!(placed, Placed::Vanished) && present.is_some() {
                let _ = remove(self.to, path, name, false, self.work)?;
            }
            records.push((change.slot, self.record(path, name, change, &placed, tally)));
            counter.add(1, 0)?;
        }
        Ok(records)
    }

    /// Names both sides, since either may be what refused.
    fn trouble(&self, doing: &str, path: &[u8], name: &[u8], error: Errno) -> Failure {
        let failure = self.from.failure(doing, path, name, error);
        let message = format!("{} (its copy is in {})", failure.message, self.to.path().display());
        Failure { message, ..failure }
    }

    /// What the index to come says of an entry that was put in its place; and counts it.
    fn record(&self, path: &[u8], name: &[u8], change: &Change, placed: &Placed, tally: &Tally) -> Entry {
        let fuzzy = || {
            tally.fuzzy.lock().unwrap_or_else(PoisonError::into_inner).push(join(path, name));
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
    fn link(&self, survey: &mut Survey, counter: &Counter<'_>, tally: &Tally) -> Result<(), Failure> {
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
                    let fuzzy = join(&member.path, &name);
                    tally.fuzzy.lock().unwrap_or_else(PoisonError::into_inner).push(fuzzy);
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

    /// Gives directories their attributes: their entries are in their places. The deepest first, so that one that may
    /// not be searched is closed after what it holds.
    fn finish(&self, survey: &mut Survey, tally: &Tally) -> Result<(), Failure> {
        let depth = |path: &[u8]| {
            if path.is_empty() { 0 } else { path.split(|byte| *byte == b'/').count() }
        };
        let mut levels: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, directory) in survey.visited.iter().enumerate().filter(|(_, directory)| directory.touched) {
            levels.entry(depth(&directory.path)).or_default().push(at);
        }
        for level in levels.values().rev() {
            let visited = &survey.visited;
            let records = walk_slices(level, |at| Ok((*at, self.finish_one(&visited[*at], tally)?)))?;
            for (at, record) in records {
                survey.visited[at].record = record;
            }
        }
        Ok(())
    }

    fn finish_one(&self, directory: &Visited, tally: &Tally) -> Result<Entry, Failure> {
        let path = &directory.path;
        let to = self.open_copy(path)?;
        let from = match self.from.directory(path) {
            Ok(from) => from,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                tally.fuzzy.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
                return Ok(doubtful(directory.own));
            }
            Err(error) => return Err(self.from.failure("open the directory", path, b"", error)),
        };
        let looked = |error| self.to.failure("look at", path, b"", error);
        let present = Stat::of(&to).map_err(looked)?;
        let written = attributes::copy(
            (Target::Open(from.as_fd()), &directory.own),
            (Target::Open(to.as_fd()), &present),
        )
        .map_err(|(doing, error)| self.trouble(doing, path, b"", error))?;
        if written && directory.changes.is_empty() && directory.removals.is_empty() {
            add(&tally.changed, 1);
        }
        let placed = Stat::of(&to).map_err(looked)?;
        Ok(entry(self.direction, &directory.own, &placed))
    }
}

/// What the index says of an entry that is equal on both sides.
fn entry(direction: Direction, from: &Stat, to: &Stat) -> Entry {
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
fn doubtful(from: Stat) -> Entry {
    let mut primary = from;
    primary.ctime.nanoseconds = u32::MAX;
    Entry { name: Box::default(), primary, copy: Evidence::default() }
}

fn report(survey: &Survey, tally: Tally) -> CopyReport {
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
