//! The journal: what may happen to a step, a run, and a step served for another host. Each has its events, which carry
//! their data, and one pure function that says what follows, or that the event is not legal. Nothing else changes a row.

pub(crate) mod runs;
pub(crate) mod served;
pub(crate) mod steps;
#[cfg(test)]
mod tests;

use resplit_steps::failure::Failure;

/// An event that cannot happen in this status: a defect. Nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a defect in resplit: {what} that is {status} cannot be {event}; nothing of it was stored")]
pub(crate) struct Illegal {
    /// What the row is of.
    pub what: &'static str,
    /// Its status, in a word.
    pub status: &'static str,
    /// The event, in a word.
    pub event: &'static str,
}

impl From<Illegal> for Failure {
    fn from(illegal: Illegal) -> Self {
        Self::permanent(illegal.to_string()).with_help("report it, with the engine's log")
    }
}
