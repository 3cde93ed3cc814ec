//! Pairs whose images are halves of a mirror: the kernel's own split mirror. It follows by itself, and while it is split the
//! kernel notes what is written, so that a resync copies that alone.
//!
//! A half that was split can only be read. For what is to be written to it, it is split off for good, and becomes a
//! volume of its own; the next resync makes another half.

use std::{thread, time::Duration};

use resplit_operations::pair::{CopyReport, PairStatus};

use super::{
    guard, names,
    place::Place,
    program::change,
    report::{Volume, mirror, physical},
    state::State,
    work::{progress, report, safe_point},
};
use crate::{
    context::Work,
    drivers::{
        book::{Lock, Verb, unusable},
        image::between,
    },
    failure::Failure,
};

/// The longest pause between two looks at a mirror that becomes equal.
const PAUSE: Duration = Duration::from_millis(500);

/// A verb.
pub(super) struct Halves<'a> {
    pub(super) verb: Verb<'a>,
    pub(super) lock: &'a Lock,
    pub(super) place: Place<'a>,
}

/// What becomes of the half of a pair.
enum Form<'a> {
    /// There is none.
    None,
    /// It follows the primary.
    Following,
    /// It was split, and is tracked.
    Tracked(&'a Volume),
    /// It is a volume of its own.
    Detached(&'a Volume),
}

impl Halves<'_> {
    fn form(&self, state: &State) -> Result<Form<'_>, Failure> {
        if let Some(tracked) = self.place.tracked(state)? {
            return Ok(Form::Tracked(tracked));
        }
        if self.place.half().is_some() {
            return Ok(Form::Following);
        }
        Ok(self.place.named(state)?.map_or(Form::None, Form::Detached))
    }

    /// Makes the half follow, and waits until it is equal. A half that is there already is taken as it is.
    pub(super) fn resync(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let form = self.form(state)?;
        match &form {
            Form::None => self.has_room(0)?,
            Form::Following => {}
            Form::Tracked(half) => guard::unused(Some(half))?,
            Form::Detached(half) => {
                guard::unused(Some(half))?;
                self.has_room(half.size)?;
            }
        }
        let is_taken = matches!(form, Form::Following) && state.status == PairStatus::Smpl;
        self.verb.run(state, |state| {
            safe_point(self.verb.asked.work)?;
            let (size, mut copied) = (self.place.primary.size, 0);
            match form {
                Form::None => copied = self.add(state)?,
                Form::Following => {}
                Form::Tracked(half) => self.merge(half, state)?,
                Form::Detached(half) => {
                    change(self.lock, &["lvremove", "--yes", &self.place.path(&half.name)])?;
                    copied = self.add(state)?;
                }
            }
            self.wait_synced(self.verb.asked.work)?;
            state.extra.image = None;
            let was_there = "the half of the mirror was there already, and stays when the pair is dissolved";
            let notes = if is_taken { vec![was_there.to_owned()] } else { Vec::new() };
            Ok(CopyReport { copied, changed: copied.div_ceil(64 << 10), notes, ..report(size) })
        })
    }

    /// Makes a half; how much is copied to it is known, for once.
    fn add(&self, state: &mut State) -> Result<u64, Failure> {
        state.extra.half_is_ours = true;
        state.extra.detaching = false;
        state.write(&self.verb.pair.secondary)?;
        let count = self.place.halves().count().max(1).to_string();
        let (primary, device) = (self.place.primary(), self.device());
        change(
            self.lock,
            &["lvconvert", "--yes", "--type", "raid1", "--mirrors", &count, &primary, &device],
        )?;
        Ok(self.place.primary.size)
    }

    fn merge(&self, half: &Volume, state: &State) -> Result<(), Failure> {
        let (path, owner) = (self.place.path(&half.name), names::owner(state));
        if half.tags.contains(&owner) {
            // Once it follows again, nobody can change its tags.
            change(self.lock, &["lvchange", "--deltag", &owner, &path])?;
        }
        change(self.lock, &["lvconvert", "--yes", "--merge", &path])
    }

    fn device(&self) -> String {
        let device = self.place.lvm.device.as_deref();
        // LVM knows it by one of its names, and by that to which they all lead.
        let real = device.map(|device| device.canonicalize().unwrap_or_else(|_| device.to_owned()));
        real.unwrap_or_default().display().to_string()
    }

    /// Splits the half. What is in it is what the primary has at this moment, its journal with it: it can be read only if
    /// the file system is held still meanwhile.
    pub(super) fn split(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let form = self.form(state)?;
        match form {
            Form::Following if state.status == PairStatus::Pair => self.is_equal()?,
            Form::Following | Form::Tracked(_) if state.status == PairStatus::Copy => {}
            _ => {
                let failure = unusable(self.verb.pair, PairStatus::Psue, "PAIR to be split");
                return Err(failure.with_help("its half does not follow the primary: resync it first"));
            }
        }
        self.verb.run(state, |state| {
            safe_point(self.verb.asked.work)?;
            if let Form::Tracked(half) = form {
                // What a killed split has left is of another moment.
                self.merge(half, state)?;
                self.wait_synced(self.verb.asked.work)?;
            }
            let (primary, device) = (self.place.primary(), self.device());
            change(
                self.lock,
                &["lvconvert", "--yes", "--splitmirrors", "1", "--trackchanges", &primary, &device],
            )?;
            let place = self.place.again()?;
            let half = place.tracked(state)?;
            let half = half.ok_or_else(|| Failure::unknown("LVM has split a half, and there is none"))?;
            state.extra.image = Some(half.uuid.clone());
            state.extra.size = place.primary.size;
            state.extra.replayed = false;
            change(self.lock, &["lvchange", "--addtag", &names::owner(state), &place.path(&half.name)])?;
            Ok(report(place.primary.size))
        })
    }

    /// Copies what differs back over the primary. The kernel notes that, too: the next resync copies no more than that.
    pub(super) fn restore(&self, state: &mut State) -> Result<CopyReport, Failure> {
        guard::free(&self.place, "what uses it would not see what is restored beneath it")?;
        let image = self.place.whole_image(state)?;
        guard::unused(Some(image))?;
        self.verb.run(state, |_| {
            safe_point(self.verb.asked.work)?;
            between::make_equal(&image.device, &self.place.primary.device, self.verb.asked.work)
        })
    }

    /// Makes the half a volume of its own, of the name of the pair's image, which can be written to.
    pub(super) fn detach(&self, state: &mut State) -> Result<Volume, Failure> {
        let name = names::of_image(self.verb.pair);
        match self.form(state)? {
            Form::Detached(_) => {}
            Form::None => {
                return Err(unusable(self.verb.pair, PairStatus::Psue, "PAIR to be overwritten")
                    .with_help("there is no half of the mirror to write to: resync it first"));
            }
            form => {
                if let Form::Tracked(half) = form {
                    self.merge(half, state)?;
                }
                self.wait_synced(self.verb.asked.work)?;
                state.extra.detaching = true;
                state.write(&self.verb.pair.secondary)?;
                let (primary, device) = (self.place.primary(), self.device());
                let argv = ["lvconvert", "--yes", "--splitmirrors", "1", "--name", &name, &primary, &device];
                change(self.lock, &argv)?;
            }
        }
        let place = self.place.again()?;
        let gone = || Failure::unknown(format!("LVM has split off {name}, and it is not there"));
        let image = place.named(state)?.ok_or_else(gone)?;
        let owner = names::owner(state);
        if !image.tags.contains(&owner) {
            change(self.lock, &["lvchange", "--addtag", &owner, &place.path(&name)])?;
        }
        state.extra.detaching = false;
        state.extra.image = Some(image.uuid.clone());
        state.write(&self.verb.pair.secondary)?;
        Ok(image.clone())
    }

    /// What the driver has made of the pair goes: a half that was there before stays, and follows.
    pub(super) fn dissolve(&self, state: &State) -> Result<u64, Failure> {
        let form = self.form(state)?;
        match form {
            Form::None => return Ok(0),
            Form::Detached(half) => change(self.lock, &["lvremove", "--yes", &self.place.path(&half.name)])?,
            Form::Tracked(half) => self.merge(half, state)?,
            Form::Following => {}
        }
        if state.extra.half_is_ours && !matches!(form, Form::Detached(_)) {
            let left = self.place.halves().count().saturating_sub(2).to_string();
            let (primary, device) = (self.place.primary(), self.device());
            self.wait_synced(self.verb.asked.work)?;
            change(self.lock, &["lvconvert", "--yes", "--mirrors", &left, &primary, &device])?;
        }
        Ok(1)
    }

    fn wait_synced(&self, work: &Work) -> Result<(), Failure> {
        let mut pause = Duration::from_millis(20);
        loop {
            let mirror = mirror(&self.place.primary.device)?;
            progress(work, self.place.primary.size, mirror.percent);
            if mirror.is_equal {
                return Ok(());
            }
            let place = self.place.again()?;
            let half = place.half().ok_or_else(|| self.broken("its half is gone"))?;
            for one in [&place.primary, half] {
                if !one.health.is_empty() {
                    return Err(self.broken(&format!("LVM says '{}' of {}", one.health, one.name)));
                }
            }
            work.check()?;
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        }
    }

    /// Refuses a mirror whose half is not equal.
    fn is_equal(&self) -> Result<(), Failure> {
        let mirror = mirror(&self.place.primary.device)?;
        if mirror.is_equal {
            return Ok(());
        }
        let percent = mirror.percent.map_or("not".to_owned(), |percent| format!("{percent:.0} %"));
        Err(Failure::refused(format!("the half of pair {} is {percent} equal", self.verb.pair.copy_group))
            .with_help("wait until the kernel has copied (lvs shows how far it is), then run again"))
    }

    fn broken(&self, why: &str) -> Failure {
        Failure::permanent(format!("the mirror of pair {} is broken: {why}", self.verb.pair.copy_group))
            .with_help("lvs -a -o +devices,lv_health_status shows it; repair it (lvconvert --repair), then run again")
    }

    /// Refuses a half for which there is no room where it is to be.
    fn has_room(&self, old: u64) -> Result<(), Failure> {
        let device = self.device();
        let (group, free) = physical(&device)?;
        if group != self.place.group {
            return Err(Failure::refused(format!(
                "{device} is of the group '{group}', and the primary of '{}'",
                self.place.group
            ))
            .with_help("name a physical volume of the primary's group in the site file (pvs shows them)"));
        }
        // The half, and what the kernel notes of it.
        let needed = self.place.primary.size.saturating_add(1);
        if free.saturating_add(old) >= needed {
            return Ok(());
        }
        Err(Failure::refused(format!("no room on {device}: {needed} bytes are needed and {free} are free"))
            .with_help("name another physical volume, or free space on it; nothing was changed"))
    }
}

/// Whether the half of a pair follows its primary, and is equal to it.
pub(super) fn is_equal(place: &Place<'_>) -> Result<bool, Failure> {
    let follows = place.half().is_some_and(|half| half.is_hidden && half.health.is_empty());
    Ok(follows && mirror(&place.primary.device)?.is_equal)
}
