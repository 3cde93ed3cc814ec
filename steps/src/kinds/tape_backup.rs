//! tape-backup: write the mounted images to a cartridge.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use resplit_operations::{
    action::TapeBackup,
    ids::{BackupId, Barcode, VolumeId},
    operation::Keep,
    record::{CatalogChange, Medium, Record, TapePlace, TapeState},
};
use serde::{Deserialize, Serialize};

use super::mount::record_of;
use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    drivers::media::{Dataset, NewDataset},
    facts::Facts,
    failure::Failure,
};

pub(super) struct TapeBackupStep<'a>(pub(super) &'a TapeBackup);

/// What the intent keeps, so that a restarted engine looks on the right cartridge and gives the right ID.
#[derive(Serialize, Deserialize)]
struct Note {
    barcode: Barcode,
    disk: BackupId,
    expires: Option<Timestamp>,
}

fn note(intent: &Intent) -> Result<(BackupId, Note), Failure> {
    let note = serde_json::from_value(intent.note.clone()).map_err(|error| {
        Failure::permanent(format!("cannot read the intent of this tape-backup: {error}"))
    })?;
    let id = intent.reserved.ok_or_else(|| Failure::permanent("no backup ID was reserved"))?;
    Ok((id, note))
}

impl TapeBackupStep<'_> {
    fn sources(context: &Context<'_>) -> Vec<(VolumeId, PathBuf)> {
        context.facts.mounted.iter().map(|(volume, path)| (volume.clone(), path.clone())).collect()
    }

    fn outcome(&self, context: &Context<'_>, id: BackupId, note: &Note, dataset: &Dataset) -> Outcome {
        let place = TapePlace {
            library: self.0.library.clone(),
            barcode: dataset.barcode.clone(),
            dataset: dataset.number,
            bytes: dataset.bytes,
            expires: dataset.expires,
        };
        let done = TapeState::Done { barcode: dataset.barcode.clone() };
        let record = Record {
            id,
            medium: Medium::Tape(place),
            lock: None,
            tape: TapeState::NotWanted,
            entered: context.clock.now(),
            ..dataset.record.clone()
        };
        let summary = format!(
            "backup {id} on {}, dataset {}: {} entries, {} bytes",
            dataset.barcode, dataset.number, dataset.entries, dataset.bytes
        );
        Outcome {
            facts: Facts { on_tape: Some(record.clone()), ..Facts::default() },
            changes: vec![
                CatalogChange::Insert { record: Box::new(record) },
                CatalogChange::SetTape { id: note.disk, tape: done },
            ],
            summary,
            ..Outcome::default()
        }
    }
}

impl Step for TapeBackupStep<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let what = match &context.binding.cartridge {
            Some(barcode) => format!("{barcode} of pool {}", self.0.pool),
            None => format!("pool {}", self.0.pool),
        };
        Ok(Preview { what, ..Preview::default() })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let (library, driver) = context.library(&self.0.library)?;
        let sources: Vec<_> = Self::sources(context).into_iter().map(|(_, path)| path).collect();
        let barcode = driver.choose(&library, &self.0.pool, driver.bound(&sources)?)?;
        let record = record_of(context)?;
        let expires = match self.0.keep {
            Keep::Forever => None,
            Keep::For(period) => {
                let length = SignedDuration::from_millis(i64::try_from(period.0).unwrap_or(i64::MAX));
                record.origin.started.checked_add(length).ok()
            }
        };
        let note = serde_json::to_value(Note { barcode, disk: record.id, expires })
            .map_err(|error| Failure::permanent(format!("cannot serialise an intent: {error}")))?;
        Ok(Intent { reserved: Some((context.reserve)()), note, ..Intent::default() })
    }

    fn probe(&self, context: &Context<'_>, intent: &Intent) -> Result<Probe, Failure> {
        let (id, note) = note(intent)?;
        let (library, driver) = context.library(&self.0.library)?;
        let datasets = driver.datasets(&library, &note.barcode)?;
        Ok(match datasets.iter().find(|dataset| dataset.tag == context.tag()) {
            Some(dataset) => Probe::Done {
                outcome: Box::new(self.outcome(context, id, &note, dataset)),
                because: format!("{} has a closed dataset {} of this step", note.barcode, dataset.number),
            },
            None => {
                Probe::NotDone { because: format!("{} has no closed dataset of this step", note.barcode) }
            }
        })
    }

    fn run(&self, context: &Context<'_>, intent: &Intent) -> Result<Outcome, Failure> {
        let (id, note) = note(intent)?;
        let (library, driver) = context.library(&self.0.library)?;
        let sources = Self::sources(context);
        let mut record = record_of(context)?.clone();
        record.lock = None;
        let dataset = NewDataset {
            barcode: &note.barcode,
            pool: &self.0.pool,
            tag: context.tag(),
            host: context.host,
            sources: &sources,
            record: &Record { id, tape: TapeState::NotWanted, ..record },
            expires: note.expires,
            written: context.clock.now(),
        };
        let dataset = driver.write(&library, &dataset, context.work)?;
        Ok(self.outcome(context, id, &note, &dataset))
    }

    fn undo(&self) -> Undo {
        Undo::Irreversible("a closed dataset stays on its cartridge")
    }
}
