//! Recovery: what is to be done about a try, by what is known of it and what the world says when it is asked. Pure; the
//! same for steps of this host's runs and for those that it serves.

use resplit_steps::{
    contract::{Outcome, Probe},
    failure::{Failure, FailureClass},
};

use crate::protocol::{Again, Recovery};

/// What is known of a try before the world is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Its intent has just become durable: it has had no effect.
    New,
    /// It began, and whoever saw how it went on is gone.
    Interrupted,
    /// It ended so that its effect is unknown, or was stopped over its time limit.
    InDoubt(Failure),
    /// The same, after it had been in doubt, was asked about, and was waited for.
    StillInDoubt(Failure),
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Ask the world what became of it.
    Ask,
    /// Run it; if it had begun before, that is why it runs again, or runs on.
    Run(Option<Again>),
    /// It happened: take what came of it for its outcome.
    Adopt { outcome: Box<Outcome>, because: String },
    /// Have an operator say what became of it; `unreachable` if the world could not be asked.
    Park { question: String, unreachable: bool },
    /// It did not happen, and is not run again under this number.
    Fail(Failure),
}

/// What is to be done about a try of which this is known; `asked` is what the world said, once it was asked.
///
/// # Contract
///
/// - Total. Nothing that may have begun runs before the world was asked.
/// - What ended in doubt and had not happened has failed for a reason that may pass, so that the step's `retry` decides;
///   unless it spoilt its window, which is lost whatever is tried again in it.
pub(crate) fn course(known: Known, asked: Option<Result<Probe, Failure>>) -> Course {
    match (known, asked) {
        (Known::New, None) => Course::Run(None),
        (Known::Interrupted | Known::InDoubt(_) | Known::StillInDoubt(_), None) => Course::Ask,
        (_, Some(Ok(Probe::Done { outcome, because }))) => Course::Adopt { outcome, because },
        (_, Some(Ok(Probe::Unknown { question }))) => Course::Park { question, unreachable: false },
        (_, Some(Err(failure))) => Course::Park {
            question: format!(
                "it was begun, and what became of it cannot be asked ({failure}): answer redo to ask again"
            ),
            unreachable: true,
        },
        (Known::New | Known::Interrupted, Some(Ok(Probe::NotDone { because }))) => {
            Course::Run(Some(Again::RanAgain { because }))
        }
        (Known::New | Known::Interrupted | Known::InDoubt(_), Some(Ok(Probe::Running { because }))) => {
            Course::Run(Some(Again::Reattached { because }))
        }
        (Known::InDoubt(failure) | Known::StillInDoubt(failure), Some(Ok(Probe::NotDone { because })))
        | (Known::StillInDoubt(failure), Some(Ok(Probe::Running { because }))) => {
            Course::Fail(not_done(failure, &because))
        }
    }
}

fn not_done(failure: Failure, because: &str) -> Failure {
    let class = if failure.is_over_budget() { FailureClass::Permanent } else { FailureClass::Temporary };
    Failure { class, message: format!("{failure}; asked about since: {because}"), ..failure }
}

/// What recovery would do of a try that was interrupted, given what the world says.
pub(crate) fn foresee(asked: Result<Probe, Failure>) -> Recovery {
    match course(Known::Interrupted, Some(asked)) {
        Course::Run(Some(Again::Reattached { because })) => Recovery::WaitFor { because },
        Course::Run(again) => {
            let because = again.map_or_else(String::new, |again| again.because().to_owned());
            Recovery::Run { because }
        }
        Course::Adopt { because, .. } => Recovery::Adopt { because },
        Course::Park { question, .. } => Recovery::Park { question },
        Course::Fail(failure) => Recovery::Unknown { failure },
        Course::Ask => Recovery::Unknown { failure: Failure::temporary("it was not asked about") },
    }
}

#[cfg(test)]
mod tests;
