//! Pairs of btrfs subvolumes. The pair's directory holds `pair.json`, which says what the pair is, and `image`, a read-only
//! snapshot of the primary as of the last pass.
//!
//! On the primary's file system a pass is a snapshot: an instant, whatever the size, and no room. On another one it is
//! btrfs-send(8) and btrfs-receive(8): the snapshot that was sent last stays beside the primary, in
//! `.resplit/COPY GROUP/image`, and what differs from it is sent. A restore puts a writable snapshot in the primary's
//! place, at once. A snapshot is a point in time by itself, and cannot be made on a frozen file system.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::pair::{CopyReport, PairRef, PairState, PairStatus, PairVerb};

use super::{
    book::{NEW, Verb, done, has_image, not_restoring, open, open_or_new, restoring, splittable, unusable},
    directory::{
        difference::{of_snapshot, since_snapshot},
        guard,
    },
    is_there,
    pairs::{Asked, Difference, PairDriver},
};
use crate::{
    context::{Clock, Work},
    failure::Failure,
};

mod back;
mod change;
mod delete;
mod overwrite;
mod pass;
mod places;
mod program;
mod state;
mod stream;
mod subvolume;
mod transfer;

use back::{Back, whole_image};
use change::Change;
use pass::Pass;
use places::Places;
use state::State;
use subvolume::Subvolume;

/// The driver of pairs of btrfs subvolumes.
pub struct BtrfsPairs {
    clock: Arc<dyn Clock>,
}

impl BtrfsPairs {
    /// A driver that has its times from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn verb<'a>(&'a self, pair: &'a PairRef, asked: &'a Asked<'a>, verb: PairVerb) -> Verb<'a> {
        Verb { pair, asked, clock: &*self.clock, verb, order: None }
    }
}

impl PairDriver for BtrfsPairs {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        let state = State::read(pair)?.unwrap_or_else(|| State::new(pair, self.clock.now()));
        Ok(state.public())
    }

    fn ready(&self, pair: &PairRef) -> Result<(), Failure> {
        let _ = Places::of(pair)?;
        guard::nested(pair)
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let places = Places::of(pair)?;
        guard::nested(pair)?;
        let (lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        Pass {
            verb: self.verb(pair, asked, PairVerb::Resync),
            places: &places,
            change: Change { lock: &lock },
        }
        .run(&mut state)
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let (lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Split, PairStatus::Psus) {
            return Ok(report);
        }
        splittable(pair, &state, asked)?;
        let places = Places::of(pair)?;
        let verb = Verb { order: Some(order), ..self.verb(pair, asked, PairVerb::Split) };
        Pass { verb, places: &places, change: Change { lock: &lock } }.run(&mut state)
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        guard::nested(pair)?;
        let (lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Restore, PairStatus::Psus) {
            return Ok(report);
        }
        has_image(pair, &state)?;
        let places = Places::to_restore(pair)?;
        Back {
            verb: self.verb(pair, asked, PairVerb::Restore),
            places: &places,
            change: Change { lock: &lock },
        }
        .run(&mut state)
    }

    fn delete(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        if State::read(pair)?.is_none() {
            return Ok(CopyReport::default());
        }
        let (lock, mut state) = open(pair, asked)?;
        match state.status {
            PairStatus::Smpl => Ok(CopyReport::default()),
            PairStatus::Rcpy => Err(restoring(pair)),
            _ => {
                delete::delete(&self.verb(pair, asked, PairVerb::Delete), &mut state, &Change { lock: &lock })
            }
        }
    }

    fn difference(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let state =
            State::read(pair)?.ok_or_else(|| unusable(pair, PairStatus::Smpl, "PSUS to be compared"))?;
        has_image(pair, &state)?;
        let places = Places::to_restore(pair)?;
        let image = whole_image(&places, &state)?;
        let (source, of) = source(&places, image)?;
        of_snapshot(source, &places.primary, taken(&places, &of)?, work)
    }

    fn pending(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let _ = State::read(pair)?;
        let places = Places::of(pair)?;
        let Some(image) = Subvolume::at(&places.image)? else {
            return since_snapshot(&places.primary, None, None, work);
        };
        let (source, of) = source(&places, image)?;
        since_snapshot(&places.primary, Some(source), taken(&places, &of)?, work)
    }

    fn writes_to_primary(&self, _: &PairRef) -> bool {
        true
    }

    fn open_image(&self, pair: &PairRef, _: &Path) -> Result<PathBuf, Failure> {
        let state = State::read(pair)?.ok_or_else(|| no_image(pair, PairStatus::Smpl))?;
        if state.status != PairStatus::Psus {
            return Err(no_image(pair, state.status));
        }
        let places = Places::named(pair);
        let _ = whole_image(&places, &state)?;
        Ok(places.image)
    }

    fn begin_overwrite(&self, pair: &PairRef, _: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        guard::nested(pair)?;
        places::on_btrfs(&pair.secondary)?;
        let (lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        overwrite::begin(&self.verb(pair, asked, PairVerb::Overwrite), &mut state, &Change { lock: &lock })
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        let (lock, mut state) = open(pair, asked)?;
        overwrite::end(
            &self.verb(pair, asked, PairVerb::Overwrite),
            &mut state,
            report,
            &Change { lock: &lock },
        )
    }

    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        let _ = State::read(pair)?;
        let book = pair.secondary.join(NEW);
        let mut left: Vec<_> = Places::named(pair).left().map(Path::to_owned).collect();
        left.extend(book.symlink_metadata().is_ok().then_some(book));
        Ok(left)
    }

    fn purge_cache(&self, _: &PairRef) -> Result<&'static str, Failure> {
        Ok("not needed: an image is a subvolume that nobody else writes")
    }
}

/// What on the primary's file system holds what the image does; else the image itself.
fn source(places: &Places, image: Subvolume) -> Result<(&Path, Subvolume), Failure> {
    let common = if places.is_one { None } else { places.common()? };
    Ok(common.unwrap_or((&places.image, image)))
}

/// Since when a snapshot and the primary may differ; `None` if they are no snapshots of one another.
fn taken(places: &Places, of: &Subvolume) -> Result<Option<jiff::Timestamp>, Failure> {
    let primary = if is_there(&places.primary)? { Subvolume::at(&places.primary)? } else { None };
    Ok(primary.filter(|primary| primary.is_related(of)).and(of.made))
}

fn no_image(pair: &PairRef, status: PairStatus) -> Failure {
    unusable(pair, status, "PSUS to have an image").with_help("split it first")
}
