//! Pairs of logical volumes, by lvm(8). The pair's directory holds `pair.json`, which says what the pair is; the image is a
//! volume in the primary's group, named after the copy group and tagged with the pair's identity:
//!
//! - `snapshot`: a snapshot with room of its own. A split takes an instant. What is written to the primary
//!   afterwards fills it; once it is full, there is no image any more, and the pair is PSUE.
//! - `thin`: a snapshot in the pool of a thin volume.
//! - `raid1`: a half of a mirror (lvmraid(7), `--splitmirrors --trackchanges`), on a physical volume of its own. It follows
//!   the primary by itself, and is equal at any moment.
//!
//! A restore merges a snapshot into the primary and takes it again; a half is copied back. What a pair is, is asked of LVM:
//! a half that is not equal, a snapshot that was full, a volume that is not ours are told.
//!
//! LVM freezes the file system itself while it takes a snapshot, and fails on one that is frozen already. A mirror it does
//! not freeze: the split half is at rest only if the window is one of `freeze`, and it cannot be put at rest afterwards, since
//! it cannot be written.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::{
    pair::{CopyReport, PairRef, PairState, PairStatus, PairVerb, Tag},
    site::LvmKind,
};

use super::{
    book::{
        Lock, NEW, Verb, done, has_image, not_restoring, open, open_or_new, restoring, splittable, unusable,
    },
    directory,
    image::{self, between, filesystem::FileSystem, volume::Volume},
    mounts,
    pairs::{Asked, Content, Difference, PairDriver},
};
use crate::{
    context::{Clock, Work},
    failure::{Failure, FailureClass},
};

mod delete;
mod guard;
mod names;
mod overwrite;
mod place;
mod program;
mod raid;
mod report;
mod snapshots;
mod state;
mod work;

use overwrite::Written;
use place::Place;
use raid::Halves;
use snapshots::Snapshots;
use state::{Known, State};

/// The driver of pairs of logical volumes.
pub struct LvmPairs {
    clock: Arc<dyn Clock>,
}

impl LvmPairs {
    /// A driver that has its times from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    /// A verb under the lock of its pair, once writers go on that a killed program has left waiting.
    fn written<'a>(
        &'a self,
        pair: &'a PairRef,
        asked: &'a Asked<'a>,
        verb: PairVerb,
        order: Option<u64>,
        lock: &'a Lock,
    ) -> Result<Written<'a>, Failure> {
        let verb = Verb { pair, asked, clock: &*self.clock, verb, order };
        let place = Place::of(pair)?;
        place.fits()?;
        place.mend(lock)?;
        Ok(match place.lvm.kind {
            LvmKind::Snapshot | LvmKind::Thin => Written::Snapshot(Snapshots { verb, lock, place }),
            LvmKind::Raid1 => Written::Half(Halves { verb, lock, place }),
        })
    }
}

impl PairDriver for LvmPairs {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        let Some(mut state) = State::read(pair)? else {
            return Ok(State::new(pair, self.clock.now()).public());
        };
        loop {
            let status = match state.status {
                PairStatus::Pair | PairStatus::Psus => Place::of(pair).and_then(|place| seen(&place, &state)),
                status => Ok(status),
            };
            // A verb may have begun between the two looks: what LVM said is then not of what the book said.
            match State::read(pair)? {
                Some(now) if now != state => state = now,
                _ => return Ok(PairState { status: status?, ..state.public() }),
            }
        }
    }

    fn ready(&self, pair: &PairRef) -> Result<(), Failure> {
        Place::of(pair)?.fits()?;
        directory::guard::nested(pair)
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        Place::of(pair)?.fits()?;
        directory::guard::nested(pair)?;
        let (lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        match self.written(pair, asked, PairVerb::Resync, None, &lock)? {
            Written::Snapshot(one) => one.resync(&mut state),
            Written::Half(one) => one.resync(&mut state),
        }
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let (lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Split, PairStatus::Psus) {
            return Ok(report);
        }
        splittable(pair, &state, asked)?;
        match self.written(pair, asked, PairVerb::Split, Some(order), &lock)? {
            Written::Snapshot(one) => one.split(&mut state),
            Written::Half(one) => one.split(&mut state),
        }
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        directory::guard::nested(pair)?;
        let (lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Restore, PairStatus::Psus) {
            return Ok(report);
        }
        has_image(pair, &state)?;
        match self.written(pair, asked, PairVerb::Restore, None, &lock)? {
            Written::Snapshot(one) => one.restore(&mut state),
            Written::Half(one) => one.restore(&mut state),
        }
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
                let written = self.written(pair, asked, PairVerb::Delete, None, &lock)?;
                delete::delete(&written, &mut state)
            }
        }
    }

    fn difference(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let state =
            State::read(pair)?.ok_or_else(|| unusable(pair, PairStatus::Smpl, "PSUS to be compared"))?;
        has_image(pair, &state)?;
        let place = Place::of(pair)?;
        between::difference(&place.whole_image(&state)?.device, &place.primary.device, work)
    }

    fn pending(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure> {
        let state = State::read(pair)?;
        let place = Place::of(pair)?;
        let is_copied = place.lvm.kind == LvmKind::Raid1;
        let image = state.as_ref().map(|state| place.image(state)).transpose()?.flatten();
        match (state.map_or(PairStatus::Smpl, |state| state.status), image) {
            // A snapshot has nothing to copy, and a half that follows has copied it.
            (PairStatus::Smpl, _) if is_copied => {
                Ok(Difference { returned: 1, bytes: place.primary.size, ..Difference::default() })
            }
            (_, Some(image)) if is_copied => between::difference(&place.primary.device, &image.device, work),
            _ => Ok(Difference::default()),
        }
    }

    fn mounts_images(&self) -> bool {
        true
    }

    fn writes_to_primary(&self, pair: &PairRef) -> bool {
        pair.lvm.as_ref().is_some_and(|lvm| lvm.kind != LvmKind::Raid1)
    }

    fn open_image(&self, pair: &PairRef, at: &Path) -> Result<PathBuf, Failure> {
        let missing =
            || unusable(pair, PairStatus::Smpl, "PSUS to have an image").with_help("split it first");
        let state = State::read(pair)?.ok_or_else(missing)?;
        if state.status != PairStatus::Psus {
            return Err(unusable(pair, state.status, "PSUS to have an image").with_help("split it first"));
        }
        let place = Place::of(pair)?;
        let image = place.whole_image(&state).map_err(as_refusal)?;
        if image.attributes.starts_with('I') {
            return open_half(pair, &image.device, at);
        }
        image::opening::open::<Known>(&on_device(pair, &image.device), at)?;
        Ok(at.to_owned())
    }

    fn content(&self, primary: &Path) -> Result<Content, Failure> {
        image::content(primary)
    }

    fn begin_overwrite(&self, pair: &PairRef, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        directory::guard::nested(pair)?;
        let (lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        let written = self.written(pair, asked, PairVerb::Overwrite, None, &lock)?;
        overwrite::begin(&written, &mut state, at)
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        let (_lock, mut state): (_, State) = open(pair, asked)?;
        let place = Place::of(pair)?;
        let image = place.image(&state)?.map(|image| image.device.clone()).unwrap_or_default();
        let pair = on_device(pair, &image);
        let verb = Verb { pair: &pair, asked, clock: &*self.clock, verb: PairVerb::Overwrite, order: None };
        image::overwrite::end(&verb, &mut state, report)
    }

    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        let _ = State::read(pair)?;
        let left = pair.secondary.join(NEW);
        Ok(left.symlink_metadata().is_ok().then_some(left).into_iter().collect())
    }

    fn purge_cache(&self, pair: &PairRef) -> Result<&'static str, Failure> {
        let Some(state) = State::read(pair)? else { return Ok("not needed: there is no image yet") };
        let place = Place::of(pair)?;
        let Some(image) = place.image(&state)? else { return Ok("not needed: there is no image now") };
        let volume = Volume::open(&image.device)?;
        volume.forget().map_err(|error| volume.failure("forget what is cached of", &error))?;
        Ok("what was cached of the image is forgotten")
    }
}

/// What a pair is that was left PAIR or PSUS, as LVM says it.
fn seen(place: &Place<'_>, state: &State) -> Result<PairStatus, Failure> {
    let follows = match place.lvm.kind {
        LvmKind::Snapshot | LvmKind::Thin => true,
        LvmKind::Raid1 if state.status == PairStatus::Pair => raid::is_equal(place)?,
        LvmKind::Raid1 => false,
    };
    let is_so = match state.status {
        PairStatus::Pair => follows,
        _ => match place.whole_image(state) {
            Ok(_) => true,
            Err(failure) if failure.class == FailureClass::Permanent => false,
            Err(failure) => return Err(failure),
        },
    };
    // A half that the kernel makes equal again, after a disk was away, is on its way.
    let syncs = place.lvm.kind == LvmKind::Raid1 && place.half().is_some_and(|half| half.is_hidden);
    Ok(match (is_so, state.status) {
        (true, status) => status,
        (false, PairStatus::Pair) if syncs => PairStatus::Copy,
        _ => PairStatus::Psue,
    })
}

/// The pair, as what mounts images knows one whose copy is a device.
fn on_device(pair: &PairRef, device: &Path) -> PairRef {
    PairRef { device: Some(device.to_owned()), ..pair.clone() }
}

/// That there is no image to read: nothing was touched.
fn as_refusal(failure: Failure) -> Failure {
    Failure { class: FailureClass::Refused, ..failure }
}

/// Mounts a half, which nobody can write to.
fn open_half(pair: &PairRef, device: &Path, at: &Path) -> Result<PathBuf, Failure> {
    let lock = Lock::take(pair, &Tag("opening the image".to_owned()))?;
    let system = FileSystem::of(device)?;
    if system.needs_replay(device)? && !system.hides_replay() {
        return Err(Failure::refused(format!(
            "the image of pair {} was split while its file system was in use: its journal would have to be replayed, and \
             the half of a mirror cannot be written",
            pair.copy_group
        ))
        .with_help("use `quiesce: { mode: freeze }`; the image can be restored as a whole nevertheless"));
    }
    mounts::open_under(&lock, device, system.read_only(), at)?;
    Ok(at.to_owned())
}

impl Written<'_> {
    fn verb(&self) -> &Verb<'_> {
        match self {
            Self::Snapshot(one) => &one.verb,
            Self::Half(one) => &one.verb,
        }
    }
}
