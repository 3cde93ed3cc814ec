//! Which build of the program this is.

use std::{os::unix::fs::MetadataExt, path::Path};

/// As an engine and a command line tell each other: the version, and when this program was put where it is.
pub(crate) fn build(program: &Path) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match program.metadata() {
        Ok(found) => format!("{version}+{}.{}", found.mtime(), found.mtime_nsec()),
        Err(_) => version.to_owned(),
    }
}
