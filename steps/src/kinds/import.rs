//! import: enter an exported record into this host's catalog. Keyed by source host, original ID and the digest of what
//! never changes: importing the same again changes nothing.

use std::{fs, path::Path};

use resplit_operations::{
    ids::{BackupId, TransportId},
    record::{CatalogChange, ExportFile, Image, Medium, Record, Standing, TapeState},
};
use serde::{Deserialize, Serialize};

use super::{overwritten, transfer};
use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    drivers::transfer as drivers,
    facts::Facts,
    failure::Failure,
};

pub(super) struct Import;

/// What the intent keeps: the record that is there already, or the one to be entered.
#[derive(Serialize, Deserialize)]
struct Note {
    same: Option<BackupId>,
    record: Record,
}

fn read(context: &Context<'_>) -> Result<ExportFile, Failure> {
    let received = context.facts.received.as_ref();
    let received = received.ok_or_else(|| Failure::permanent("this run has transferred nothing"))?;
    let path = &received.path;
    let bytes = match &received.via {
        Some(via) => fetch(context, via, path)?,
        None => fs::read(path).map_err(|error| Failure::io("read", path, &error))?,
    };
    if blake3::hash(&bytes).to_hex().as_str() != received.digest {
        let via = received.via.as_ref().map(|via| format!(" over transport '{via}'")).unwrap_or_default();
        let text =
            format!("{}, received{via}, is not as it was sent ({} bytes)", path.display(), bytes.len());
        return Err(Failure::permanent(text).with_help(format!("resplit resume {}", context.run)));
    }
    ExportFile::read(&bytes).map_err(|wrong| Failure::permanent(format!("{} {wrong}", path.display())))
}

/// What a transport has under a name.
fn fetch(context: &Context<'_>, via: &TransportId, name: &Path) -> Result<Vec<u8>, Failure> {
    let transport = transfer::transport(context, via)?;
    let name = name.to_string_lossy();
    let found = drivers::open(transport, context.work).and_then(|mut driver| driver.get(&name));
    let missing = || {
        Failure::permanent(format!("{name} is not there (any more)"))
            .with_help(format!("resplit resume {}", context.run))
    };
    found
        .and_then(|found| found.ok_or_else(missing))
        .map_err(|failure| drivers::named(via, transport, failure))
}

/// The pair must still hold the image: an import says so.
fn check_image(context: &Context<'_>, image: &Image) -> Result<(), Failure> {
    let pair = &context.bound(&image.volume)?.pair;
    if pair.copy_group != image.copy_group {
        let text = format!("the record says {}, the run is bound to {}", image.copy_group, pair.copy_group);
        return Err(Failure::permanent(text));
    }
    let state = context.pair_driver(&image.volume)?.status(pair)?;
    if state.epoch != image.epoch {
        let text =
            format!("{} no longer holds the image of this record: it was overwritten", pair.copy_group);
        return Err(Failure::permanent(text).with_help(format!("resplit run {}", context.operation)));
    }
    Ok(())
}

impl Step for Import {
    fn preview(&self, _: &Context<'_>) -> Result<Preview, Failure> {
        Ok(Preview { what: "the record, into the catalog".to_owned(), ..Preview::default() })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let file = read(context)?;
        for image in &file.origin.images {
            check_image(context, image)?;
        }
        let same = context.catalog.iter().find(|record| {
            record.origin.source_host == file.origin.source_host
                && record.origin.original_id == file.origin.original_id
                && record.origin.digest() == file.digest
                && record.origin.images == file.origin.images
                && matches!(record.medium, Medium::Disk)
                && record.is_current()
        });
        let mut intent = Intent::default();
        let record = if let Some(same) = same {
            same.clone()
        } else {
            for image in &file.origin.images {
                let by =
                    format!("import of backup {} of {}", file.origin.original_id, file.origin.source_host);
                intent.changes.extend(overwritten::evict(context, &image.copy_group, &by)?);
            }
            intent.changes.dedup();
            let id = (context.reserve)();
            intent.reserved = Some(id);
            let tape = match &context.facts.record {
                Some(Record { tape: TapeState::Done { barcode }, .. }) => {
                    TapeState::Done { barcode: barcode.clone() }
                }
                _ if file.tape_wanted => TapeState::Wanted,
                _ => TapeState::NotWanted,
            };
            let (medium, standing, entered) = (Medium::Disk, Standing::Current, context.clock.now());
            Record { id, origin: file.origin, medium, standing, lock: None, tape, entered }
        };
        if let Some(received) = context.facts.received.as_ref().filter(|received| received.via.is_none()) {
            intent.obligations.push(Obligation::RemoveStaging { path: received.path.clone() });
        }
        let note = Note { same: same.map(|record| record.id), record };
        intent.note = serde_json::to_value(&note)
            .map_err(|error| Failure::permanent(format!("cannot serialise the record: {error}")))?;
        Ok(intent)
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "a record is entered by its outcome, which is not there".to_owned() })
    }

    fn run(&self, _: &Context<'_>, intent: &Intent) -> Result<Outcome, Failure> {
        let Note { same, record } = serde_json::from_value(intent.note.clone())
            .map_err(|error| Failure::permanent(format!("cannot read the intent of this import: {error}")))?;
        let (id, original) = (record.id, record.origin.original_id);
        let facts = Facts { record: Some(record.clone()), ..Facts::default() };
        let (changes, word) = match same {
            Some(_) => (Vec::new(), "was there already"),
            None => (vec![CatalogChange::Insert { record: Box::new(record) }], "entered"),
        };
        Ok(Outcome {
            facts,
            changes,
            summary: format!("backup {id}, original {original}, {word}"),
            ..Outcome::default()
        })
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
