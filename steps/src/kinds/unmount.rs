//! unmount: release what mount locked.

use resplit_operations::record::{CatalogChange, Record};

use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    drivers::mounts,
    failure::Failure,
};

pub(super) struct Unmount;

impl Step for Unmount {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let groups: Vec<_> = context.mountable().map(|bound| bound.pair.copy_group.to_string()).collect();
        Ok(Preview { what: groups.join(" "), ..Preview::default() })
    }

    fn prepare(&self, _: &Context<'_>) -> Result<Intent, Failure> {
        Ok(Intent::default())
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "a lock is released by its outcome, which is not there".to_owned() })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let at = context.mounts();
        mounts::close(&at)?;
        let ours = |record: &&Record| {
            record.lock.as_ref().is_some_and(|lock| lock.run.as_ref() == Some(context.run))
        };
        let mounted: Vec<_> = context.catalog.iter().filter(ours).map(|record| record.id).collect();
        let summary = match mounted.as_slice() {
            [] => "nothing was mounted".to_owned(),
            [id] => format!("backup {id}, unlocked"),
            several => format!("{} backups, unlocked", several.len()),
        };
        Ok(Outcome {
            changes: mounted.iter().map(|id| CatalogChange::Unlock { id: *id }).collect(),
            discharged: mounted
                .iter()
                .map(|id| Obligation::Unmount { id: *id })
                .chain([Obligation::CloseImages { at }])
                .collect(),
            summary,
            ..Outcome::default()
        })
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
