//! Pairs of disks behind QEMU or qemu-storage-daemon, asked over QMP. The pair's directory holds `pair.json`, which says
//! what the pair is, and `image`, the copy: raw, so that it can be mounted without QEMU.
//!
//! QEMU keeps a bitmap of what was written to the primary, however it is written to it, and copies that alone: a resync and
//! a split begin the next bitmap and the copying in one `transaction`, so that the copy is of one moment whatever is written
//! meanwhile. The first copy is a `blockdev-mirror`, which leaves holes where the primary has none. (A mirror that goes on
//! between resync and split would bear no copying by bitmap beside it, and misses what is written through an export that
//! is added later: <https://www.qemu.org/docs/master/interop/live-block-operations.html>.)
//!
//! What was written is asked of QEMU each time. If it has ended, and the bitmap with it (a qcow2 disk keeps it, if QEMU ended
//! in order), a split pair still has its image, and the next resync copies all; a pair that followed does so no more.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::pair::{CopyReport, PairRef, PairState, PairStatus, PairVerb};

use super::{
    book::{NEW, Verb, done, has_image, not_restoring, open, open_or_new, restoring, splittable, unusable},
    image::{self, state::copy_of, volume::Volume},
    is_there,
    pairs::{Asked, Content, Difference, PairDriver},
};
use crate::{
    context::{Clock, Work},
    failure::Failure,
};

mod daemon;
mod delete;
mod format;
mod guard;
mod pass;
mod qmp;
mod state;
mod watch;

pub(in crate::drivers) use format::qcow2_size;

use daemon::{BLOCK, Daemon};
use pass::{Pass, base, is_whole};
use state::State;

/// The driver of pairs of QEMU's disks.
pub struct QemuPairs {
    clock: Arc<dyn Clock>,
}

impl QemuPairs {
    /// A driver that has its times from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn verb<'a>(&'a self, pair: &'a PairRef, asked: &'a Asked<'a>, verb: PairVerb) -> Verb<'a> {
        Verb { pair, asked, clock: &*self.clock, verb, order: None }
    }
}

impl PairDriver for QemuPairs {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        let Some(state) = State::read(pair)? else {
            return Ok(State::new(pair, self.clock.now()).public());
        };
        let is_so = match state.status {
            PairStatus::Pair => follows(pair, &state)?,
            PairStatus::Psus => is_whole(pair, state.extra.size),
            _ => true,
        };
        let mut public = state.public();
        if !is_so {
            public.status = PairStatus::Psue;
        }
        Ok(public)
    }

    fn ready(&self, pair: &PairRef) -> Result<(), Failure> {
        let _ = guard::primary(pair)?;
        image::guard::held(&copy_of(pair), "its pair cannot follow meanwhile")
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let _ = guard::primary(pair)?;
        let (_lock, mut state) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        Pass { verb: self.verb(pair, asked, PairVerb::Resync) }.forward(&mut state)
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let (_lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Split, PairStatus::Psus) {
            return Ok(report);
        }
        splittable(pair, &state, asked)?;
        if !follows(pair, &state)? {
            return Err(unusable(pair, PairStatus::Psue, "PAIR to be split").with_help(
                "QEMU has been started anew since the resync, or the copy was changed: resync the pair again",
            ));
        }
        let verb = Verb { order: Some(order), ..self.verb(pair, asked, PairVerb::Split) };
        Pass { verb }.forward(&mut state)
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let (_lock, mut state) = open(pair, asked)?;
        if let Some(report) = done(&state, asked, PairVerb::Restore, PairStatus::Psus) {
            return Ok(report);
        }
        has_image(pair, &state)?;
        let _ = guard::primary(pair)?;
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

    fn difference(&self, pair: &PairRef, _: &Work) -> Result<Difference, Failure> {
        let state =
            State::read(pair)?.ok_or_else(|| unusable(pair, PairStatus::Smpl, "PSUS to be compared"))?;
        has_image(pair, &state)?;
        differs(pair, Some(&state))
    }

    fn pending(&self, pair: &PairRef, _: &Work) -> Result<Difference, Failure> {
        differs(pair, State::read(pair)?.filter(|state| state.status != PairStatus::Smpl).as_ref())
    }

    fn users(&self, pair: &PairRef) -> Result<Vec<String>, Failure> {
        Daemon::of(pair)?.users()
    }

    fn mounts_images(&self) -> bool {
        true
    }

    fn open_image(&self, pair: &PairRef, at: &Path) -> Result<PathBuf, Failure> {
        image::opening::open::<state::Known>(pair, at)?;
        Ok(at.to_owned())
    }

    /// Where the file system of a disk is mounted, is not known here: it may be in a guest.
    fn content(&self, primary: &Path) -> Result<Content, Failure> {
        let in_qcow2 = qcow2_size(primary).map_err(|error| Failure::io("read", primary, &error))?;
        in_qcow2.map_or_else(|| Ok(Volume::open(primary)?.size), Ok).map(Content::Volume)
    }

    fn begin_overwrite(&self, pair: &PairRef, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        let (lock, mut state): (_, State) = open_or_new(pair, asked, self.clock.now())?;
        not_restoring(pair, &state)?;
        // A QEMU that is gone has nothing open.
        if let Some(mut daemon) = Daemon::find(pair)? {
            daemon.sweep(state.extra.base)?;
        }
        image::overwrite::begin(&self.verb(pair, asked, PairVerb::Overwrite), &lock, &mut state, at)
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        let (_lock, mut state): (_, State) = open(pair, asked)?;
        image::overwrite::end(&self.verb(pair, asked, PairVerb::Overwrite), &mut state, report)
    }

    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        let _ = State::read(pair)?;
        let left = pair.secondary.join(NEW);
        Ok(left.symlink_metadata().is_ok().then_some(left).into_iter().collect())
    }

    fn purge_cache(&self, pair: &PairRef) -> Result<&'static str, Failure> {
        let copy = copy_of(pair);
        if !is_there(&copy)? {
            return Ok("not needed: there is no copy yet");
        }
        let volume = Volume::open(&copy)?;
        volume.forget().map_err(|error| volume.failure("forget what is cached of", &error))?;
        Ok("what was cached of the image file is forgotten")
    }
}

/// Whether what QEMU has since the last pass says all that is different.
fn follows(pair: &PairRef, state: &State) -> Result<bool, Failure> {
    if !is_whole(pair, state.extra.size) {
        return Ok(false);
    }
    let Some(mut daemon) = Daemon::find(pair)? else { return Ok(false) };
    let primary = daemon.primary(&pair.primary)?;
    Ok(base(&daemon, &primary, state).is_some())
}

/// How primary and copy may differ: at most so. All, where QEMU does not know.
fn differs(pair: &PairRef, state: Option<&State>) -> Result<Difference, Failure> {
    let mut daemon = Daemon::of(pair)?;
    let primary = daemon.primary(&pair.primary)?;
    let (bytes, example) = match state.map(|state| base(&daemon, &primary, state)) {
        None => return Ok(Difference { returned: 1, bytes: primary.size(), ..Difference::default() }),
        Some(Some((_, bytes))) => {
            (bytes, format!("replaced: at most {bytes} bytes, written since the last copy"))
        }
        Some(None) => {
            let size = primary.size();
            (size, format!("replaced: all {size} bytes, since QEMU does not know what was written"))
        }
    };
    let examples = if bytes == 0 { Vec::new() } else { vec![example] };
    Ok(Difference { replaced: bytes.div_ceil(BLOCK), bytes, examples, ..Difference::default() })
}
