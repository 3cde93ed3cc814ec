//! purge-cache: on the secondary's host, before the primary's host overwrites what is there.

use resplit_operations::{action::VolumeStep, plan::Purpose};

use super::overwritten;
use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    failure::Failure,
};

pub(super) struct PurgeCache<'a>(pub(super) &'a VolumeStep);

impl Step for PurgeCache<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let bound = context.bound(&self.0.volume)?;
        Ok(Preview {
            what: bound.pair.copy_group.to_string(),
            now: bound.status.to_string(),
            ..Preview::default()
        })
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let bound = context.bound(&self.0.volume)?;
        let primary = context.site.volumes.get(&self.0.volume).map(|volume| &volume.primary.host);
        // On the primary's host the resync evicts: a stale mark would only say the same twice.
        if primary == Some(context.host) {
            return Ok(Intent::default());
        }
        let verb = if context.purpose == Purpose::PairDelete { "delete" } else { "resync" };
        let by = format!("{verb} of {} by run {}", bound.pair.copy_group, context.run);
        let changes = overwritten::mark_stale(context, &bound.pair.copy_group, &by)?;
        Ok(Intent { changes, ..Intent::default() })
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "purging a cache twice does no harm".to_owned() })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let bound = context.bound(&self.0.volume)?;
        let summary = context.pair_driver(&self.0.volume)?.purge_cache(&bound.pair)?.to_owned();
        Ok(Outcome { summary, ..Outcome::default() })
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
