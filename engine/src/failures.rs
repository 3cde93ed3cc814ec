//! What goes wrong in the engine, in the words that steps and the protocol use.

use resplit_steps::failure::Failure;

use crate::{
    client::ClientError,
    protocol::{Refusal, RefusalKind},
    store::StoreError,
};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::ReadOnly(damage) => Self::refused(error.to_string()).with_help(damage.help()),
            _ => Self::permanent(error.to_string()),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let of_operator = matches!(error, StoreError::ReadOnly(_));
        let kind = if of_operator { RefusalKind::Conflict } else { RefusalKind::Internal };
        Self { kind, failure: error.into() }
    }
}

/// What the engine could not do, by its own fault or the machine's.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { kind: RefusalKind::Internal, failure }
    }
}

/// A failed call to another engine. What was refused is for the operator; a lost line is worth another try.
pub(crate) fn of_client(error: ClientError) -> Failure {
    match error {
        ClientError::Refused(refusal) => refusal.failure,
        ClientError::Away(failure) => failure,
        ClientError::NotRunning(_) | ClientError::Broken(_) => Failure::temporary(error.to_string()),
        other => Failure::permanent(other.to_string()),
    }
}

pub(crate) fn not_found(text: impl Into<String>) -> Refusal {
    Refusal { kind: RefusalKind::NotFound, failure: Failure::refused(text) }
}

pub(crate) fn conflict(text: impl Into<String>, help: impl Into<String>) -> Refusal {
    Refusal { kind: RefusalKind::Conflict, failure: Failure::refused(text).with_help(help) }
}

pub(crate) fn internal(text: impl Into<String>) -> Refusal {
    Refusal { kind: RefusalKind::Internal, failure: Failure::permanent(text) }
}

/// The reply to a task that panicked: a defect, told as one.
pub(crate) fn defect(error: &tokio::task::JoinError) -> Failure {
    #[cfg(test)]
    crate::killed::end_with(&error.to_string());
    Failure::permanent(format!("a defect in resplit: {error}")).with_help("report it, with the engine's log")
}
