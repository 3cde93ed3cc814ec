//! record: enter the backup into the catalog.

use jiff::{SignedDuration, Timestamp};
use resplit_operations::{
    action::RecordStep,
    record::{CatalogChange, Image, Medium, Origin, Record, Standing, TapeState},
};

use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    drivers::mounts,
    facts::Facts,
    failure::Failure,
};

pub(super) struct Recording<'a>(pub(super) &'a RecordStep);

impl Recording<'_> {
    fn images(&self, context: &Context<'_>) -> Result<Vec<Image>, Failure> {
        let image = |volume| {
            let bound = context.bound(volume)?;
            let missing = || Failure::permanent(format!("volume '{volume}' was not split in this run"));
            let split = context.facts.split.get(volume).ok_or_else(missing)?;
            Ok(Image {
                volume: volume.clone(),
                copy_group: bound.pair.copy_group.clone(),
                generation: bound.pair.generation,
                epoch: split.epoch,
                report: split.report.clone(),
                source: Some(mounts::source(context.host, &bound.pair.primary)?),
            })
        };
        self.0.volumes.iter().map(image).collect()
    }

    fn ended(context: &Context<'_>) -> Timestamp {
        let window = context.facts.window.and_then(|window| {
            let length = SignedDuration::from_millis(i64::try_from(window.length_ms).ok()?);
            window.opened.checked_add(length).ok()
        });
        window
            .or_else(|| context.facts.split.values().map(|split| split.at).max())
            .unwrap_or_else(|| context.clock.now())
    }
}

impl Step for Recording<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        Ok(Preview { what: format!("backup {}", (context.reserve)()), ..Preview::default() })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        Ok(Intent { reserved: Some((context.reserve)()), ..Intent::default() })
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "a record is made by its outcome, which is not there".to_owned() })
    }

    fn run(&self, context: &Context<'_>, intent: &Intent) -> Result<Outcome, Failure> {
        let id = intent.reserved.ok_or_else(|| Failure::permanent("no backup ID was reserved"))?;
        let ended = Self::ended(context);
        let origin = Origin {
            original_id: id,
            source_host: context.host.clone(),
            operation: context.operation.clone(),
            run: context.run.clone(),
            mode: self.0.mode,
            started: context.facts.quiesced.unwrap_or(ended),
            ended,
            images: self.images(context)?,
        };
        let tape = if self.0.tape_wanted { TapeState::Wanted } else { TapeState::NotWanted };
        let entered = context.clock.now();
        let record = Record {
            id,
            origin,
            medium: Medium::Disk,
            standing: Standing::Current,
            lock: None,
            tape,
            entered,
        };
        Ok(Outcome {
            facts: Facts { record: Some(record.clone()), ..Facts::default() },
            changes: vec![CatalogChange::Insert { record: Box::new(record) }],
            summary: format!("backup {id}"),
            ..Outcome::default()
        })
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
