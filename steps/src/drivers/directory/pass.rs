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

impl Pass<'_> {
    fn direction(&self) -> Direction {
        if self.verb.verb == PairVerb::Restore { Direction::Restore } else { Direction::Resync }
    }

    /// Makes the pass. `state` is what the pair has, and then what it has become.
    pub(super) fn run(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let moment = Moment::of_stamps();
        let primary = Tree::open(&self.verb.pair.primary)?;
        let root = Stat::of(primary.root()).map_err(|error| primary.failure("look at", b"", b"", error))?;
        let data = self.verb.pair.secondary.join(DATA);
        // A first copy is made aside, so that there is none until it is whole. What an interrupted pass has left is
        // taken up; where there is nothing, the directory that the lock has made has the same file system.
        let aside = self.verb.pair.secondary.join(NEW_DATA);
        // What cannot be looked at is not missing: to take it for that would make a second copy beside the first.
        let is_new = self.verb.verb != PairVerb::Restore && !is_there(&data)?;
        let is_begun = is_new && is_there(&aside)?;
        let secondary = Tree::open(match (is_new, is_begun) {
            (false, _) => &data,
            (true, true) => &aside,
            (true, false) => &self.verb.pair.secondary,
        })?;
        let index = self.index(state);
        let is_quick = !is_new
            && self.verb.verb != PairVerb::Restore
            && state.extra.settled
            && index.as_ref().is_some_and(|index| index.header.pass == state.extra.pass);
        let (from, to) = match self.direction() {
            Direction::Resync => (&primary, &secondary),
            Direction::Restore => (&secondary, &primary),
        };
        let against = match &index {
            _ if is_new && !is_begun => Against::Nothing,
            Some(index) if is_quick => Against::Index(index),
            index => Against::Tree { to, index: index.as_ref(), direction: self.direction() },
        };
        let mut survey = survey(from, &against, self.verb.asked.work)?;
        if self.verb.verb != PairVerb::Restore {
            guard::emptied(self.verb.pair, state, root.ino, &survey)?;
        }
        let copier = Copier::new();
        space::check(from, to, &survey, &copier)?;
        self.verb.asked.work.check()?;

        self.verb.begin(state);
        let report = if is_quick && survey.is_equal() {
            CopyReport { entries: survey.entries, bytes: survey.bytes, ..CopyReport::default() }
        } else {
            state.extra.settled = false;
            state.write(&self.verb.pair.secondary)?;
            let kept = index.as_ref().filter(|_| is_quick);
            let kept = Kept { state, index: kept, moment };
            let done = if is_new && !is_begun {
                make_data(&aside).and_then(|to| self.change(from, &to, is_new, &mut survey, &copier, &kept))
            } else {
                self.change(from, to, is_new, &mut survey, &copier, &kept)
            };
            let report = done.map_err(|failure| self.verb.broken(state, failure))?;
            state.extra.pass += 1;
            report
        };
        state.extra.settled = true;
        state.extra.primary_inode = root.ino;
        self.verb.end(state, &report);
        state.write(&self.verb.pair.secondary)?;
        Ok(report)
    }

    /// Makes both sides equal, durably, and keeps the index of that.
    fn change(
        &self,
        from: &Tree,
        to: &Tree,
        is_new: bool,
        survey: &mut Survey,
        copier: &Copier,
        kept: &Kept<'_>,
    ) -> Result<CopyReport, Failure> {
        let apply =
            Apply { from, to, direction: self.direction(), is_new, copier, work: self.verb.asked.work };
        let report = apply.run(survey)?;
        let moment = self.settle(kept.moment);
        let header = Header { pair: kept.state.identity(), pass: kept.state.extra.pass + 1, moment };
        let secondary = &self.verb.pair.secondary;
        let (new, index) = (secondary.join(NEW_INDEX), secondary.join(INDEX));
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&packed(&header, survey, kept.index))?;
            // The copy is on the file system of the index, so that one flush does for both; the primary may not be.
            if self.direction() == Direction::Restore { file.sync_all() } else { Ok(()) }
        };
        write().map_err(|error| Failure::io("write", &new, &error))?;
        rustix::fs::syncfs(to.root()).map_err(|error| to.failure("make durable", b"", b"", error))?;
        // Only now: an index never speaks of what a power cut could still undo. The names are durable with the pair's
        // status, which follows.
        fs::rename(&new, &index).map_err(|error| Failure::io("rename", &new, &error))?;
        if is_new {
            let (aside, data) = (secondary.join(NEW_DATA), secondary.join(DATA));
            fs::rename(&aside, &data).map_err(|error| Failure::io("rename", &aside, &error))?;
        }
        Ok(report)
    }

    /// The moment before which no change was missed. What a restore wrote has the time of the restore, so the clock
    /// is let go past it.
    fn settle(&self, began: Moment) -> Moment {
        if self.direction() == Direction::Resync {
            return began;
        }
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
    fn index(&self, state: &State) -> Option<Index> {
        let index = Index::read(fs::read(self.verb.pair.secondary.join(INDEX)).ok()?)?;
        (index.header.pair == state.identity()).then_some(index)
    }
}

fn make_data(data: &Path) -> Result<Tree, Failure> {
    DirBuilder::new()
        .mode(0o700)
        .create(data)
        .map_err(|error| Failure::io("make the directory", data, &error))?;
    Tree::open(data)
}

/// What the index to come is made of beside the survey.
struct Kept<'a> {
    state: &'a State,
    /// The last one, where it holds for what was not touched.
    index: Option<&'a Index>,
    moment: Moment,
}

/// The index to come.
fn packed(header: &Header, survey: &Survey, kept: Option<&Index>) -> Vec<u8> {
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
