//! delete: dissolve the pair, so that nothing of it is left on the secondary.

use resplit_operations::{
    action::VolumeStep,
    pair::{CopyReport, PairVerb, verdict::ArrayVerb},
};

use super::{foreseen::foreseen, overwritten};
use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    failure::Failure,
};

pub(super) struct Delete<'a>(pub(super) &'a VolumeStep);

fn outcome(report: &CopyReport) -> Outcome {
    let mut summary = format!("dissolved: {} entries removed", report.removed);
    report.notes.iter().for_each(|note| summary.extend(["; ", note]));
    Outcome { summary, ..Outcome::default() }
}

impl Step for Delete<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let mut preview = foreseen(context, &self.0.volume, ArrayVerb::Delete)?;
        if preview.now != preview.then {
            let bound = context.bound(&self.0.volume)?;
            let place = format!("{}:{}", bound.secondary_host, bound.pair.secondary.display());
            preview.notes.push(format!("removes what was copied to {place}"));
        }
        Ok(preview)
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let group = &context.bound(&self.0.volume)?.pair.copy_group;
        let by = format!("delete of {group} by run {}", context.run);
        Ok(Intent { changes: overwritten::evict(context, group, &by)?, ..Intent::default() })
    }

    fn probe(&self, context: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        let pair = &context.bound(&self.0.volume)?.pair;
        let state = context.pair_driver(&self.0.volume)?.status(pair)?;
        let ours = state.last.filter(|last| last.tag == context.tag() && last.verb == PairVerb::Delete);
        Ok(match ours.and_then(|last| last.report) {
            Some(report) => Probe::Done {
                outcome: Box::new(outcome(&report)),
                because: format!("{} says that it was dissolved by this step", pair.copy_group),
            },
            None => Probe::NotDone {
                because: format!(
                    "{} is {} and was not dissolved by this step: it goes on",
                    pair.copy_group, state.status
                ),
            },
        })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let pair = &context.bound(&self.0.volume)?.pair;
        let report = context.pair_driver(&self.0.volume)?.delete(pair, &context.asked())?;
        Ok(outcome(&report))
    }

    fn undo(&self) -> Undo {
        Undo::Irreversible("the image that was on the secondary is removed")
    }
}
