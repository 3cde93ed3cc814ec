//! restore: copy the image back over the primary, or some of its files to another place.

use resplit_operations::{
    action::RestoreStep,
    pair::{CopyReport, PairVerb, verdict::ArrayVerb},
    plan::Purpose,
    record::{Medium, Record},
};

use super::{
    elsewhere::Elsewhere,
    foreseen::{REJECTED, foreseen},
};
use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    drivers::mounts,
    facts::Facts,
    failure::Failure,
};

pub(super) struct Restoring<'a>(pub(super) &'a RestoreStep);

/// The record on disk that is restored: imported by this run, or chosen for it. An operator may ask for the image of a
/// pair that no record describes.
fn source<'a>(context: &'a Context<'_>) -> Result<Option<&'a Record>, Failure> {
    let chosen = context.binding.source.as_ref().map(|source| &source.record);
    let on_disk = |record: &&Record| matches!(record.medium, Medium::Disk);
    match context.facts.record.as_ref().or(chosen).filter(on_disk) {
        None if context.purpose == Purpose::PairRestore => Ok(None),
        None => Err(Failure::permanent("this run was bound to no backup on disk")),
        some => Ok(some),
    }
}

/// What is restored, in words.
fn named(record: Option<&Record>) -> String {
    record.map_or_else(|| "image".to_owned(), |record| format!("backup {}", record.id))
}

impl Restoring<'_> {
    fn outcome(&self, what: &str, report: CopyReport) -> Outcome {
        let mut summary = format!(
            "{what}: {} entries, {} changed, {} removed, {} bytes copied",
            report.entries, report.changed, report.removed, report.copied
        );
        report.notes.iter().for_each(|note| summary.extend(["; ", note]));
        let restored = [(self.0.volume.clone(), report)].into();
        Outcome { facts: Facts { restored, ..Facts::default() }, summary, ..Outcome::default() }
    }

    fn check_image(&self, context: &Context<'_>, record: &Record) -> Result<(), Failure> {
        let bound = context.bound(&self.0.volume)?;
        let state = context.pair_driver(&self.0.volume)?.status(&bound.pair)?;
        let image = record.origin.images.iter().find(|image| image.volume == self.0.volume);
        if image.is_some_and(|i| i.epoch == state.epoch && i.copy_group == bound.pair.copy_group) {
            return Ok(());
        }
        let text = format!("{} no longer holds the image of backup {}", bound.pair.copy_group, record.id);
        Err(Failure::refused(text).with_help("resplit catalog list"))
    }
}

impl Step for Restoring<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let bound = context.bound(&self.0.volume)?;
        let mut preview = Preview { what: bound.pair.copy_group.to_string(), ..Preview::default() };
        if let Some(to) = &self.0.to {
            preview.notes.push(format!("into {}", to.display()));
            return Ok(preview);
        }
        preview = foreseen(context, &self.0.volume, ArrayVerb::Restore)?;
        preview.notes.push(format!("overwrites {}", bound.pair.primary.display()));
        preview.notes.extend(context.binding.drift.iter().map(|text| format!("although {text}")));
        // From tape the image is not there yet: what differs cannot be told.
        let on_disk = match &context.binding.source {
            Some(source) => matches!(source.record.medium, Medium::Disk),
            None => context.purpose == Purpose::PairRestore && preview.then != REJECTED,
        };
        if on_disk {
            let found = context.pair_driver(&self.0.volume)?.difference(&bound.pair, context.work)?;
            preview.notes.push(format!(
                "{} newer entries are removed, {} replaced, {} come back",
                found.removed, found.replaced, found.returned
            ));
            preview.notes.extend(found.examples);
        }
        Ok(preview)
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        if let Some(record) = source(context)? {
            self.check_image(context, record)?;
        }
        let Some(to) = &self.0.to else { return Ok(Intent::default()) };
        let elsewhere = Elsewhere::new(to, &self.0.paths, context.run);
        elsewhere.check_free()?;
        let staging = Obligation::RemoveStaging { path: elsewhere.staging().to_owned() };
        let close = context.close_images([&self.0.volume])?;
        let obligations = std::iter::once(staging).chain(close).collect();
        Ok(Intent { obligations, ..Intent::default() })
    }

    fn probe(&self, context: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        if self.0.to.is_some() {
            let because = "what was copied is published once it is whole: it goes on from there".to_owned();
            return Ok(Probe::NotDone { because });
        }
        let pair = &context.bound(&self.0.volume)?.pair;
        let state = context.pair_driver(&self.0.volume)?.status(pair)?;
        let ours = state.last.filter(|last| last.tag == context.tag() && last.verb == PairVerb::Restore);
        Ok(match ours.and_then(|last| last.report) {
            Some(report) => Probe::Done {
                outcome: Box::new(self.outcome(&named(source(context)?), report)),
                because: format!("{} says that this restore ended", pair.copy_group),
            },
            None => Probe::NotDone {
                because: format!(
                    "{} is {}: copying back goes on, there is no way back",
                    pair.copy_group, state.status
                ),
            },
        })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let record = source(context)?;
        let pair = &context.bound(&self.0.volume)?.pair;
        let driver = context.pair_driver(&self.0.volume)?;
        let Some(to) = &self.0.to else {
            let report = driver.restore(&pair.at_pace(self.0.pace), &context.asked())?;
            return Ok(self.outcome(&named(record), report));
        };
        let at = context.mounts();
        let open_at = at.join(self.0.volume.as_str());
        let report = Elsewhere::new(to, &self.0.paths, context.run)
            .fill(|staging| driver.fetch(pair, &open_at, (&self.0.paths, staging), context.work))?;
        mounts::close(&at)?;
        Ok(Outcome {
            discharged: vec![Obligation::CloseImages { at }],
            summary: format!("{} entries into {}", report.entries, to.display()),
            ..Outcome::default()
        })
    }

    fn undo(&self) -> Undo {
        match self.0.to {
            Some(_) => Undo::Obligation,
            None => Undo::Irreversible("what was newer on the primary is gone"),
        }
    }
}
