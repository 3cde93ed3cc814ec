//! Why there is no engine to ask.

use std::{io, path::PathBuf, process::ExitStatus};

use resplit_steps::failure::Failure;

use crate::client::ClientError;

/// Why there is no engine to ask.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error("{0}")]
    Directory(Failure),
    /// The program could not be run.
    #[error("cannot start an engine with {program}: {error}")]
    Spawn {
        /// It.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The engine says why it cannot start.
    #[error("{0}")]
    Failed(String),
    /// The engine ended and said nothing.
    #[error("the engine ended before it listened ({status}){said}")]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote into its log, after a colon; empty if it wrote nothing.
        said: String,
    },
    /// An engine of another version runs, and cannot be replaced now.
    #[error("{0}")]
    OtherVersion(String),
    /// An engine runs or starts, and does not listen.
    #[error("{0}")]
    Slow(String),
    /// The engine that runs does not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The machine refused something.
    #[error("cannot wait for the engine: {0}")]
    Io(#[from] io::Error),
}

/// Why, in the terms of a step: nothing was done by an engine that does not run.
impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let text = error.to_string();
        match error {
            StartError::Directory(failure) => failure,
            StartError::Client(error) => error.into(),
            StartError::Slow(_) => Self::temporary(text),
            StartError::OtherVersion(_) => Self::refused(text)
                .with_help("try again when it is idle, or use the program it was started with"),
            StartError::Spawn { .. }
            | StartError::Failed(_)
            | StartError::Died { .. }
            | StartError::Io(_) => Self::permanent(text),
        }
    }
}
