//! One pass over a pair: what differs is found, has room, is made equal, is durable; the index is kept.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use resplit_operations::pair::{CopyReport, PairVerb};

use super::{
    apply::Apply,
    compare::{Against, Direction},
    content::Copier,
    guard,
    index::{Header, Index, Writer},
    onto::Onto,
    space,
    stat::{Moment, Stat},
    state::{DATA, INDEX, NEW_DATA, NEW_INDEX, State},
    survey::{Survey, survey},
    tree::Tree,
};
use crate::{
    drivers::{book::Verb, is_there},
    failure::Failure,
};

/// A verb that copies.
pub(super) struct Pass<'a> {
    pub(super) verb: Verb<'a>,
}

/// What a pass finds on the secondary.
pub(super) struct Ground {
    /// Whether there is no whole copy yet.
    pub(super) is_new: bool,
    /// Whether an interrupted pass has left some of a first copy.
    pub(super) is_begun: bool,
    /// Whether the index describes the copy as it is.
    pub(super) is_quick: bool,
    pub(super) index: Option<Index>,
    /// The copy; where there is none, a directory on the same file system.
    pub(super) secondary: Tree,
}

impl Ground {
    pub(super) fn of(verb: &Verb<'_>, state: &State) -> Result<Self, Failure> {
        let (secondary, restores) = (&verb.pair.secondary, verb.verb == PairVerb::Restore);
        let data = secondary.join(DATA);
        // A first copy is made aside, so that there is none until it is whole. What an interrupted pass has left is
        // taken up; where there is nothing, the directory that the lock has made has the same file system.
        let aside = secondary.join(NEW_DATA);
        // What cannot be looked at is not missing: to take it for that would make a second copy beside the first.
        let is_new = !restores && !is_there(&data)?;
        let is_begun = is_new && is_there(&aside)?;
        let index = index(secondary, state);
        let is_quick = !is_new
            && !restores
            && state.extra.settled
            && index.as_ref().is_some_and(|index| index.header.pass == state.extra.pass);
        let secondary = Tree::open(match (is_new, is_begun) {
            (false, _) => &data,
            (true, true) => &aside,
            (true, false) => secondary,
        })?;
        Ok(Self { is_new, is_begun, is_quick, index, secondary })
    }

    /// Whether nothing at all is there.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_new && !self.is_begun
    }
}

/// What was seen of the primary.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// The inode of its root.
    pub(super) inode: u64,
    /// The moment before which no change was missed.
    pub(super) moment: Moment,
}

impl Pass<'_> {
    fn direction(&self) -> Direction {
        if self.verb.verb == PairVerb::Restore { Direction::Restore } else { Direction::Resync }
    }

    /// Makes the pass. `state` is what the pair has, and then what it has become.
    pub(super) fn run(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let (moment, work) = (Moment::of_stamps(), self.verb.asked.work);
        let primary = Tree::open(&self.verb.pair.primary)?;
        let root = Stat::of(primary.root()).map_err(|error| primary.failure("look at", b"", b"", error))?;
        let ground = Ground::of(&self.verb, state)?;
        let (from, to) = match self.direction() {
            Direction::Resync => (&primary, &ground.secondary),
            Direction::Restore => (&ground.secondary, &primary),
        };
        let against = match &ground.index {
            _ if ground.is_fresh() => Against::Nothing,
            Some(index) if ground.is_quick => Against::Index(index),
            index => Against::Tree { to: to.into(), index: index.as_ref(), direction: self.direction() },
        };
        let mut survey = survey(from.into(), &against, work)?;
        if self.verb.verb != PairVerb::Restore {
            guard::emptied(self.verb.pair, state, root.ino, &survey)?;
        }
        let copier = Copier::new();
        space::check(Some((from, &copier)), to, &survey)?;
        work.check()?;
        let (direction, is_new) = (self.direction(), ground.is_new);
        let seen = Seen { inode: root.ino, moment };
        self.make(state, &ground, seen, to, &mut survey, |to, survey| {
            let onto = Onto { to, direction, is_new, work };
            Apply { from, onto, copier: &copier }.run(survey)
        })
    }

    /// Makes both sides equal, as a survey found that they differ: notes that it begins, has it done by `apply`, which is
    /// given what is written to, and notes what came of it.
    pub(super) fn make(
        &self,
        state: &mut State,
        ground: &Ground,
        seen: Seen,
        to: &Tree,
        survey: &mut Survey,
        apply: impl FnOnce(&Tree, &mut Survey) -> Result<CopyReport, Failure>,
    ) -> Result<CopyReport, Failure> {
        let secondary = &self.verb.pair.secondary;
        self.verb.begin(state);
        let report = if ground.is_quick && survey.is_equal() {
            CopyReport { entries: survey.entries, bytes: survey.bytes, ..CopyReport::default() }
        } else {
            state.extra.settled = false;
            state.write(secondary)?;
            let done = self.change(state, ground, seen, to, survey, apply);
            let report = done.map_err(|failure| self.verb.broken(state, failure))?;
            state.extra.pass += 1;
            report
        };
        state.extra.settled = true;
        state.extra.primary_inode = seen.inode;
        self.verb.end(state, &report);
        state.write(secondary)?;
        Ok(report)
    }

    /// Makes both sides equal, durably, and keeps the index of that.
    fn change(
        &self,
        state: &State,
        ground: &Ground,
        seen: Seen,
        to: &Tree,
        survey: &mut Survey,
        apply: impl FnOnce(&Tree, &mut Survey) -> Result<CopyReport, Failure>,
    ) -> Result<CopyReport, Failure> {
        let secondary = &self.verb.pair.secondary;
        let (aside, data) = (secondary.join(NEW_DATA), secondary.join(DATA));
        let made = if ground.is_fresh() { Some(make_data(&aside)?) } else { None };
        let to = made.as_ref().unwrap_or(to);
        let report = apply(to, survey)?;
        let moment = if self.direction() == Direction::Resync { seen.moment } else { settle() };
        let header = Header { pair: state.identity(), pass: state.extra.pass + 1, moment };
        let kept = ground.index.as_ref().filter(|_| ground.is_quick);
        // The copy is on the file system of the index, so that one flush does for both; the primary may not be.
        let is_synced = self.direction() == Direction::Restore;
        write_index(secondary, &packed(&header, survey, kept), is_synced)?;
        rustix::fs::syncfs(to.root()).map_err(|error| to.failure("make durable", b"", b"", error))?;
        put_index(secondary)?;
        if ground.is_new {
            fs::rename(&aside, &data).map_err(|error| Failure::io("rename", &aside, &error))?;
        }
        Ok(report)
    }
}

/// Writes the index to come under a name of its own.
pub(super) fn write_index(secondary: &Path, bytes: &[u8], is_synced: bool) -> Result<(), Failure> {
    let new = secondary.join(NEW_INDEX);
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        if is_synced { file.sync_all() } else { Ok(()) }
    };
    write().map_err(|error| Failure::io("write", &new, &error))
}

/// Puts the index in its place. Only once all is durable that it speaks of: it never speaks of what a power cut could
/// still undo. The names are durable with the pair's status, which follows.
pub(super) fn put_index(secondary: &Path) -> Result<(), Failure> {
    let (new, index) = (secondary.join(NEW_INDEX), secondary.join(INDEX));
    fs::rename(&new, &index).map_err(|error| Failure::io("rename", &new, &error))
}

/// The moment before which no change was missed by a restore: what it wrote has its own time, so the clock is let go past
/// it.
pub(super) fn settle() -> Moment {
    let written = Moment::now();
    loop {
        let moment = Moment::of_stamps();
        if moment > written {
            return moment;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// The index of the last pass, if it can be relied upon at all.
pub(super) fn index(secondary: &Path, state: &State) -> Option<Index> {
    let index = Index::read(fs::read(secondary.join(INDEX)).ok()?)?;
    (index.header.pair == state.identity()).then_some(index)
}

fn make_data(data: &Path) -> Result<Tree, Failure> {
    DirBuilder::new()
        .mode(0o700)
        .create(data)
        .map_err(|error| Failure::io("make the directory", data, &error))?;
    Tree::open(data)
}

/// The index to come.
pub(super) fn packed(header: &Header, survey: &Survey, kept: Option<&Index>) -> Vec<u8> {
    let mut writer = Writer::new(header, kept.map_or(0, Index::size));
    for directory in &survey.visited {
        match (&directory.entries, kept) {
            (Some(entries), _) => writer.directory(&directory.path, &directory.record, entries),
            (None, Some(index)) if !directory.touched => {
                writer.copy(index.block(&directory.path).unwrap_or_default());
            }
            (None, index) => {
                let items = index.map(|index| index.items(&directory.path).skip(1));
                let entries: Vec<_> = items.into_iter().flatten().map(|item| item.entry()).collect();
                writer.directory(&directory.path, &directory.record, &entries);
            }
        }
    }
    writer.finish()
}
