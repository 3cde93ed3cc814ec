//! One pass: a snapshot of the primary becomes the image, or is sent to be it.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use resplit_operations::pair::{CopyReport, PairVerb};

use super::{
    change::Change,
    places::Places,
    program::sync,
    state::State,
    stream::Changes,
    subvolume::{Subvolume, nested},
    transfer::{differing, transfer},
};
use crate::{
    context::Progress,
    drivers::{
        book::Verb,
        directory::count::{Counted, count},
    },
    failure::Failure,
};

/// A resync or a split.
pub(super) struct Pass<'a> {
    pub(super) verb: Verb<'a>,
    pub(super) places: &'a Places,
    pub(super) change: Change<'a>,
}

impl Pass<'_> {
    /// Makes the pass. A resync counts what the primary holds before it begins; a split, which lies in the window, says
    /// what the resync counted.
    pub(super) fn run(&self, state: &mut State) -> Result<CopyReport, Failure> {
        let is_resync = self.verb.verb == PairVerb::Resync;
        let nested = nested(&self.places.primary)?;
        if is_resync {
            let counted = count(&self.places.primary, self.verb.asked.work)?;
            state.extra.entries = counted.entries;
            state.extra.bytes = counted.bytes;
            self.has_room(&counted)?;
        }
        self.verb.run(state, |state| {
            self.safe_point()?;
            let changes = if self.places.is_one { self.snapshot(is_resync)? } else { self.send()? };
            state.extra.image = Subvolume::at(&self.places.image)?.map(|image| image.uuid);
            let (entries, bytes) = (state.extra.entries, state.extra.bytes);
            // Without an earlier image all is new.
            let (changed, removed, copied) = match changes {
                Some(changes) => (changes.made + changes.written, changes.removed, changes.bytes),
                None if is_resync => (entries, 0, bytes),
                None => (0, 0, 0),
            };
            Ok(CopyReport {
                entries,
                bytes,
                changed,
                removed,
                copied,
                notes: note(&nested),
                ..CopyReport::default()
            })
        })
    }

    /// Somebody may ask to stop here.
    fn safe_point(&self) -> Result<(), Failure> {
        let work = self.verb.asked.work;
        work.report(Progress::default());
        work.check()
    }

    /// On one file system: an instant, whatever the size. What differs from the last image is counted in a resync only,
    /// since that takes a time of its own.
    fn snapshot(&self, is_counted: bool) -> Result<Option<Changes>, Failure> {
        let places = self.places;
        self.change.snapshot(&places.primary, &places.new)?;
        let mut changes = None;
        if is_counted && self.is_next()? {
            changes = Some(differing(&places.image, &places.new, &self.change, self.verb.asked.work)?);
        }
        self.safe_point()?;
        self.change.put(&places.new, &places.image)?;
        sync(&self.verb.pair.secondary)?;
        Ok(changes)
    }

    /// Whether the image and the snapshot that is to follow it come from one another.
    fn is_next(&self) -> Result<bool, Failure> {
        let (primary, image) = (Subvolume::at(&self.places.primary)?, Subvolume::at(&self.places.image)?);
        Ok(matches!((primary, image), (Some(primary), Some(image)) if primary.is_related(&image)))
    }

    /// To another file system: what differs from the last snapshot that is on both, or all.
    fn send(&self) -> Result<Option<Changes>, Failure> {
        let places = self.places;
        make_directory(&places.beside)?;
        let is_common = match places.common()? {
            Some((place, _)) => {
                if place == places.new_base {
                    self.change.put(&places.new_base, &places.base)?;
                }
                true
            }
            None => {
                // Of no use any more, and its room may be wanted.
                self.change.remove(&places.base)?;
                self.change.remove(&places.image)?;
                false
            }
        };
        self.change.snapshot(&places.primary, &places.new_base)?;
        self.change.remove(&places.new)?;
        let secondary = &self.verb.pair.secondary;
        let parent = is_common.then_some(places.base.as_path());
        let changes = transfer(&places.new_base, parent, secondary, &self.change, self.verb.asked.work)?;
        self.safe_point()?;
        sync(secondary)?;
        self.change.put(&places.new, &places.image)?;
        self.change.put(&places.new_base, &places.base)?;
        sync(secondary)?;
        sync(&places.beside)?;
        Ok(Some(changes))
    }

    /// Refuses a first copy to a file system that has no room for it.
    fn has_room(&self, counted: &Counted) -> Result<(), Failure> {
        let secondary = &self.verb.pair.secondary;
        if self.places.is_one || self.places.image.symlink_metadata().is_ok() {
            return Ok(());
        }
        let has = rustix::fs::statvfs(secondary)
            .map_err(|error| Failure::io("ask for the free space of", secondary, &error.into()))?;
        let free = has.f_bavail.saturating_mul(has.f_frsize);
        if counted.needed <= free {
            return Ok(());
        }
        Err(Failure::refused(format!(
            "no room in {}: {} bytes are needed and {free} are free",
            secondary.display(),
            counted.needed
        ))
        .with_help("free space there, or name a place on a larger file system; nothing was changed"))
    }
}

/// What a backup does not hold.
fn note(nested: &[String]) -> Vec<String> {
    const MOST: usize = 5;
    let (Some(first), more) = (nested.get(..nested.len().min(MOST)), nested.len().saturating_sub(MOST))
    else {
        return Vec::new();
    };
    if nested.is_empty() {
        return Vec::new();
    }
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    vec![format!(
        "subvolumes in the primary are no part of its image, and need volumes of their own: {}{more}",
        first.join(", ")
    )]
}

/// Makes the pair's directory beside the primary. Others may not look into what is kept there.
pub(super) fn make_directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::io("make the directory", path, &error))
}
