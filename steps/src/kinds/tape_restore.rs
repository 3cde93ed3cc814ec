//! tape-restore: read a dataset back, into the secondary, or some of its files to another place.

use std::path::{Path, PathBuf};

use resplit_operations::{
    action::TapeRestore,
    compile::{self, CompileError},
    ids::VolumeId,
    pair::{CopyReport, PairVerb},
    record::{CatalogChange, Image, Medium, Record, Standing, TapePlace, TapeState},
};

use super::{elsewhere::Elsewhere, overwritten};
use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    drivers::{media::Wanted, mounts},
    facts::Facts,
    failure::Failure,
};

pub(super) struct TapeRestoreStep<'a>(pub(super) &'a TapeRestore);

/// The record on tape that the run restores.
fn source<'a>(context: &'a Context<'_>) -> Result<(&'a Record, &'a TapePlace), Failure> {
    let missing = || Failure::permanent("this run was bound to no backup on tape");
    let record = &context.binding.source.as_ref().ok_or_else(missing)?.record;
    match &record.medium {
        Medium::Tape(place) => Ok((record, place)),
        Medium::Disk => Err(missing()),
    }
}

/// The image that this step has made on a pair, if it has, as the pair itself says.
fn finished(context: &Context<'_>, volume: &VolumeId) -> Result<Option<Image>, Failure> {
    let pair = &context.bound(volume)?.pair;
    let state = context.pair_driver(volume)?.status(pair)?;
    let (from, _) = source(context)?;
    let made_from = from.origin.images.iter().find(|image| image.volume == *volume);
    let ours = state.last.filter(|last| last.tag == context.tag() && last.verb == PairVerb::Overwrite);
    Ok(ours.and_then(|last| last.report).map(|report| Image {
        volume: volume.clone(),
        copy_group: pair.copy_group.clone(),
        generation: pair.generation,
        epoch: state.epoch,
        report,
        source: made_from.and_then(|image| image.source.clone()),
    }))
}

impl TapeRestoreStep<'_> {
    fn outcome(context: &Context<'_>, intent: &Intent, images: Vec<Image>) -> Result<Outcome, Failure> {
        let (from, place) = source(context)?;
        let id = intent.reserved.ok_or_else(|| Failure::permanent("no backup ID was reserved"))?;
        let mut record = from.clone();
        record.id = id;
        record.origin.images = images;
        record.medium = Medium::Disk;
        record.standing = Standing::Current;
        record.lock = None;
        record.tape = TapeState::Done { barcode: place.barcode.clone() };
        record.entered = context.clock.now();
        let entries: u64 = record.origin.images.iter().map(|image| image.report.entries).sum();
        Ok(Outcome {
            summary: format!(
                "backup {id} from {}, dataset {}: {entries} entries",
                place.barcode, place.dataset
            ),
            facts: Facts { record: Some(record.clone()), ..Facts::default() },
            changes: vec![CatalogChange::Insert { record: Box::new(record) }],
            ..Outcome::default()
        })
    }

    fn read(
        &self,
        context: &Context<'_>,
        to: &[(VolumeId, &Path)],
        paths: &[PathBuf],
        replace: bool,
    ) -> Result<CopyReport, Failure> {
        let (_, place) = source(context)?;
        let (library, driver) = context.library(&self.0.library)?;
        let wanted = Wanted { to, paths, replace };
        driver.read(&library, &place.barcode, place.dataset, &wanted, context.work)
    }

    fn overwrite(&self, context: &Context<'_>, volume: &VolumeId) -> Result<Image, Failure> {
        if let Some(image) = finished(context, volume)? {
            return Ok(image);
        }
        let pair = &context.bound(volume)?.pair;
        let driver = context.pair_driver(volume)?;
        let at = context.mounts().join(volume.as_str());
        let data = driver.begin_overwrite(pair, &at, &context.asked())?;
        let report = self.read(context, &[(volume.clone(), data.as_path())], &[], true)?;
        driver.end_overwrite(pair, &report, &context.asked())?;
        finished(context, volume)?.ok_or_else(|| {
            Failure::unknown(format!("{} does not say how its restore ended", pair.copy_group))
        })
    }

    fn elsewhere<'e>(&'e self, context: &Context<'_>, to: &'e Path) -> Elsewhere<'e> {
        Elsewhere::new(to, &self.0.paths, context.run)
    }
}

impl Step for TapeRestoreStep<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let (_, place) = source(context)?;
        let what = format!("{}, dataset {}", place.barcode, place.dataset);
        if let Some(to) = &self.0.to {
            return Ok(Preview { what, notes: vec![format!("into {}", to.display())], ..Preview::default() });
        }
        let mut preview = Preview { what, then: "PSUS".to_owned(), ..Preview::default() };
        for bound in context.binding.pairs.values() {
            preview.now = bound.status.to_string();
            preview.notes.push(format!("overwrites the secondary of {}", bound.pair.copy_group));
        }
        for eviction in context.binding.evictions.iter().filter(|eviction| eviction.host == *context.host) {
            preview.notes.push(format!("evicts backup {}", eviction.id));
        }
        Ok(preview)
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        if let Some(to) = &self.0.to {
            let elsewhere = self.elsewhere(context, to);
            elsewhere.check_free()?;
            let obligations = vec![Obligation::RemoveStaging { path: elsewhere.staging().to_owned() }];
            return Ok(Intent { obligations, ..Intent::default() });
        }
        let mut changes = Vec::new();
        for bound in context.binding.pairs.values() {
            let by = format!("restore from tape by run {}", context.run);
            changes.extend(overwritten::evict(context, &bound.pair.copy_group, &by)?);
        }
        changes.dedup();
        let obligations = context.close_images(context.binding.pairs.keys())?.into_iter().collect();
        Ok(Intent { reserved: Some((context.reserve)()), changes, obligations, ..Intent::default() })
    }

    fn probe(&self, context: &Context<'_>, intent: &Intent) -> Result<Probe, Failure> {
        if self.0.to.is_some() {
            let because = "what was read is published once it is whole: it goes on from there".to_owned();
            return Ok(Probe::NotDone { because });
        }
        let (record, _) = source(context)?;
        let images: Vec<_> = record
            .origin
            .images
            .iter()
            .map(|image| finished(context, &image.volume))
            .collect::<Result<Option<_>, _>>()?
            .unwrap_or_default();
        if images.is_empty() {
            return Ok(Probe::NotDone {
                because: "the secondary is not wholly overwritten: it is read again".to_owned(),
            });
        }
        let outcome = Box::new(Self::outcome(context, intent, images)?);
        Ok(Probe::Done {
            outcome,
            because: "the secondary says that it was wholly overwritten by this step".to_owned(),
        })
    }

    fn run(&self, context: &Context<'_>, intent: &Intent) -> Result<Outcome, Failure> {
        let (record, _) = source(context)?;
        let volumes: Vec<_> = record.origin.images.iter().map(|image| image.volume.clone()).collect();
        let Some(to) = &self.0.to else {
            let images =
                volumes.iter().map(|volume| self.overwrite(context, volume)).collect::<Result<_, _>>()?;
            let at = context.mounts();
            mounts::close(&at)?;
            let outcome = Self::outcome(context, intent, images)?;
            return Ok(Outcome { discharged: vec![Obligation::CloseImages { at }], ..outcome });
        };
        let refused = |error: CompileError| Failure::refused(error.to_string());
        let wanted = compile::by_volume(&volumes, &self.0.paths).map_err(refused)?;
        let report = self.elsewhere(context, to).fill(|staging| {
            let mut all = CopyReport::default();
            for (volume, paths) in wanted {
                // Of several volumes each gets a directory of its own; of one, its files stand in the place itself.
                let place =
                    if volumes.len() == 1 { staging.to_owned() } else { staging.join(volume.as_str()) };
                let read = self.read(context, &[(volume.clone(), place.as_path())], &paths, false)?;
                all.entries += read.entries;
                all.bytes += read.bytes;
                all.changed += read.changed;
                all.copied += read.copied;
            }
            Ok(all)
        })?;
        Ok(Outcome {
            summary: format!("{} entries into {}", report.entries, to.display()),
            ..Outcome::default()
        })
    }

    fn undo(&self) -> Undo {
        Undo::Irreversible("the image that was on the secondary is overwritten")
    }
}
