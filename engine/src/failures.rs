//! What goes wrong in the engine, in the words that steps and the protocol use.

use resplit_steps::failure::Failure;

use crate::{
    client::ClientError,
    protocol::{Refusal, RefusalKind},
    store::StoreError,
};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::permanent(error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self { kind: RefusalKind::Internal, failure: error.into() }
    }
}

/// A failed call to another engine. What was refused is for the operator; a lost line is worth another try.
pub(crate) fn of_client(error: ClientError) -> Failure {
    match error {
        ClientError::Refused(refusal) => refusal.failure,
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
