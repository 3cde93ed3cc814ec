//! Why an engine did not answer.

use std::{io, path::Path};

use resplit_operations::ids::HostId;
use resplit_steps::failure::Failure;

use crate::protocol::{Refusal, RefusalKind};

/// Why an engine did not answer, or not as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No engine listens, or the one that did is stopping. Nothing was done.
    #[error("no engine runs for {0}")]
    NotRunning(String),
    /// The engine refused; why is for the operator. Nothing was done unless the refusal says otherwise.
    #[error("{}", .0.failure.message)]
    Refused(Refusal),
    /// The connection was lost mid-way: it may or may not have been done.
    #[error("{0}")]
    Broken(String),
    /// What came is not this protocol.
    #[error("{0}")]
    Protocol(String),
    /// The socket is there and cannot be used, or its engine does not even say what it is. Nothing was done.
    #[error("{0}")]
    Unreachable(String),
    /// The host is on another machine, and no engine of it was reached. Nothing was done.
    #[error("{}", .0.message)]
    Away(Failure),
    /// It is the engine of another host. Nothing was done.
    #[error("the engine of {place} is that of host '{found}', not of '{wanted}'")]
    OtherHost {
        /// Where it was asked: the state directory, or the host on another machine.
        place: String,
        /// The host whose engine was wanted.
        wanted: HostId,
        /// The host whose engine it is.
        found: HostId,
    },
}

impl ClientError {
    /// Why a connection could not be made.
    pub(super) fn connecting(state: &Path, error: &io::Error) -> Self {
        match error.kind() {
            // Reset: it died with this connection still in its queue.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                Self::NotRunning(state.display().to_string())
            }
            _ => Self::Unreachable(format!("cannot reach the engine of {}: {error}", state.display())),
        }
    }

    /// A request that no engine would take, and that was not sent.
    pub(super) fn unfit(text: String) -> Self {
        Self::Refused(Refusal { kind: RefusalKind::BadRequest, failure: Failure::permanent(text) })
    }

    /// Why a request was not answered. What cannot be parsed is not the protocol; anything else is a lost connection.
    pub(super) fn exchanging(what: &str, error: &hyper::Error) -> Self {
        let text = format!("{what}: {}", with_cause(error));
        if error.is_parse() {
            return Self::Protocol(format!("the answer is not that of an engine: {text}"));
        }
        Self::Broken(format!("the connection to the engine was lost: {text}"))
    }
}

/// Why, in the terms of a step: what may have been done is to be probed.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Refused(refusal) => refusal.failure,
            ClientError::NotRunning(_) => Self::temporary(text),
            ClientError::Away(failure) => failure,
            ClientError::Broken(_) => Self::unknown(text),
            ClientError::Protocol(_) => Self::unknown(text).with_help(
                "the engine may be of another version: stop it, and let this program start its own",
            ),
            ClientError::Unreachable(_) => Self::refused(text)
                .with_help("work as the user that the state directory belongs to, or as root"),
            ClientError::OtherHost { .. } => {
                Self::refused(text).with_help("give each host of the site a state directory of its own")
            }
        }
    }
}

fn with_cause(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
