//! mount: lock the backup, and make its images accessible.

use resplit_operations::record::{CatalogChange, Lock, Record};

use super::confirm::check_images;
use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    facts::Facts,
    failure::Failure,
};

pub(super) struct Mount;

/// The record of this host that the run works on.
pub(super) fn record_of<'a>(context: &'a Context<'_>) -> Result<&'a Record, Failure> {
    let known = context.facts.record.as_ref();
    let chosen = context.binding.source.as_ref().filter(|source| source.host == *context.host);
    let id = known.or(chosen.map(|source| &source.record)).map(|record| record.id);
    let id = id.ok_or_else(|| Failure::permanent("this run has no backup on this host"))?;
    let missing = || Failure::permanent(format!("the catalog of {} has no backup {id}", context.host));
    let record = context.record(id).ok_or_else(missing)?;
    if record.is_current() {
        return Ok(record);
    }
    Err(Failure::refused(format!("backup {id} is stale: its image was overwritten"))
        .with_help("resplit catalog list"))
}

impl Step for Mount {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let groups: Vec<_> = context.mountable().map(|bound| bound.pair.copy_group.to_string()).collect();
        Ok(Preview { what: groups.join(" "), ..Preview::default() })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let record = record_of(context)?;
        check_images(context, record)?;
        if let Some(holder) =
            record.lock.as_ref().and_then(|lock| lock.run.as_ref()).filter(|run| *run != context.run)
        {
            let text = format!("backup {} is mounted by run {holder}", record.id);
            return Err(Failure::refused(text).with_help(format!("resplit show {holder}")));
        }
        let close = context.close_images(record.origin.images.iter().map(|image| &image.volume))?;
        // An operator's own lock stays as it is: it outlives the run.
        if record.lock.as_ref().is_some_and(|lock| lock.run.is_none()) {
            return Ok(Intent { obligations: close.into_iter().collect(), ..Intent::default() });
        }
        let lock = Lock { run: Some(context.run.clone()), since: context.clock.now() };
        Ok(Intent {
            changes: vec![CatalogChange::Lock { id: record.id, lock }],
            obligations: std::iter::once(Obligation::Unmount { id: record.id }).chain(close).collect(),
            ..Intent::default()
        })
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "mounting twice gives the same place".to_owned() })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let record = record_of(context)?;
        let mut facts = Facts::default();
        for image in &record.origin.images {
            let pair = &context.bound(&image.volume)?.pair;
            let at = context.mounts().join(image.volume.as_str());
            let path = context.pair_driver(&image.volume)?.open_image(pair, &at)?;
            let _ = facts.mounted.insert(image.volume.clone(), path);
        }
        let summary = format!("backup {}, locked", record.id);
        Ok(Outcome { facts, summary, ..Outcome::default() })
    }

    fn undo(&self) -> Undo {
        Undo::Obligation
    }
}
