//! What a restore would destroy, and what a resync would do.

use std::{fs, path::Path};

use jiff::Timestamp;
use resplit_operations::pair::PairRef;
use rustix::{
    fd::AsFd,
    fs::{Mode, OFlags},
};

use super::{
    compare::{Against, Change, Direction, How, Visited},
    content,
    index::Index,
    links::Slot,
    side::Side,
    stat::{Moment, Stat},
    state::{DATA, INDEX, State},
    survey::{Survey, survey},
    tree::{Tree, join, words},
};
use crate::{context::Work, drivers::pairs::Difference, failure::Failure};

/// The most that a difference names.
const EXAMPLES: usize = 20;

/// Compares the primary with the image. Nothing is changed.
pub(super) fn difference(pair: &PairRef, state: &State, work: &Work) -> Result<Difference, Failure> {
    let image = Tree::open(&pair.secondary.join(DATA))?;
    let primary = pair.primary.exists().then(|| Tree::open(&pair.primary)).transpose()?;
    let index = fs::read(pair.secondary.join(INDEX))
        .ok()
        .and_then(Index::read)
        .filter(|index| index.header.pair == state.identity());
    let against = match &primary {
        Some(to) => Against::Tree { to: to.into(), index: index.as_ref(), direction: Direction::Restore },
        None => Against::Nothing,
    };
    read_here(&image, primary.as_ref(), &against, work)
}

/// The same of an image that is a snapshot of the primary, or the primary of it, since `taken`; `None` if neither is,
/// and what has the same size has to be read.
pub(in crate::drivers) fn of_snapshot(
    image: &Path,
    primary: &Path,
    taken: Option<Timestamp>,
    work: &Work,
) -> Result<Difference, Failure> {
    let image = Tree::open(image)?;
    let primary = primary.exists().then(|| Tree::open(primary)).transpose()?;
    let against = against(primary.as_ref(), taken, Direction::Restore);
    read_here(&image, primary.as_ref(), &against, work)
}

/// What making a new snapshot of the primary would change in the last one; of none, `None`.
pub(in crate::drivers) fn since_snapshot(
    primary: &Path,
    last: Option<&Path>,
    taken: Option<Timestamp>,
    work: &Work,
) -> Result<Difference, Failure> {
    let last = last.map(Tree::open).transpose()?;
    following((&Tree::open(primary)?).into(), &against(last.as_ref(), taken, Direction::Resync), work)
}

fn against(to: Option<&Tree>, taken: Option<Timestamp>, direction: Direction) -> Against<'_> {
    match (to, taken) {
        (Some(to), Some(taken)) => {
            Against::Snapshot { to: to.into(), taken: Moment { seconds: taken.as_second(), nanoseconds: 0 } }
        }
        (Some(to), None) => Against::Tree { to: to.into(), index: None, direction },
        (None, _) => Against::Nothing,
    }
}

/// Both sides are here: what may differ is read.
fn read_here(
    image: &Tree,
    primary: Option<&Tree>,
    against: &Against<'_>,
    work: &Work,
) -> Result<Difference, Failure> {
    let survey = survey(image.into(), against, work)?;
    restoring(&survey, primary.map(Side::from), work, |directory, name, _| {
        primary.map_or(Ok(false), |primary| is_same(image, primary, directory, name, work))
    })
}

/// What a restore would do, as a survey found it. `is_same` says whether a file that may differ, given by its directory,
/// its name and its place, has the same content on both sides.
pub(super) fn restoring(
    survey: &Survey,
    primary: Option<Side<'_>>,
    work: &Work,
    is_same: impl Fn(&[u8], &[u8], Slot) -> Result<bool, Failure>,
) -> Result<Difference, Failure> {
    let mut found = Difference { removed: survey.extra.entries, ..Difference::default() };
    for (at, directory) in survey.visited.iter().enumerate() {
        for removal in &directory.removals {
            found.example("removed", &directory.path, &removal.name);
        }
        for change in &directory.changes {
            found.add(primary, directory, change, work, |name| {
                is_same(&directory.path, name, (at, change.slot))
            })?;
        }
    }
    for link in &survey.links {
        let directory = &survey.visited[link.member.0];
        let name = directory.entries.as_ref().map(|entries| &*entries[link.member.1].name);
        if link.present.is_none() {
            found.returned += 1;
        } else {
            found.replaced += 1;
            found.example("replaced", &directory.path, name.unwrap_or_default());
        }
    }
    Ok(found)
}

/// Compares the secondary with the primary, by the index where it can be relied upon. Nothing is changed. A file that
/// may differ, which only reading would tell, counts as one that does.
pub(super) fn pending(pair: &PairRef, state: &State, work: &Work) -> Result<Difference, Failure> {
    let primary = Tree::open(&pair.primary)?;
    let data = pair.secondary.join(DATA);
    let copy = data.exists().then(|| Tree::open(&data)).transpose()?;
    let index = fs::read(pair.secondary.join(INDEX))
        .ok()
        .and_then(Index::read)
        .filter(|index| index.header.pair == state.identity());
    let settled = |index: &&Index| state.extra.settled && index.header.pass == state.extra.pass;
    let against = match (&copy, index.as_ref().filter(settled)) {
        (Some(_), Some(index)) => Against::Index(index),
        (Some(to), None) => {
            Against::Tree { to: to.into(), index: index.as_ref(), direction: Direction::Resync }
        }
        (None, _) => Against::Nothing,
    };
    following((&primary).into(), &against, work)
}

pub(super) fn following(
    primary: Side<'_>,
    against: &Against<'_>,
    work: &Work,
) -> Result<Difference, Failure> {
    let survey = survey(primary, against, work)?;
    let mut found = Difference { removed: survey.extra.entries, ..Difference::default() };
    for directory in &survey.visited {
        for removal in &directory.removals {
            found.example("removed", &directory.path, &removal.name);
        }
        for change in &directory.changes {
            let name = directory.entries.as_ref().map(|entries| &*entries[change.slot].name);
            found.bytes += change.from.content();
            if change.to.is_none() {
                found.returned += 1;
                found.example("new", &directory.path, name.unwrap_or_default());
            } else {
                found.replaced += 1;
                found.example("changed", &directory.path, name.unwrap_or_default());
            }
        }
    }
    Ok(found)
}

impl Difference {
    fn example(&mut self, what: &str, directory: &[u8], name: &[u8]) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{what}: {}", words(&join(directory, name))));
        }
    }

    fn add(
        &mut self,
        primary: Option<Side<'_>>,
        directory: &Visited,
        change: &Change,
        work: &Work,
        is_same: impl FnOnce(&[u8]) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let name = directory.entries.as_ref().map(|entries| &*entries[change.slot].name).unwrap_or_default();
        let (Some(to), Some(primary)) = (&change.to, primary) else {
            self.returned += 1;
            self.bytes += change.from.content();
            return Ok(());
        };
        if to.is_directory() && !change.from.is_directory() {
            let lost = primary.measure(&join(&directory.path, name), to, work)?;
            self.removed += lost.entries - 1;
        }
        let is_read = change.how == How::Verify && change.from.is_file();
        if is_read && is_same(name)? {
            let owned = |stat: &Stat| (stat.mode, stat.uid, stat.gid, stat.mtime);
            if owned(&change.from) == owned(to) {
                return Ok(());
            }
        } else {
            self.bytes += change.from.content();
        }
        self.replaced += 1;
        self.example("replaced", &directory.path, name);
        Ok(())
    }
}

/// Whether a file has the same content on both sides.
fn is_same(a: &Tree, b: &Tree, directory: &[u8], name: &[u8], work: &Work) -> Result<bool, Failure> {
    let open = |tree: &Tree| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        tree.directory(directory)
            .and_then(|parent| rustix::fs::openat(&parent, name, flags, Mode::empty()))
            .map_err(|error| tree.failure("open", directory, name, error))
    };
    let (first, second) = (open(a)?, open(b)?);
    content::is_equal(first.as_fd(), second.as_fd(), &|_| work.check()).map_err(|stopped| match stopped {
        content::Stopped::Refused(error) => a.failure("compare", directory, name, error),
        content::Stopped::Asked(failure) => failure,
    })
}
