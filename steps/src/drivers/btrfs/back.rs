//! Makes the image the primary again.

use resplit_operations::pair::CopyReport;

use super::{
    change::{Change, exchange},
    pass::make_directory,
    places::Places,
    program::sync,
    state::State,
    subvolume::{Subvolume, nested},
    transfer::{differing, transfer},
};
use crate::{
    context::Progress,
    drivers::{book::Verb, is_there},
    failure::Failure,
};

/// A restore.
pub(super) struct Back<'a> {
    pub(super) verb: Verb<'a>,
    pub(super) places: &'a Places,
    pub(super) change: Change<'a>,
}

impl Back<'_> {
    /// A writable snapshot of the image takes the primary's place at once; what stood there is deleted.
    pub(super) fn run(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let places = self.places;
        let image = whole_image(places, state)?;
        if is_there(&places.primary)? {
            let nested = nested(&places.primary)?;
            if !nested.is_empty() {
                return Err(Failure::refused(format!(
                    "subvolumes lie in the primary {}, and would go with it: {}",
                    places.primary.display(),
                    nested.join(", ")
                ))
                .with_help("move them out of it (mv), then run again; nothing was changed"));
            }
        }
        self.known(state, &image)?;
        self.verb.run(state, |state| {
            let work = self.verb.asked.work;
            work.report(Progress::default());
            work.check()?;
            make_directory(&places.beside)?;
            self.change.remove(&places.restored)?;
            let source = self.source()?;
            self.change.writable_snapshot(source, &places.restored)?;
            state.extra.restored = Subvolume::at(&places.restored)?.map(|made| made.uuid);
            state.write(&self.verb.pair.secondary)?;
            work.report(Progress::default());
            work.check()?;
            exchange(&places.restored, &places.primary)?;
            sync(&places.beside)?;
            let report = self.report(state, source);
            self.change.remove(&places.restored)?;
            sync(&places.beside)?;
            if places.is_one {
                places.leave();
            }
            Ok(report)
        })
    }

    /// Refuses to delete what an earlier restore did not make or replace, however it came there.
    fn known(&self, state: &State, image: &Subvolume) -> Result<(), Failure> {
        let Some(left) = Subvolume::at(&self.places.restored)? else { return Ok(()) };
        let primary =
            if is_there(&self.places.primary)? { Subvolume::at(&self.places.primary)? } else { None };
        let is_last = |subvolume: &Subvolume| state.extra.restored.as_ref() == Some(&subvolume.uuid);
        let base = self.places.common()?.map(|(_, base)| base.uuid);
        let is_made = [Some(&image.uuid), base.as_ref()]
            .into_iter()
            .flatten()
            .any(|source| left.parent.as_ref() == Some(source));
        if is_last(&left) || is_made || primary.as_ref().is_some_and(is_last) {
            return Ok(());
        }
        let shown = self.places.restored.display();
        Err(Failure::refused(format!("{shown} is in the way, and was not left by a restore of this pair"))
            .with_help(format!(
                "look at it; btrfs subvolume delete {shown} if it is not needed, then run again; nothing was changed"
            )))
    }

    /// The snapshot on the primary's file system that holds what the image does. If there is none, the image is sent.
    fn source(&self) -> Result<&std::path::Path, Failure> {
        let places = self.places;
        if places.is_one {
            return Ok(&places.image);
        }
        if let Some((place, _)) = places.common()? {
            return Ok(if place == places.base { &places.base } else { &places.new_base });
        }
        self.change.remove(&places.base)?;
        let _ = transfer(&places.image, None, &places.beside, &self.change, self.verb.asked.work)?;
        sync(&places.beside)?;
        Ok(&places.base)
    }

    /// What the restore changed. The old primary may be damaged, which is why it was restored: that it cannot be counted
    /// is said, and stops nothing.
    fn report(&self, state: &State, source: &std::path::Path) -> CopyReport {
        let (entries, bytes) = (state.extra.entries, state.extra.bytes);
        let whole =
            CopyReport { entries, bytes, changed: entries.max(1), copied: bytes, ..CopyReport::default() };
        let old = &self.places.restored;
        if !old.exists() {
            return whole;
        }
        let counted = self
            .change
            .set_read_only(old)
            .and_then(|()| differing(source, old, &self.change, self.verb.asked.work));
        match counted {
            // Seen from the image: what the primary had made is removed, and what it had removed comes back.
            Ok(changes) => CopyReport {
                changed: changes.written + changes.removed,
                removed: changes.made,
                copied: changes.bytes,
                ..whole
            },
            Err(failure) => CopyReport {
                notes: vec![format!("what was replaced could not be counted: {failure}")],
                ..whole
            },
        }
    }
}

/// The image of a split pair, if it is the one that was made.
pub(super) fn whole_image(places: &Places, state: &State) -> Result<Subvolume, Failure> {
    let failure = |what: &str| {
        Failure::permanent(format!("the image {} {what}", places.image.display()))
            .with_help("resync and split the pair again, or restore from another generation")
    };
    let image = Subvolume::at(&places.image)?.ok_or_else(|| failure("is gone"))?;
    if state.extra.image.as_ref() != Some(&image.uuid) {
        return Err(failure("is another subvolume than the one that was split"));
    }
    if !image.is_read_only {
        return Err(failure("was made writable, and may have changed"));
    }
    Ok(image)
}
