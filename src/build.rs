//! Which build of the program this is.

use std::os::unix::fs::MetadataExt;

/// As an engine and a command line tell each other: the version, and when the program's file was made. A program that is
/// put in place of another of the same version is another build.
pub(crate) fn identity() -> String {
    let version = env!("CARGO_PKG_VERSION");
    // The file of this process, even if its name belongs to another by now.
    match std::fs::metadata("/proc/self/exe") {
        Ok(file) => format!("{version}+{:x}.{:x}", file.mtime(), file.mtime_nsec()),
        Err(_) => version.to_owned(),
    }
}
