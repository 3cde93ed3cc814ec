//! Pairs whose images are snapshots: in room of their own, or in a thin pool.

use std::{
    thread,
    time::{Duration, Instant},
};

use resplit_operations::{pair::CopyReport, site::LvmKind};

use super::{
    guard, names,
    place::Place,
    program::change,
    report::{Volume, free_in_group},
    state::State,
    work::{progress, report, safe_point},
};
use crate::{
    drivers::book::{Lock, Verb},
    failure::Failure,
};

/// The pause between two looks at a snapshot that is merged.
const PAUSE: Duration = Duration::from_millis(200);
/// How long merging may make no progress until LVM is asked to go on.
const STILL: Duration = Duration::from_secs(5);

/// A verb.
pub(super) struct Snapshots<'a> {
    pub(super) verb: Verb<'a>,
    pub(super) lock: &'a Lock,
    pub(super) place: Place<'a>,
}

impl Snapshots<'_> {
    /// The primary has nothing to be made equal to: the old image goes, and with it what it costs to keep it.
    pub(super) fn resync(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let old = self.place.named(state)?;
        guard::unused(old)?;
        self.has_room(old)?;
        self.verb.run(state, |state| {
            safe_point(self.verb.asked.work)?;
            self.remove(old)?;
            state.extra.image = None;
            safe_point(self.verb.asked.work)?;
            Ok(report(self.place.primary.size))
        })
    }

    /// Takes the snapshot. LVM itself holds the file system still for that.
    pub(super) fn split(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let old = self.place.named(state)?;
        guard::unused(old)?;
        self.verb.run(state, |state| {
            safe_point(self.verb.asked.work)?;
            // What a killed split has left is of another moment.
            self.remove(old)?;
            self.take(state)?;
            Ok(report(self.place.primary.size))
        })
    }

    /// Merges the image into the primary, and takes it again of that.
    pub(super) fn restore(&self, state: &mut State) -> Result<CopyReport, Failure> {
        guard::free(&self.place, "what uses it would not see what is restored beneath it")?;
        if !self.place.is_merged(state) {
            let image = self.place.whole_image(state)?;
            guard::unused(Some(image))?;
        }
        self.verb.run(state, |state| {
            safe_point(self.verb.asked.work)?;
            let primary = self.place.primary();
            let merged = state.extra.image.clone().unwrap_or_default();
            let tag = names::merging(&merged);
            let image = self.place.all.iter().find(|one| one.uuid == merged);
            if let Some(image) = image.filter(|image| !image.is_merging) {
                change(self.lock, &["lvchange", "--addtag", &tag, &primary])?;
                let path = self.place.path(&image.name);
                change(
                    self.lock,
                    &["lvconvert", "--yes", "--background", "--interval", "1", "--merge", &path],
                )?;
            }
            self.wait_merged(&merged)?;
            let place = self.place.again()?;
            self.remove(place.named(state)?)?;
            self.take(state)?;
            state.write(&self.verb.pair.secondary)?;
            change(self.lock, &["lvchange", "--deltag", &tag, &primary])?;
            Ok(report(self.place.primary.size))
        })
    }

    /// Waits until a snapshot is merged, which LVM's own process does, and goes on with at the next activation if that is
    /// killed.
    fn wait_merged(&self, uuid: &str) -> Result<(), Failure> {
        let (mut seen, mut since, mut began) = (None, Instant::now(), None);
        loop {
            let place = self.place.again()?;
            let Some(image) = place.all.iter().find(|one| one.uuid == uuid) else { return Ok(()) };
            let first = *began.get_or_insert(image.full);
            progress(self.verb.asked.work, place.primary.size, done(first, image.full));
            self.verb.asked.work.check()?;
            if seen != Some(image.full) {
                (seen, since) = (Some(image.full), Instant::now());
            } else if since.elapsed() > STILL {
                if place.primary.is_open {
                    return Err(put_off(&place));
                }
                // Begins what was put off, and starts the process that ends it.
                change(self.lock, &["lvchange", "--refresh", &self.place.primary()])?;
                change(self.lock, &["lvchange", "--poll", "y", &self.place.primary()])?;
                since = Instant::now();
            }
            thread::sleep(PAUSE);
        }
    }

    /// Makes the image.
    pub(super) fn take(&self, state: &mut State) -> Result<Volume, Failure> {
        let (pair, asked) = (self.verb.pair, self.verb.asked);
        let (name, primary, owner) = (names::of_image(pair), self.place.primary(), names::owner(state));
        let size = self.place.lvm.size.map(|size| format!("{}b", size.0));
        let tags = names::tags(&owner, pair, &asked.tag, asked.token);
        let mut argv = vec!["lvcreate", "--yes", "--snapshot", "--name", &name];
        match (self.place.lvm.kind, &size) {
            (LvmKind::Snapshot, Some(size)) => argv.extend(["--size", size]),
            // Else it would not be there after the next start of the machine.
            _ => argv.extend(["--setactivationskip", "n"]),
        }
        for tag in &tags {
            argv.extend(["--addtag", tag]);
        }
        argv.push(&primary);
        if let Err(failure) = change(self.lock, &argv) {
            self.tidy();
            return Err(if failure.message.contains("uspend") {
                failure.with_help("a frozen file system cannot be snapshot: LVM freezes it itself; use `quiesce: { mode: online }`")
            } else {
                failure
            });
        }
        let place = self.place.again()?;
        let made = place.all.into_iter().find(|one| one.name == name && one.tags.contains(&owner));
        let made =
            made.ok_or_else(|| Failure::unknown(format!("lvcreate has made {name}, and it is not there")))?;
        state.extra.image = Some(made.uuid.clone());
        state.extra.size = self.place.primary.size;
        state.extra.replayed = false;
        Ok(made)
    }

    /// Removes what a snapshot that failed has left, and lets the primary's writers go on.
    fn tidy(&self) {
        let name = names::of_image(self.verb.pair);
        let left = self.place.again().is_ok_and(|place| place.all.iter().any(|one| one.name == name));
        let path = self.place.path(&name);
        let removed = if left { change(self.lock, &["lvremove", "--yes", &path]) } else { Ok(()) };
        let resumed = change(self.lock, &["lvchange", "--refresh", &self.place.primary()]);
        if let Err(failure) = removed.and(resumed) {
            tracing::warn!(pair = %self.verb.pair.copy_group, %failure, "a failed snapshot has left something");
        }
    }

    fn remove(&self, image: Option<&Volume>) -> Result<(), Failure> {
        let Some(image) = image else { return Ok(()) };
        change(self.lock, &["lvremove", "--yes", &self.place.path(&image.name)])
    }

    /// What the driver has made of the pair goes.
    pub(super) fn dissolve(&self, state: &State) -> Result<u64, Failure> {
        let image = self.place.named(state)?;
        self.remove(image)?;
        Ok(u64::from(image.is_some()))
    }

    /// Refuses a snapshot for which there is no room.
    fn has_room(&self, old: Option<&Volume>) -> Result<(), Failure> {
        let place = &self.place;
        if let Some(pool) = place.all.iter().find(|one| one.name == place.primary.pool)
            && (pool.full.is_some_and(|full| full >= 100.0) || !pool.health.is_empty())
        {
            let message = format!("the pool {} is full", place.path(&pool.name));
            return Err(
                Failure::refused(message).with_help("lvextend it, then run again; nothing was changed")
            );
        }
        let (LvmKind::Snapshot, Some(size)) = (place.lvm.kind, place.lvm.size) else { return Ok(()) };
        let free = free_in_group(&place.group)? + old.map_or(0, |old| old.size);
        if free >= size.0.min(place.primary.size) {
            return Ok(());
        }
        Err(Failure::refused(format!(
            "no room in the group {}: a snapshot of {} bytes is wanted, and {free} are free",
            place.group, size.0
        ))
        .with_help("free space in the group or add a disk to it (vgs, vgextend), then run again; nothing was changed"))
    }
}

/// How much of a snapshot is merged, in per cent, by how full it was and is.
fn done(first: Option<f64>, now: Option<f64>) -> Option<f64> {
    let (first, now) = first.zip(now)?;
    (first > 0.0).then(|| 100.0 * (1.0 - now / first))
}

/// That LVM merges when it can.
fn put_off(place: &Place<'_>) -> Failure {
    Failure::temporary(format!(
        "the primary {} is in use: its image is merged into it at its next activation",
        place.pair.primary.display()
    ))
    .with_help("end what uses it (lsblk, findmnt and fuser show that), then run again")
}
