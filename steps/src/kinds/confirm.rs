//! confirm: the record is there and current; before a restore in place, nobody uses the primary.

use resplit_operations::{
    action::Confirm,
    ids::VolumeId,
    record::{Medium, Record, TapePlace},
};

use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    failure::Failure,
};

pub(super) struct Confirming<'a>(pub(super) &'a Confirm);

/// Checks that the images of a record are still on their pairs.
pub(super) fn check_images(context: &Context<'_>, record: &Record) -> Result<(), Failure> {
    for image in &record.origin.images {
        let bound = context.bound(&image.volume)?;
        let state = context.pair_driver(&image.volume)?.status(&bound.pair)?;
        if bound.pair.copy_group != image.copy_group || state.epoch != image.epoch {
            let text = format!("{} no longer holds the image of backup {}", image.copy_group, record.id);
            return Err(Failure::refused(text).with_help("resplit catalog list"));
        }
    }
    Ok(())
}

impl Confirming<'_> {
    fn check_unused(context: &Context<'_>, volume: &VolumeId) -> Result<(), Failure> {
        if context.binding.force {
            return Ok(());
        }
        let pair = &context.bound(volume)?.pair;
        let (primary, users) = (&pair.primary, context.pair_driver(volume)?.users(pair)?);
        if users.is_empty() {
            return Ok(());
        }
        let named: Vec<_> = users.iter().take(5).map(String::as_str).collect();
        let text = format!("{} is in use by {}: {}", primary.display(), users.len(), named.join(", "));
        Err(Failure::refused(text).with_help("end these programs, or restore under them with --force"))
    }

    /// The record that has to be there, if there is one to look for.
    fn wanted<'c>(&self, context: &'c Context<'_>) -> Option<&'c Record> {
        let chosen = context.binding.source.as_ref().filter(|source| source.host == *context.host);
        let made = if self.0.tape { context.facts.on_tape.as_ref() } else { context.facts.record.as_ref() };
        made.or(chosen.map(|source| &source.record))
    }

    fn check_tape(context: &Context<'_>, record: &Record, place: &TapePlace) -> Result<(), Failure> {
        let (library, driver) = context.library(&place.library)?;
        let there = driver
            .datasets(&library, &place.barcode)?
            .iter()
            .any(|d| d.number == place.dataset && d.record.origin.original_id == record.origin.original_id);
        if there {
            return Ok(());
        }
        let text = format!("{} has no dataset {} of backup {}", place.barcode, place.dataset, record.id);
        Err(Failure::permanent(text).with_help("resplit tape list"))
    }
}

impl Step for Confirming<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        for volume in &self.0.unused {
            Self::check_unused(context, volume)?;
        }
        let what = match (&context.binding.source, self.0.tape) {
            (Some(source), _) => format!("backup {} of {}", source.record.id, source.host),
            (None, true) => "the record, and its dataset".to_owned(),
            (None, false) if !self.0.unused.is_empty() => "that nobody uses the primary".to_owned(),
            (None, false) => "the record".to_owned(),
        };
        Ok(Preview { what, ..Preview::default() })
    }

    fn prepare(&self, _: &Context<'_>) -> Result<Intent, Failure> {
        Ok(Intent::default())
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "it only looks".to_owned() })
    }

    fn runs_at_once(&self, context: &Context<'_>) -> bool {
        self.0.unused.is_empty() && self.wanted(context).is_none()
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        for volume in &self.0.unused {
            Self::check_unused(context, volume)?;
        }
        let Some(wanted) = self.wanted(context) else {
            let summary = "nobody uses the primary".to_owned();
            return Ok(Outcome { summary, ..Outcome::default() });
        };
        let missing =
            || Failure::permanent(format!("the catalog of {} has no backup {}", context.host, wanted.id));
        let record = context.record(wanted.id).ok_or_else(missing)?;
        if !record.is_current() || record.origin.digest() != wanted.origin.digest() {
            return Err(Failure::refused(format!("backup {} is not current", record.id))
                .with_help("resplit catalog list"));
        }
        let place = match &record.medium {
            Medium::Disk => {
                check_images(context, record)?;
                "on disk".to_owned()
            }
            Medium::Tape(place) => {
                Self::check_tape(context, record, place)?;
                format!("on tape {}", place.barcode)
            }
        };
        Ok(Outcome { summary: format!("backup {} is there, {place}", record.id), ..Outcome::default() })
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
