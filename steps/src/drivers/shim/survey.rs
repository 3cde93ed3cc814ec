//! The commands that have directories here: which of them still run, whoever started them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::files::Files;
use crate::failure::Failure;

/// A command that was started here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSeen {
    /// Its directory.
    pub directory: PathBuf,
    /// The directory of its run, as it is named.
    pub run: String,
    /// Its program; empty if it is not known.
    pub program: String,
    /// When it was started, if it was.
    pub since: Option<Timestamp>,
    /// The process to be ended to end it, if it runs: its shim, which passes that on, or itself where the shim is gone.
    pub running: Option<u32>,
}

/// All commands whose directories are two levels below this one: `RUN/STEP-ATTEMPT`.
pub fn commands_in(directory: &Path) -> Result<Vec<CommandSeen>, Failure> {
    let mut seen = Vec::new();
    for run in directories(directory)? {
        for directory in directories(&run)? {
            let files = Files::of(&directory);
            let locked = files
                .is_locked()
                .map_err(|error| Failure::io("look at the shim's lock in", &directory, &error))?;
            let started = files.started()?;
            let child = files.child().filter(super::super::identity::Owner::is_alive);
            let ended = files.finish()?.is_some();
            let running = match &started {
                Some(started) if locked => Some(started.shim.pid),
                _ if ended => None,
                _ => child.map(|child| child.pid),
            };
            seen.push(CommandSeen {
                run: run.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                program: started.as_ref().and_then(|s| s.argv.first().cloned()).unwrap_or_default(),
                since: started.map(|started| started.at),
                directory,
                running,
            });
        }
    }
    Ok(seen)
}

/// The directories in a directory, in the order of their names; none if it is not there.
fn directories(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io("read the directory", path, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("read the directory", path, &error))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
