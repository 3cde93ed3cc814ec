//! Why something was not done, and what that means for trying again.

use std::{fmt, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::facts::Window;

/// What a failure means for trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// It would fail again.
    Permanent,
    /// It may succeed later: worth the retries that the step was given.
    Temporary,
    /// It may have happened: probe, never blindly try again.
    Unknown,
    /// It was stopped on request.
    Cancelled,
    /// Nothing was touched, and an operator has to act first.
    Refused,
}

/// A failure, in words an operator can use: what, why, and the next command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Failure {
    /// What it means for trying again.
    pub class: FailureClass,
    /// What failed and why, with the place.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What was measured of the window that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Whether a host could not be reached, so that nothing can be said of it but that: whoever runs the step parks it.
    #[serde(skip)]
    pub unreached: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), help: None, window: None, unreached: false }
    }

    /// It would fail again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Permanent, message)
    }

    /// It may succeed later.
    pub fn temporary(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Temporary, message)
    }

    /// It may have happened.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Unknown, message)
    }

    /// Nothing was touched, and an operator has to act first.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Refused, message)
    }

    /// It was stopped on request.
    pub fn cancelled() -> Self {
        Self::new(FailureClass::Cancelled, "cancelled")
    }

    /// With what to do next.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Since a host could not be reached.
    #[must_use]
    pub const fn of_unreached_host(mut self) -> Self {
        self.unreached = true;
        self
    }

    /// With what was measured of the window that it is about.
    #[must_use]
    pub const fn of_window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// Whether it is about a window that was over its budget.
    pub fn is_over_budget(&self) -> bool {
        self.window.is_some_and(Window::is_over_budget)
    }

    /// An I/O error at a path: what was being done, where, why. A full disk and a busy file are temporary.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let class = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::ResourceBusy | io::ErrorKind::Interrupted => {
                FailureClass::Temporary
            }
            _ => FailureClass::Permanent,
        };
        Self::new(class, format!("cannot {doing} {}: {error}", path.display()))
    }
}
