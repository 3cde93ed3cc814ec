//! Makes a copy equal to its original, as a survey found that it differs.

use resplit_operations::pair::CopyReport;
use rustix::{fd::AsFd, io::Errno};

use super::{
    attributes::{self, Target},
    compare::{Change, Visited},
    content::Copier,
    index::Entry,
    onto::{Onto, Tally, add, doubtful, entry, report},
    place::{Place, Placed, Trouble},
    progress::Counter,
    remove::remove,
    spot::Spot,
    stat::Stat,
    survey::Survey,
    tree::Tree,
    walk::walk_slices,
};
use crate::failure::Failure;

/// Entries of one directory that one thread takes at a time.
const SHARE: usize = 256;

/// Both sides, and how they are made equal.
pub(super) struct Apply<'a> {
    pub(super) from: &'a Tree,
    pub(super) onto: Onto<'a>,
    pub(super) copier: &'a Copier,
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
        let counter = Counter::new(self.onto.work, Some(survey.to_do()), None);
        for directory in &survey.visited {
            self.onto.prepare(directory, &tally)?;
        }
        self.copy(&mut survey.visited, &counter, &tally)?;
        self.onto.link(survey, &counter, &tally)?;
        self.finish(survey, &tally)?;
        counter.finish();
        Ok(report(survey, tally))
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
        let to = self.onto.open_copy(path)?;
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
                spot: Spot { to: to.as_fd(), name, present, is_new: self.onto.is_new },
                stat: &change.from,
                how: change.how,
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
                let _ = remove(self.onto.to, path, name, false, self.onto.work)?;
            }
            records.push((change.slot, self.onto.record(path, name, change, &placed, tally)));
            counter.add(1, 0)?;
        }
        Ok(records)
    }

    /// Names both sides, since either may be what refused.
    fn trouble(&self, doing: &str, path: &[u8], name: &[u8], error: Errno) -> Failure {
        let failure = self.from.failure(doing, path, name, error);
        let message = format!("{} (its copy is in {})", failure.message, self.onto.to.path().display());
        Failure { message, ..failure }
    }

    /// Gives directories their attributes: their entries are in their places. The deepest first, so that one that may
    /// not be searched is closed after what it holds.
    fn finish(&self, survey: &mut Survey, tally: &Tally) -> Result<(), Failure> {
        for level in Onto::levels(survey).values().rev() {
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
        let to = self.onto.open_copy(path)?;
        let from = match self.from.directory(path) {
            Ok(from) => from,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                tally.fuzzy(path.clone());
                return Ok(doubtful(directory.own));
            }
            Err(error) => return Err(self.from.failure("open the directory", path, b"", error)),
        };
        let looked = |error| self.onto.to.failure("look at", path, b"", error);
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
        Ok(entry(self.onto.direction, &directory.own, &placed))
    }
}
