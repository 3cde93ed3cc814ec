//! A pass over a pair: QEMU copies, to the copy or back, what a bitmap says was written since the last one.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use resplit_operations::pair::{CopyReport, PairRef, PairStatus};
use serde_json::{Value, json};

use super::{
    daemon::{BLOCK, Daemon, Node},
    guard,
    state::State,
    watch::{alone, watch},
};
use crate::{
    context::Progress,
    drivers::{
        book::Verb,
        image::{self, state::copy_of},
    },
    failure::Failure,
};

/// A verb that copies.
pub(super) struct Pass<'a> {
    pub(super) verb: Verb<'a>,
}

/// The bitmap that says where the copy may differ from the primary, and how many bytes those are.
pub(super) fn base(daemon: &Daemon<'_>, primary: &Node, state: &State) -> Option<(u64, u64)> {
    let pass = state.extra.base.filter(|_| state.extra.size == primary.size())?;
    Some((pass, primary.written(&daemon.names.bitmap(pass))?))
}

impl Pass<'_> {
    /// Makes the copy equal to the primary as it is when the pass begins. What is written from then on is in a new bitmap,
    /// by which the pair follows.
    pub(super) fn forward(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let pair = self.verb.pair;
        let copy = copy_of(pair);
        image::guard::held(&copy, "its pair cannot follow meanwhile")?;
        let mut daemon = Daemon::of(pair)?;
        let primary = daemon.primary(&pair.primary)?;
        let base =
            base(&daemon, &primary, state).map(|(pass, _)| pass).filter(|_| is_whole(pair, primary.size()));
        let is_running = self.still_copies(&mut daemon, &primary, state)?;
        drop(daemon);
        if !is_running {
            guard::space(pair, &primary, base.is_some())?;
            state.extra.pass += 1;
            state.extra.base = base;
        }
        let notes = changed_size(state, primary.size());
        state.extra.size = primary.size();
        state.extra.follows();
        let report = self.verb.run(state, |state| {
            self.begun()?;
            if !is_running {
                self.begin(state, &primary, &copy)?;
            }
            let copied = self.watch(state)?;
            let file = File::open(&copy).and_then(|file| file.sync_all().and_then(|()| file.metadata()));
            let file = file.map_err(|error| Failure::io("make durable", &copy, &error))?;
            let copied = if state.extra.base.is_some() { copied } else { file.blocks() * 512 };
            state.extra.base = Some(state.extra.pass);
            Ok(CopyReport { notes, ..report(copied, primary.size()) })
        })?;
        self.tidy(state);
        Ok(report)
    }

    /// Whether the pass that was begun last, for a resync, goes on in QEMU, or has ended there well.
    fn still_copies(&self, daemon: &mut Daemon<'_>, primary: &Node, state: &State) -> Result<bool, Failure> {
        let is_same =
            state.last.as_ref().is_some_and(|last| last.verb == self.verb.verb && last.ended.is_none());
        // A split is of a moment in its own window: never of one in which it was asked before.
        if !is_same || self.verb.order.is_some() || state.extra.size != primary.size() {
            return Ok(false);
        }
        let (id, bitmap) = (daemon.names.job(state.extra.pass), daemon.names.bitmap(state.extra.pass));
        let job = daemon.job(&id)?.filter(|job| job.error.is_none());
        let is_followed = state.status == PairStatus::Rcpy || primary.written(&bitmap).is_some();
        Ok(job.is_some() && is_followed)
    }

    fn begin(&self, state: &State, primary: &Node, copy: &Path) -> Result<(), Failure> {
        let mut daemon = Daemon::of(self.verb.pair)?;
        daemon.sweep(state.extra.base)?;
        prepare(copy, primary.size(), state.extra.base.is_some())
            .map_err(|error| Failure::io("make", copy, &error))?;
        daemon.open_copy(copy, false)?;
        let bitmap = daemon.bitmap(primary, state.extra.pass);
        let Some(base) = state.extra.base else {
            // What is written while all is copied is copied, too, and is in the bitmap beside.
            let _ = daemon.ask("block-dirty-bitmap-add", &bitmap)?;
            return daemon.mirror(state.extra.pass, false, "full");
        };
        let base = daemon.names.bitmap(base);
        let backup = daemon.backup(state.extra.pass, false, &base);
        // One moment: what was written before it is copied, what is written after it is in the new bitmap.
        daemon
            .ask("transaction", &together(&[("block-dirty-bitmap-add", bitmap), ("blockdev-backup", backup)]))
            .map(drop)
    }

    /// Copies the image back over the primary, which nobody uses.
    pub(super) fn back(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let pair = self.verb.pair;
        let copy = copy_of(pair);
        image::guard::held(&copy, "its image may be changed meanwhile")?;
        guard::image(pair, state)?;
        let mut daemon = Daemon::of(pair)?;
        let primary = daemon.primary(&pair.primary)?;
        guard::same_size(pair, &primary, state.extra.size)?;
        let base = base(&daemon, &primary, state).map(|(pass, _)| pass);
        let is_running = self.still_copies(&mut daemon, &primary, state)?;
        if !is_running {
            daemon.sweep(base)?;
            daemon.open_copy(&copy, true)?;
        }
        drop(daemon);
        if !is_running {
            if let Err(failure) = alone(pair) {
                self.tidy(state);
                return Err(failure);
            }
            state.extra.pass += 1;
            state.extra.base = base;
        }
        let report = self.verb.run(state, |state| {
            self.begun()?;
            if !is_running {
                self.begin_back(state)?;
            }
            let copied = self.watch(state)?;
            Daemon::of(pair)?.begin_bitmap(&pair.primary, state.extra.pass)?;
            // Who came meanwhile may have written what no bitmap of ours says.
            alone(pair)?;
            state.extra.base = Some(state.extra.pass);
            Ok(report(copied, primary.size()))
        })?;
        self.tidy(state);
        Ok(report)
    }

    fn begin_back(&self, state: &State) -> Result<(), Failure> {
        let mut daemon = Daemon::of(self.verb.pair)?;
        let Some(base) = state.extra.base else { return daemon.mirror(state.extra.pass, true, "full") };
        let bitmap = daemon.names.bitmap(base);
        daemon.lend_bitmap(&bitmap)?;
        let backup = daemon.backup(state.extra.pass, true, &bitmap);
        daemon.ask("blockdev-backup", &backup).map(drop)
    }

    /// Says that the verb has begun; a safe point.
    fn begun(&self) -> Result<(), Failure> {
        self.verb.asked.work.report(Progress::default());
        self.verb.asked.work.check()
    }

    fn watch(&self, state: &State) -> Result<u64, Failure> {
        watch(self.verb.pair, state.extra.pass, self.verb.asked.work)
    }

    /// Removes from QEMU what the pair needs no more. What is left there by a failure is removed by the next verb.
    fn tidy(&self, state: &State) {
        let swept = Daemon::of(self.verb.pair).and_then(|mut daemon| daemon.sweep(state.extra.base));
        if let Err(failure) = swept {
            tracing::warn!(pair = %self.verb.pair.copy_group, %failure, "something of a pair is left in QEMU");
        }
    }
}

/// Makes the copy's file, of the primary's size; one that is copied anew loses its content, so that holes stay holes.
fn prepare(copy: &Path, size: u64, is_kept: bool) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(!is_kept).mode(0o600).open(copy)?;
    file.set_len(size)?;
    file.sync_all()?;
    match copy.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Whether the copy is there, of this size.
pub(super) fn is_whole(pair: &PairRef, size: u64) -> bool {
    copy_of(pair).metadata().is_ok_and(|found| found.is_file() && found.len() == size)
}

fn together(actions: &[(&str, Value)]) -> Value {
    let actions: Vec<_> = actions.iter().map(|(kind, data)| json!({ "type": kind, "data": data })).collect();
    json!({ "actions": actions })
}

fn report(copied: u64, size: u64) -> CopyReport {
    CopyReport {
        entries: size.div_ceil(BLOCK),
        bytes: size,
        changed: copied.div_ceil(BLOCK),
        copied,
        ..CopyReport::default()
    }
}

fn changed_size(state: &State, size: u64) -> Vec<String> {
    if state.extra.size == 0 || state.extra.size == size {
        return Vec::new();
    }
    vec![format!("the primary has another size now: {size} bytes, and had {}", state.extra.size)]
}
