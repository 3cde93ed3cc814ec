//! Which build of the program this is.

/// As an engine and a command line tell each other.
pub(crate) const BUILD: &str = env!("CARGO_PKG_VERSION");
