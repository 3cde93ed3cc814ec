//! How the program ends, and what it says when it stops short.

use std::process::ExitCode;

use resplit_engine::protocol::{Refusal, RefusalKind, RunStatus};
use resplit_steps::failure::{Failure, FailureClass};

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked is done.
    Done = 0,
    /// Something failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The definition files have errors.
    Definitions = 3,
    /// Parked or refused: an operator has to act first.
    Operator = 4,
    /// Somebody else holds what is needed.
    Busy = 5,
    /// It was cancelled.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The code for how a run ended. One that is not over has been left to itself: that is no failure.
    pub(crate) fn of_run(status: &RunStatus) -> Self {
        match status {
            RunStatus::Waiting { .. } | RunStatus::Running | RunStatus::Done => Self::Done,
            // Nothing was touched by the step that refused: an operator has to act first.
            RunStatus::Failed { failure } if failure.class == FailureClass::Refused => Self::Operator,
            RunStatus::Failed { .. } => Self::Failed,
            RunStatus::Refused { .. } | RunStatus::Parked { .. } => Self::Operator,
            RunStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// Why a verb stopped short: what is said on standard error, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What went wrong; nothing is said if it is empty.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) help: Option<String>,
}

impl Stop {
    /// Stops with a message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None }
    }

    /// Stops because something failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Stops because the command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Stops without a word: all was said, or nobody listens.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// With what to do next.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        let exit = match failure.class {
            FailureClass::Refused => Exit::Operator,
            FailureClass::Cancelled => Exit::Cancelled,
            FailureClass::Permanent | FailureClass::Temporary | FailureClass::Unknown => Exit::Failed,
        };
        Self { exit, message: failure.message, help: failure.help }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        let exit = match refusal.kind {
            RefusalKind::NotFound | RefusalKind::BadRequest => Exit::Usage,
            RefusalKind::Conflict => Exit::Operator,
            RefusalKind::Busy => Exit::Busy,
            RefusalKind::Internal => Exit::Failed,
        };
        Self { exit, message: refusal.failure.message, help: refusal.failure.help }
    }
}
