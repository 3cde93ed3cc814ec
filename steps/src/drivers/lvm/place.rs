//! A primary and what LVM has made of it, as LVM says it now.

use std::path::Path;

use resplit_operations::{
    pair::{PairRef, PairStatus, PairVerb},
    site::{LvmKind, LvmVolume},
};

use super::{
    names,
    program::change,
    report::{Volume, volumes},
    state::State,
};
use crate::{drivers::book::Lock, failure::Failure};

/// A primary, in its group.
pub(super) struct Place<'a> {
    pub(super) pair: &'a PairRef,
    pub(super) lvm: &'a LvmVolume,
    pub(super) group: String,
    pub(super) primary: Volume,
    /// All volumes of the group.
    pub(super) all: Vec<Volume>,
}

impl<'a> Place<'a> {
    /// Asks LVM.
    ///
    /// # Errors
    /// A refusal if the primary is no logical volume.
    pub(super) fn of(pair: &'a PairRef) -> Result<Self, Failure> {
        let lvm = pair.lvm.as_ref().ok_or_else(|| {
            Failure::permanent(format!("volume '{}' does not say what LVM makes", pair.volume))
                .with_help("add `lvm: { kind: ... }` to the volume in the site file")
        })?;
        let none = || {
            Failure::refused(format!("the primary {} is no logical volume", pair.primary.display()))
                .with_help("name it as /dev/GROUP/VOLUME in the site file (lvs shows them)")
        };
        let (group, name) = names::of_path(&pair.primary).ok_or_else(none)?;
        let all = volumes(&group)?;
        let primary = all.iter().find(|one| one.name == name && !one.is_hidden).cloned().ok_or_else(none)?;
        Ok(Self { pair, lvm, group, primary, all })
    }

    /// Asks LVM again.
    pub(super) fn again(&self) -> Result<Self, Failure> {
        Self::of(self.pair)
    }

    /// Refuses a primary that LVM cannot make pairs of this kind of.
    pub(super) fn fits(&self) -> Result<(), Failure> {
        let is = |layout: &str| self.primary.layout.split(',').any(|one| one == layout);
        let why = match self.lvm.kind {
            _ if self.primary.attributes.chars().nth(4) == Some('-') => {
                Some(("is not active", "lvchange --activate y makes it so; then run again"))
            }
            LvmKind::Snapshot if is("thin") => {
                Some(("is a thin volume", "say `kind: thin` in the site file"))
            }
            LvmKind::Snapshot if !self.primary.origin.is_empty() => {
                Some(("is a snapshot itself", "name its origin in the site file, or use thin volumes"))
            }
            LvmKind::Thin if !is("thin") => {
                Some(("is no thin volume", "say `kind: snapshot` in the site file"))
            }
            LvmKind::Raid1 if !is("linear") && !is("raid1") => Some((
                "is neither linear nor a raid1",
                "say another kind in the site file, or convert it (lvconvert)",
            )),
            _ => None,
        };
        why.map_or(Ok(()), |(why, help)| {
            let message = format!("the primary {} {why}", self.pair.primary.display());
            Err(Failure::refused(message).with_help(help))
        })
    }

    /// A volume as LVM's programs are told it.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.group)
    }

    /// The primary as LVM's programs are told it.
    pub(super) fn primary(&self) -> String {
        self.path(&self.primary.name)
    }

    /// The volume that has the name of the pair's image.
    ///
    /// # Errors
    /// A refusal if it is not ours.
    pub(super) fn named(&self, state: &State) -> Result<Option<&Volume>, Failure> {
        let name = names::of_image(self.pair);
        let Some(found) = self.all.iter().find(|one| one.name == name) else { return Ok(None) };
        if found.tags.contains(&names::owner(state)) || state.extra.detaching {
            return Ok(Some(found));
        }
        let shown = self.path(&name);
        Err(Failure::refused(format!(
            "{shown} has the name of the image of pair {}, and was not made for it as it is now",
            self.pair.copy_group
        ))
        .with_help(format!(
            "lvs -o +lv_tags {shown} shows whose it is; lvremove {shown} if it is not needed, then run again"
        )))
    }

    /// What holds the pair's image, if there is one: a snapshot, or a half of a mirror that was split.
    pub(super) fn image(&self, state: &State) -> Result<Option<&Volume>, Failure> {
        if let Some(named) = self.named(state)? {
            return Ok(Some(named));
        }
        if self.lvm.kind != LvmKind::Raid1 {
            return Ok(None);
        }
        self.tracked(state)
    }

    /// The image of a split pair, if it is the one that was made, and whole.
    pub(super) fn whole_image(&self, state: &State) -> Result<&Volume, Failure> {
        let failure = |what: &str| {
            Failure::permanent(format!("the image of pair {} {what}", self.pair.copy_group))
                .with_help("resync and split the pair again, or restore from another generation")
        };
        let image = self.image(state)?.ok_or_else(|| failure("is gone"))?;
        if state.extra.image.as_ref() != Some(&image.uuid) {
            return Err(failure("is another volume than the one that was split"));
        }
        if image.is_invalid {
            return Err(failure("is lost: more was written to the primary than its snapshot had room for")
                .with_help("give `size` more room in the site file; resync and split the pair again"));
        }
        if !image.health.is_empty() {
            return Err(failure(&format!("is damaged: LVM says '{}'", image.health)));
        }
        Ok(image)
    }

    /// The halves of a mirror.
    pub(super) fn halves(&self) -> impl Iterator<Item = &Volume> {
        let prefix = format!("{}_rimage_", self.primary.name);
        self.all.iter().filter(move |one| one.name.starts_with(&prefix))
    }

    /// The half that lies on the physical volume of the pair, wherever that is.
    pub(super) fn half(&self) -> Option<&Volume> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let device = real(self.lvm.device.as_deref()?);
        self.halves()
            .find(|half| !half.on.is_empty() && half.on.iter().all(|on| real(Path::new(on)) == device))
    }

    /// The half that was split, and is tracked.
    ///
    /// # Errors
    /// A refusal if somebody else has split one.
    pub(super) fn tracked(&self, state: &State) -> Result<Option<&Volume>, Failure> {
        let Some(split) = self.halves().find(|half| !half.is_hidden) else { return Ok(None) };
        let is_half = self.half().is_some_and(|half| half.uuid == split.uuid);
        // A verb that was killed has not come to its tag, or has just taken it away.
        let is_begun = state.last.as_ref().is_some_and(|last| last.ended.is_none());
        let is_ours =
            split.tags.contains(&names::owner(state)) || is_begun && state.status != PairStatus::Smpl;
        if is_half && is_ours {
            return Ok(Some(split));
        }
        let shown = self.path(&split.name);
        Err(Failure::refused(format!(
            "{shown} was split from the primary, and not by pair {}",
            self.pair.copy_group
        ))
        .with_help(format!("lvconvert --merge {shown} if it is not needed, then run again")))
    }

    /// Whether a restore by merging had been asked for, of the image that the book names.
    pub(super) fn is_merged(&self, state: &State) -> bool {
        let asked = |uuid: &String| self.primary.tags.contains(&names::merging(uuid));
        let is_restore = state.last.as_ref().is_some_and(|last| last.verb == PairVerb::Restore);
        is_restore && state.extra.image.as_ref().is_some_and(asked)
    }

    /// Lets writers go on that wait because a program of LVM was killed.
    pub(super) fn mend(&self, lock: &Lock) -> Result<(), Failure> {
        if !self.primary.is_suspended {
            return Ok(());
        }
        tracing::warn!(primary = %self.pair.primary.display(), "was left suspended, and is resumed");
        change(lock, &["lvchange", "--refresh", &self.primary()])
    }
}
