//! The commands that have directories here, or had them: which of them still run, whoever started them; and their end.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{GRACE, child::end_group, files::Files, wait};
use crate::{
    drivers::identity::{Owner, Processes},
    failure::Failure,
};

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
    /// The process to be ended to end it, if it runs.
    pub running: Option<Running>,
}

/// What runs of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Running {
    /// Its shim, which ends it when it is asked to end.
    Shim(Owner),
    /// Itself: its shim is gone.
    Orphan(Owner),
}

impl Running {
    /// The process ID.
    pub const fn pid(&self) -> u32 {
        match self {
            Self::Shim(process) | Self::Orphan(process) => process.pid,
        }
    }

    /// Ends it: first asked, then killed. Returns once it is gone, or says that it does not go.
    pub fn end(&self) -> Result<(), Failure> {
        match self {
            Self::Shim(shim) => wait::end(shim, GRACE),
            Self::Orphan(command) => {
                if command.is_alive() {
                    end_group(command.pid, GRACE);
                }
                wait::until_gone(command)
            }
        }
    }
}

/// All commands whose directories are two levels below this one: `RUN/STEP-ATTEMPT`. Shims at work are found also where
/// their directories were removed.
pub fn commands_in(directory: &Path) -> Result<Vec<CommandSeen>, Failure> {
    let mut seen = Vec::new();
    for run in directories(directory)? {
        for directory in directories(&run)? {
            let files = Files::of(&directory);
            let locked = files
                .is_locked()
                .map_err(|error| Failure::io("look at the shim's lock in", &directory, &error))?;
            let started = files.started()?;
            let child = files.child().filter(Owner::is_alive);
            let ended = files.finish()?.is_some();
            let running = match &started {
                Some(started) if locked => Some(Running::Shim(started.shim.clone())),
                _ if ended => None,
                _ => child.map(Running::Orphan),
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
    let known: BTreeSet<PathBuf> = seen.iter().map(|command| command.directory.clone()).collect();
    let looking = |error: io::Error| Failure::io("list the processes in", Path::new("/proc"), &error);
    seen.extend(shims_in(directory).map_err(looking)?.into_iter().filter(|s| !known.contains(&s.directory)));
    Ok(seen)
}

/// The shims at work whose directories are, or were, two levels below this one: from the process table alone.
fn shims_in(directory: &Path) -> io::Result<Vec<CommandSeen>> {
    let mut seen = Vec::new();
    for pid in Processes::system().all()? {
        // A process that ends while it is looked at is none.
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let at = words.windows(2).position(|two| two == [&b"shim"[..], &b"--directory"[..]]);
        let Some(path) = at.and_then(|at| words.get(at + 2)) else { continue };
        let path = PathBuf::from(OsStr::from_bytes(path));
        let Some(run) = path.parent().filter(|run| run.parent() == Some(directory)) else { continue };
        let Ok(Some(shim)) = Owner::of(pid) else { continue };
        seen.push(CommandSeen {
            run: run.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            program: String::new(),
            since: None,
            running: Some(Running::Shim(shim)),
            directory: path,
        });
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
