//! Pairs of directories: a secondary holds `data/`, the copy; `pair.json`, which says what the pair is; and an index of
//! what the last pass saw, by which the next one finds what differs without looking at the copy.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::pair::{CopyReport, PairRef, PairState, PairStatus, PairVerb};

use super::{
    book::{Verb, done, has_image, not_restoring, open, open_or_new, restoring, splittable, unusable},
    pairs::{Asked, Difference, PairDriver},
    stream::{Opening, Stop, Talk},
};
use crate::{
    context::{Clock, Work},
    failure::Failure,
};

mod apply;
mod attributes;
mod compare;
mod content;
pub(super) mod copy_out;
pub(super) mod count;
mod delete;
pub(super) mod difference;
pub(super) mod guard;
mod index;
mod links;
mod list;
mod onto;
pub(super) mod overwrite;
mod packed;
mod pass;
mod place;
pub(super) mod progress;
mod remnants;
mod remove;
mod side;
mod space;
mod spot;
mod stat;
mod state;
mod stream;
mod survey;
mod tree;
mod walk;

use pass::Pass;
use state::{DATA, State};

/// The driver of pairs of directories.
pub struct DirectoryPairs {
    clock: Arc<dyn Clock>,
}

impl DirectoryPairs {
    /// A driver that has its times from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn verb<'a>(&'a self, pair: &'a PairRef, asked: &'a Asked<'a>, verb: PairVerb) -> Verb<'a> {
        Verb { pair, asked, clock: &*self.clock, verb, order: None }
    }
}

impl PairDriver for DirectoryPairs {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        let state = State::read(pair)?.unwrap_or_else(|| State::new(pair, self.clock.now()));
        Ok(state.public())
    }

    fn ready(&self, pair: &PairRef) -> Result<(), Failure> {
        guard::is_there(&pair.primary)?;
        guard::nested(pair)
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        guard::is_there(&pair.primary)?;
        guard::nested(pair)?;
        let (_lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        Pass { verb: self.verb(pair, asked, PairVerb::Resync) }.run(&mut state)
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let (_lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Split, PairStatus::Psus) {
            return Ok(report);
        }
        splittable(pair, &state, asked)?;
        let verb = Verb { order: Some(order), ..self.verb(pair, asked, PairVerb::Split) };
        Pass { verb }.run(&mut state)
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        guard::nested(pair)?;
        let (_lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Restore, PairStatus::Psus) {
            return Ok(report);
        }
        has_image(pair, &state)?;
        if !pair.primary.exists() {
            std::fs::create_dir(&pair.primary)
                .map_err(|error| Failure::io("make the directory", &pair.primary, &error))?;
        }
        Pass { verb: self.verb(pair, asked, PairVerb::Restore) }.run(&mut state)
    }

    fn delete(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        if State::read(pair)?.is_none() {
            return Ok(CopyReport::default());
        }
        let (_lock, mut state) = open(pair, asked)?;
        match state.status {
            PairStatus::Smpl => Ok(CopyReport::default()),
            PairStatus::Rcpy => Err(restoring(pair)),
            _ => delete::delete(&self.verb(pair, asked, PairVerb::Delete), &mut state),
        }
    }

    fn difference(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let state =
            State::read(pair)?.ok_or_else(|| unusable(pair, PairStatus::Smpl, "PSUS to be compared"))?;
        has_image(pair, &state)?;
        difference::difference(pair, &state, work)
    }

    fn pending(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let state = State::read(pair)?.unwrap_or_else(|| State::new(pair, self.clock.now()));
        difference::pending(pair, &state, work)
    }

    fn open_image(&self, pair: &PairRef, _: &Path) -> Result<PathBuf, Failure> {
        let status = self.status(pair)?.status;
        let data = pair.secondary.join(DATA);
        if status != PairStatus::Psus {
            return Err(unusable(pair, status, "PSUS to have an image").with_help("split it first"));
        }
        if !data.is_dir() {
            return Err(Failure::permanent(format!(
                "pair {} is PSUS and its image {} is gone",
                pair.copy_group,
                data.display()
            ))
            .with_help("resync and split it again"));
        }
        Ok(data)
    }

    fn begin_overwrite(&self, pair: &PairRef, _: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        guard::nested(pair)?;
        let (_lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        overwrite::begin(&self.verb(pair, asked, PairVerb::Overwrite), &mut state)
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        let (_lock, mut state) = open(pair, asked)?;
        overwrite::end(&self.verb(pair, asked, PairVerb::Overwrite), &mut state, report)
    }

    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        remnants::remnants(pair)
    }

    fn purge_cache(&self, _: &PairRef) -> Result<&'static str, Failure> {
        Ok("not needed: both sides of a directory pair are read through one page cache")
    }

    fn answer(&self, opening: &Opening, asked: &Asked<'_>, talk: &mut Talk) -> Result<(), Stop> {
        self.converse(opening, asked, talk)
    }
}
