//! abort-split: split a pair that a backup, failed or cancelled, has left following its primary. The finally-step of the
//! resync, behind the window: where the window has split the pair there is nothing left to do.

use resplit_operations::{
    action::VolumeStep,
    pair::{PairState, PairStatus, PairVerb},
    site::PairDriverKind,
};

use crate::{
    context::Context,
    contract::{Intent, Outcome, Preview, Probe, Step, Undo},
    failure::Failure,
};

pub(super) struct AbortSplit<'a>(pub(super) &'a VolumeStep);

impl AbortSplit<'_> {
    /// The last split of this step, ended or not.
    fn is_ours(context: &Context<'_>, state: &PairState) -> bool {
        state.last.as_ref().is_some_and(|last| last.tag == context.tag() && last.verb == PairVerb::Split)
    }

    fn outcome(&self, context: &Context<'_>) -> Result<Outcome, Failure> {
        let group = &context.bound(&self.0.volume)?.pair.copy_group;
        let summary = format!("the backup was aborted: {group} is split, and no backup describes its image");
        Ok(Outcome { summary, ..Outcome::default() })
    }
}

impl Step for AbortSplit<'_> {
    fn preview(&self, context: &Context<'_>) -> Result<Preview, Failure> {
        let group = &context.bound(&self.0.volume)?.pair.copy_group;
        let notes = vec!["splits the pair if the backup fails or is cancelled before it is split".to_owned()];
        Ok(Preview { what: group.to_string(), notes, ..Preview::default() })
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
        let ended = state.last.as_ref().is_some_and(|last| last.ended.is_some());
        Ok(if ended && Self::is_ours(context, &state) {
            Probe::Done {
                outcome: Box::new(self.outcome(context)?),
                because: format!("{} says that this split ended", pair.copy_group),
            }
        } else {
            Probe::NotDone {
                because: format!("{} is {}, not split by this step", pair.copy_group, state.status),
            }
        })
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let pair = &context.bound(&self.0.volume)?.pair;
        let driver = context.pair_driver(&self.0.volume)?;
        let state = driver.status(pair)?;
        let (group, status) = (&pair.copy_group, state.status);
        // An array goes on copying although nobody waits for it. A copy of ours ended with whoever made it.
        let copies = context.site.volumes.get(&self.0.volume).map(|volume| volume.driver)
            == Some(PairDriverKind::Declared);
        match status {
            PairStatus::Copy if copies && !Self::is_ours(context, &state) => {
                let _ = driver.resync(pair, &context.asked())?;
            }
            PairStatus::Pair => {}
            _ if Self::is_ours(context, &state) => {}
            _ => {
                let summary = format!("{group} is {status}: it does not follow its primary");
                return Ok(Outcome { summary, ..Outcome::default() });
            }
        }
        // No backup: of several pairs this one is overwritten when it would have been.
        let _ = driver.split(pair, state.backed_up, &context.asked())?;
        self.outcome(context)
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
