//! resync: make the secondary equal to the primary, and keep it so.

use resplit_operations::{
    action::ResyncStep,
    pair::{CopyReport, PairVerb, foresee, verdict::ArrayVerb},
};

use super::{foreseen::foreseen, overwritten};
use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    facts::Facts,
    failure::Failure,
};

pub(super) struct Resync<'a>(pub(super) &'a ResyncStep);

impl Resync<'_> {
    fn outcome(&self, report: CopyReport) -> Outcome {
        let mut summary = format!(
            "{} entries, {} changed, {} removed, {} bytes copied",
            report.entries, report.changed, report.removed, report.copied
        );
        report.notes.iter().for_each(|note| summary.extend(["; ", note]));
        let facts = Facts { resynced: [(self.0.volume.clone(), report)].into(), ..Facts::default() };
        Outcome { facts, summary, ..Outcome::default() }
    }
}

impl Step for Resync<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let verb = foresee::verb(context.purpose, context.action).unwrap_or(ArrayVerb::Resync);
        let mut preview = foreseen(context, &self.0.volume, verb)?;
        if let Some(pace) = self.0.pace {
            let volume = context.site.volumes.get(&self.0.volume);
            preview.notes.push(match volume.filter(|volume| !volume.has_pace()) {
                None => format!("at pace {pace}"),
                Some(volume) => {
                    format!(
                        "pace {pace} is without effect: driver {} copies as fast as it can",
                        volume.driver
                    )
                }
            });
        }
        Ok(preview)
    }

    fn prepare(&self, context: &Context<'_>) -> Result<Intent, Failure> {
        let group = &context.bound(&self.0.volume)?.pair.copy_group;
        let changes =
            overwritten::evict(context, group, &format!("resync of {group} by run {}", context.run))?;
        Ok(Intent { changes, ..Intent::default() })
    }

    fn probe(&self, context: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        let pair = &context.bound(&self.0.volume)?.pair;
        let state = context.pair_driver(&self.0.volume)?.status(pair)?;
        let done = state.last.filter(|last| last.tag == context.tag() && last.verb == PairVerb::Resync);
        Ok(match done.and_then(|last| last.report) {
            Some(report) => Probe::Done {
                outcome: Box::new(self.outcome(report)),
                because: format!("{} says that this resync ended, and is {}", pair.copy_group, state.status),
            },
            None => Probe::NotDone {
                because: format!(
                    "{} is {} and its resync did not end: it goes on",
                    pair.copy_group, state.status
                ),
            },
        })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let pair = context.bound(&self.0.volume)?.pair.at_pace(self.0.pace);
        let report = context.pair_driver(&self.0.volume)?.resync(&pair, &context.asked())?;
        Ok(self.outcome(report))
    }

    fn undo(&self) -> Undo {
        Undo::Irreversible("the image that was on the secondary is overwritten")
    }
}
