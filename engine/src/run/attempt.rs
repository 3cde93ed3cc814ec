//! One try of a step on this host, from its intent to its end.

use std::sync::Arc;

use resplit_steps::{
    contract::Intent,
    failure::{Failure, FailureClass},
};

use super::recovery::{Course, Known, course};
use crate::{
    engine::Engine,
    protocol::{Again, StepEnd},
    work::{Limit, Task},
};

/// How a step ended; and why it ran again, or ran on, after it had been interrupted, if it was and did.
pub(crate) type Ended = (StepEnd, Option<Again>);

/// Takes a try to its end. What may have begun is asked about before it runs; `told` hears why it then runs.
pub(crate) async fn attempt(
    engine: &Arc<Engine>,
    task: &Task,
    intent: &Intent,
    interrupted: bool,
    told: impl Fn(&Again),
) -> Ended {
    let mut known = if interrupted { Known::Interrupted } else { Known::New };
    let mut again = None;
    loop {
        let asked = match course(known.clone(), None) {
            Course::Ask => Some(task.clone().probe(engine, intent.clone()).await),
            _ => None,
        };
        match course(known.clone(), asked) {
            Course::Run(how) => {
                if let Some(how) = how {
                    told(&how);
                    again = Some(how);
                }
            }
            Course::Adopt { outcome, because } => {
                return (StepEnd::Done { outcome: *outcome, adopted: Some(because) }, again);
            }
            Course::Park { question, unreachable } => {
                return (StepEnd::Parked { question, unreachable }, again);
            }
            Course::Fail(failure) => return (StepEnd::Failed { failure }, again),
            Course::Ask => return (StepEnd::Failed { failure: unasked() }, again),
        }
        // What was stopped over its limit is only waited for: it has had its time.
        let limit = if matches!(known, Known::InDoubt(_)) { Limit::grace() } else { task.limit() };
        known = match task.clone().run(engine, intent.clone(), limit).await {
            Ok(outcome) => return (StepEnd::Done { outcome, adopted: None }, again),
            Err(failure) => match (known, failure.class) {
                (Known::New | Known::Interrupted, FailureClass::Unknown) => Known::InDoubt(failure),
                (Known::InDoubt(first) | Known::StillInDoubt(first), FailureClass::Unknown) => {
                    Known::StillInDoubt(first)
                }
                // It ended as it had been told to, not since somebody cancelled the run.
                (Known::InDoubt(first), FailureClass::Cancelled) if !task.work.is_cancelled() => {
                    Known::StillInDoubt(first)
                }
                (_, _) if failure.unreached && !task.work.is_cancelled() => {
                    return (StepEnd::Parked { question: out_of_reach(&failure), unreachable: true }, again);
                }
                (_, _) => return (StepEnd::Failed { failure }, again),
            },
        };
    }
}

/// A host that cannot be reached is not a dead one: what is asked of an operator.
pub(crate) fn out_of_reach(failure: &Failure) -> String {
    let help = failure.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{}{help}: is it back? answer redo to ask again", failure.message)
}

/// What was asked about is never to be asked about first.
fn unasked() -> Failure {
    Failure::permanent("a defect in resplit: what was asked about was not answered")
        .with_help("report it, with the engine's log")
}
