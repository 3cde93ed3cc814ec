//! split: stop following the primary, leaving an image.

use resplit_operations::{
    action::VolumeStep,
    pair::{PairState, PairVerb, verdict::ArrayVerb},
    plan::Purpose,
};

use super::foreseen::{REJECTED, foreseen};
use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    facts::{Facts, SplitFact},
    failure::Failure,
};

pub(super) struct Split<'a>(pub(super) &'a VolumeStep);

/// What an operator should know of an image that is made by a split alone.
const UNRECORDED: [&str; 2] = [
    "nothing is held still: what changes meanwhile makes the image fuzzy",
    "no backup describes the image: only `resplit pair restore` copies it back, and a later resync overwrites it",
];

impl Split<'_> {
    fn outcome(&self, state: &PairState) -> Option<Outcome> {
        let last = state.last.as_ref()?;
        let (at, report) = (last.ended?, last.report.clone()?);
        let fuzzy = match report.fuzzy_count {
            0 => String::new(),
            count => format!(", {count} fuzzy"),
        };
        let mut summary = format!("image of {} entries, {} bytes{fuzzy}", report.entries, report.bytes);
        report.notes.iter().for_each(|note| summary.extend(["; ", note]));
        let split = [(self.0.volume.clone(), SplitFact { epoch: state.epoch, at, report })].into();
        Some(Outcome { facts: Facts { split, ..Facts::default() }, summary, ..Outcome::default() })
    }
}

impl Step for Split<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let mut preview = foreseen(context, &self.0.volume, ArrayVerb::Split)?;
        if context.purpose == Purpose::PairSplit && preview.then != REJECTED {
            preview.notes.extend(UNRECORDED.map(str::to_owned));
        }
        Ok(preview)
    }

    fn prepare(&self, _: &Context<'_>) -> Result<Intent, Failure> {
        Ok(Intent::default())
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, context: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        let pair = &context.bound(&self.0.volume)?.pair;
        let state = context.pair_driver(&self.0.volume)?.status(pair)?;
        let ours =
            state.last.as_ref().is_some_and(|last| last.tag == context.tag() && last.verb == PairVerb::Split);
        Ok(match self.outcome(&state).filter(|_| ours) {
            Some(outcome) => Probe::Done {
                outcome: Box::new(outcome),
                because: format!("{} says that this split ended", pair.copy_group),
            },
            None => Probe::NotDone {
                because: format!("{} is {}, not split by this step", pair.copy_group, state.status),
            },
        })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let pair = &context.bound(&self.0.volume)?.pair;
        let driver = context.pair_driver(&self.0.volume)?;
        let _ = driver.split(pair, context.binding.order, &context.asked())?;
        let state = driver.status(pair)?;
        let lost = || Failure::unknown(format!("{} does not say how its split ended", pair.copy_group));
        self.outcome(&state).ok_or_else(lost)
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
