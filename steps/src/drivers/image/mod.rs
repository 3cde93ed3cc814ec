//! Pairs of volumes, block devices or image files, copied block by block. The pair's directory holds `pair.json`, which
//! says what the pair is; `image`, the copy, unless that is a device; and `blocks`, a hash of each block as of the last
//! pass, by which the next one finds what differs without reading the copy.
//!
//! A pass reads the whole primary, so a window is as long as that takes. What was written is read back from the disk. A
//! restore reads both sides, and copies no block that is not what was written.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::pair::{CopyReport, PairRef, PairState, PairStatus, PairVerb, Tag};

use super::{
    book::{NEW, Verb, done, has_image, not_restoring, open, open_or_new, restoring, splittable, unusable},
    is_there,
    mounts::Holders,
    pairs::{Asked, Content, Difference, PairDriver},
};
use crate::{
    context::{Clock, Work},
    failure::Failure,
};

pub(super) mod between;
mod blocks;
mod delete;
pub(super) mod filesystem;
mod found;
pub(super) mod guard;
pub(super) mod opening;
pub(super) mod overwrite;
mod pass;
mod scan;
pub(super) mod state;
mod threads;
mod verify;
pub(super) mod volume;
mod writes;

use pass::Pass;
use state::{NEW_BLOCKS, State, copy_of};
use volume::Volume;

/// The driver of pairs of volumes.
pub struct ImagePairs {
    clock: Arc<dyn Clock>,
}

impl ImagePairs {
    /// A driver that has its times from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn verb<'a>(&'a self, pair: &'a PairRef, asked: &'a Asked<'a>, verb: PairVerb) -> Verb<'a> {
        Verb { pair, asked, clock: &*self.clock, verb, order: None }
    }
}

impl PairDriver for ImagePairs {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        let state = State::read(pair)?.unwrap_or_else(|| State::new(pair, self.clock.now()));
        Ok(state.public())
    }

    fn ready(&self, pair: &PairRef) -> Result<(), Failure> {
        guard::ready(pair, &State::read(pair)?.unwrap_or_else(|| State::new(pair, self.clock.now())))
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let primary = Volume::open(&pair.primary)?;
        guard::nested(pair)?;
        let (_lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        guard::space(pair, &primary)?;
        Pass { verb: self.verb(pair, asked, PairVerb::Resync) }.forward(&mut state)
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let (_lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Split, PairStatus::Psus) {
            return Ok(report);
        }
        splittable(pair, &state, asked)?;
        let verb = Verb { order: Some(order), ..self.verb(pair, asked, PairVerb::Split) };
        Pass { verb }.forward(&mut state)
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        guard::nested(pair)?;
        let (_lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Restore, PairStatus::Psus) {
            return Ok(report);
        }
        has_image(pair, &state)?;
        Pass { verb: self.verb(pair, asked, PairVerb::Restore) }.back(&mut state)
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
        let asked = Asked { tag: Tag(String::new()), token: state.token, work };
        Pass { verb: self.verb(pair, &asked, PairVerb::Restore) }.difference(&state)
    }

    fn pending(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let Some(state) = State::read(pair)?.filter(|state| state.status != PairStatus::Smpl) else {
            return Ok(Difference {
                returned: 1,
                bytes: Volume::open(&pair.primary)?.size,
                ..Difference::default()
            });
        };
        let asked = Asked { tag: Tag(String::new()), token: state.token, work };
        Pass { verb: self.verb(pair, &asked, PairVerb::Resync) }.difference(&state)
    }

    fn mounts_images(&self) -> bool {
        true
    }

    fn open_image(&self, pair: &PairRef, at: &Path) -> Result<PathBuf, Failure> {
        opening::open::<state::Known>(pair, at)?;
        Ok(at.to_owned())
    }

    fn content(&self, primary: &Path) -> Result<Content, Failure> {
        content(primary)
    }

    fn begin_overwrite(&self, pair: &PairRef, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        guard::nested(pair)?;
        let (lock, mut state): (_, State) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        overwrite::begin(&self.verb(pair, asked, PairVerb::Overwrite), &lock, &mut state, at)
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        let (_lock, mut state): (_, State) = open(pair, asked)?;
        overwrite::end(&self.verb(pair, asked, PairVerb::Overwrite), &mut state, report)
    }

    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        let _ = State::read(pair)?;
        let left = [NEW, NEW_BLOCKS].map(|name| pair.secondary.join(name));
        Ok(left.into_iter().filter(|path| path.symlink_metadata().is_ok()).collect())
    }

    fn purge_cache(&self, pair: &PairRef) -> Result<&'static str, Failure> {
        let copy = copy_of(pair);
        if !is_there(&copy)? {
            return Ok("not needed: there is no copy yet");
        }
        let volume = Volume::open(&copy)?;
        volume.forget().map_err(|error| volume.failure("forget what is cached of", &error))?;
        Ok(if volume.is_device {
            "what was cached of the device is forgotten"
        } else {
            "what was cached of the image file is forgotten"
        })
    }
}

/// The tree of the file system that is mounted from a volume, else its size.
pub(super) fn content(primary: &Path) -> Result<Content, Failure> {
    let volume = Volume::open(primary)?;
    let holders = Holders::of(primary)
        .map_err(|error| Failure::io("find out what is mounted from", primary, &error))?;
    let whole = holders.mounts.into_iter().find(|mount| mount.root == "/");
    Ok(whole.map_or(Content::Volume(volume.size), |mount| Content::Tree(mount.point)))
}
