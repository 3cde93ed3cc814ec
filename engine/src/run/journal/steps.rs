//! What may happen to a step of a run that this host coordinates.

use jiff::Timestamp;
use resplit_steps::{contract::Intent, facts::Facts, failure::Failure};

use super::Illegal;
use crate::{
    protocol::{Again, Answer},
    rows::{StepRow, StepState},
};

/// Something that happens to a step. What is about a try carries its number: of an earlier one it is not legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepEvent {
    /// Its next try has an intent that is durable with this event.
    Intended { attempt: u32, at: Timestamp, intent: Intent },
    /// It was interrupted, or its effect was unknown; it was asked about, and so ran again, or ran on.
    TakenUp { attempt: u32, how: Again },
    /// It is done; `adopted` says how that is known if it was asked about rather than seen.
    Done {
        attempt: u32,
        began: Timestamp,
        at: Timestamp,
        summary: String,
        adopted: Option<String>,
        facts: Option<Box<Facts>>,
    },
    /// It failed for good; also one whose intent could not be made.
    Failed { attempt: u32, at: Timestamp, failure: Failure },
    /// This try failed, and the next one comes after a pause.
    Retried { attempt: u32, at: Timestamp, failure: Failure },
    /// Only an operator knows; or, if it is `unreachable`, it could not be asked about: then its intent is kept.
    Parked { attempt: u32, at: Timestamp, question: String, unreachable: bool },
    /// An operator answered.
    Answered { answer: Answer, at: Timestamp },
    /// The run was cancelled while it was parked, or paused before its next try.
    Cancelled { at: Timestamp },
    /// It is not run.
    Skipped { because: String },
    /// It runs once more, since what it did is lost or is to be made anew.
    SetBack { because: String },
}

impl StepEvent {
    /// The word for it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Intended { .. } => "intended",
            Self::TakenUp { .. } => "taken up",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Retried { .. } => "retried",
            Self::Parked { .. } => "parked",
            Self::Answered { .. } => "answered",
            Self::Cancelled { .. } => "cancelled",
            Self::Skipped { .. } => "skipped",
            Self::SetBack { .. } => "set back",
        }
    }
}

/// What a step is after an event.
///
/// # Contract
///
/// - Total: every event in every status gives a row, or is not legal.
/// - `attempts` never decreases, and a try is intended or has failed under a number that was not used before.
/// - What is done stays done until it is set back.
/// - Only what has been started, or parked since it could not be asked about, has an intent.
pub(crate) fn transition(row: &StepRow, event: &StepEvent) -> Result<StepRow, Illegal> {
    let illegal = Illegal { what: "a step", status: row.state.word(), event: event.word() };
    let mut next = StepRow { attempts: row.attempts, again: row.again.clone(), state: StepState::Waiting };
    let waits = matches!(row.state, StepState::Waiting | StepState::Retrying { .. });
    let is_next = |attempt: u32| waits && row.attempts.checked_add(1) == Some(attempt);
    let is_this = |attempt: u32| matches!(row.state, StepState::Started { .. }) && attempt == row.attempts;
    match event {
        StepEvent::Intended { attempt, at, intent } if is_next(*attempt) => {
            next.attempts = *attempt;
            next.state = StepState::Started { at: *at, intent: intent.clone() };
        }
        StepEvent::TakenUp { attempt, how } if is_this(*attempt) => {
            next.again = Some(how.clone());
            next.state = row.state.clone();
        }
        StepEvent::Done { attempt, began, at, summary, adopted, facts } if is_this(*attempt) => {
            next.state = StepState::Done {
                began: *began,
                at: *at,
                summary: summary.clone(),
                adopted: adopted.clone(),
                facts: facts.clone(),
            };
        }
        StepEvent::Failed { attempt, at, failure } if is_this(*attempt) || is_next(*attempt) => {
            next.attempts = *attempt;
            next.state = StepState::Failed { at: *at, failure: failure.clone() };
        }
        StepEvent::Retried { attempt, at, failure } if is_this(*attempt) || is_next(*attempt) => {
            next.attempts = *attempt;
            next.again = Some(Again::Retried { because: failure.message.clone() });
            next.state = StepState::Retrying { at: *at, failure: failure.clone() };
        }
        StepEvent::Parked { attempt, at, question, unreachable } if is_this(*attempt) => {
            let intent = match &row.state {
                StepState::Started { intent, .. } if *unreachable => Some(intent.clone()),
                _ => None,
            };
            next.state = StepState::Parked { at: *at, question: question.clone(), intent };
        }
        StepEvent::Answered { answer, at } => match &row.state {
            StepState::Parked { at: since, intent, .. } => {
                next.state = answered(*answer, *since, *at, intent.as_ref());
            }
            _ => return Err(illegal),
        },
        StepEvent::Cancelled { at } => match &row.state {
            StepState::Parked { .. } | StepState::Retrying { .. } => {
                next.state = StepState::Failed { at: *at, failure: Failure::cancelled() };
            }
            _ => return Err(illegal),
        },
        StepEvent::Skipped { because } if matches!(row.state, StepState::Waiting) => {
            next.state = StepState::Skipped { because: because.clone() };
        }
        StepEvent::SetBack { because } if !matches!(row.state, StepState::Waiting) => {
            next.again = Some(Again::SetBack { because: because.clone() });
        }
        StepEvent::Intended { .. }
        | StepEvent::TakenUp { .. }
        | StepEvent::Done { .. }
        | StepEvent::Failed { .. }
        | StepEvent::Retried { .. }
        | StepEvent::Parked { .. }
        | StepEvent::Skipped { .. }
        | StepEvent::SetBack { .. } => return Err(illegal),
    }
    Ok(next)
}

/// What an operator's answer makes of a step that has been parked `since`.
fn answered(answer: Answer, since: Timestamp, at: Timestamp, intent: Option<&Intent>) -> StepState {
    match (answer, intent) {
        (Answer::Done, _) => StepState::Done {
            began: since,
            at,
            summary: "an operator says that it is done".to_owned(),
            adopted: Some("an operator's answer".to_owned()),
            facts: None,
        },
        // What could not be asked about is asked about again; what is known not to have happened is a new try.
        (Answer::Redo, Some(intent)) => StepState::Started { at: since, intent: intent.clone() },
        (Answer::Redo, None) => StepState::Waiting,
        (Answer::Abort, _) => StepState::Failed {
            at,
            failure: Failure::permanent("an operator gave it up").with_help("resplit runs"),
        },
    }
}
