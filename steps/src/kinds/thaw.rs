//! thaw: let the application go on.

use resplit_operations::action::Thaw;

use crate::{
    context::Context,
    contract::{Intent, Obligation, Outcome, Preview, Probe, Step, Undo},
    facts::Facts,
    failure::Failure,
};

pub(super) struct ThawStep<'a>(pub(super) &'a Thaw);

impl Step for ThawStep<'_> {
    fn preview(&self, _: &Context<'_>) -> Result<Preview, Failure> {
        Ok(Preview::default())
    }

    fn prepare(&self, _: &Context<'_>) -> Result<Intent, Failure> {
        Ok(Intent::default())
    }

    fn prepares_at_once(&self) -> bool {
        true
    }

    fn probe(&self, _: &Context<'_>, _: &Intent) -> Result<Probe, Failure> {
        Ok(Probe::NotDone { because: "a window ends with the engine that opened it".to_owned() })
    }

    fn runs_at_once(&self, context: &Context<'_>) -> bool {
        context.facts.quiesced.is_none()
    }

    fn run(&self, context: &Context<'_>, _: &Intent) -> Result<Outcome, Failure> {
        let discharged = vec![Obligation::Thaw { filesystem: self.0.filesystem.clone() }];
        // As a finally-step it also follows a quiesce that failed: then nothing is held, and whoever else froze the
        // file system is left alone.
        if context.facts.quiesced.is_none() {
            return Ok(Outcome {
                discharged,
                summary: "nothing was held still".to_owned(),
                ..Outcome::default()
            });
        }
        let window = context.windows.close(context.run)?;
        let summary = format!("after {} ms of at most {} ms", window.length_ms, window.budget_ms);
        let facts = Facts { window: Some(window), ..Facts::default() };
        Ok(Outcome { facts, discharged, summary, ..Outcome::default() })
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }
}
