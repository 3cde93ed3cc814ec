//! Whether a file system is frozen, found out without changing anything. The system does not say; but whoever wants to
//! write waits, even to remove an attribute that is not there. So a process of its own tries that: it waits until somebody
//! thaws, which nothing can cut short, and an engine must never wait like that.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, ExitCode, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use super::guard::Program;
use crate::{
    drivers::{
        identity::{Owner, Processes},
        mounts,
        quiesce::Watchdog,
    },
    failure::Failure,
};

/// How long the process may take to start.
const START: Duration = Duration::from_secs(5);
/// How long writing may take on a file system that is not frozen.
const BUSY: Duration = Duration::from_secs(1);
/// An attribute that nothing has.
const ATTRIBUTE: &str = "user.resplit.never-set";
/// What the process says: it tries now.
const TRIES: &str = "tries";
/// What it says: nobody makes it wait.
const FREE: &str = "free";

/// Runs as the process that tries to write to a file system, and changes nothing in it.
pub fn try_write_main(filesystem: &Path) -> ExitCode {
    let Ok(file) = mounts::open_directory(filesystem) else { return ExitCode::FAILURE };
    say(TRIES);
    // Whatever it answers, it answers: only a frozen file system does not.
    let _ = rustix::fs::fremovexattr(&file, ATTRIBUTE);
    say(FREE);
    ExitCode::SUCCESS
}

fn say(word: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

/// Whether a file system is frozen. What is no mount point is not.
pub(super) fn is_frozen(program: &Program<'_>, filesystem: &Path) -> Result<bool, Failure> {
    let file = match mounts::open_directory(filesystem) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(Failure::io("open", filesystem, &error)),
    };
    if !is_mount_point(&file, filesystem)? {
        return Ok(false);
    }
    drop(file);
    let cannot = |reason: &str| {
        Failure::temporary(format!("cannot tell whether {} is frozen: {reason}", filesystem.display()))
    };
    let mut child = Command::new(program.path)
        .args(program.prefix)
        .arg("try-write")
        .arg("--filesystem")
        .arg(filesystem)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| cannot(&error.to_string()))?;
    let said = child.stdout.take().map(hear);
    // However long it waits, somebody waits for it: it never stays a zombie.
    let _ = thread::Builder::new()
        .name("try-write".into())
        .spawn(move || child.wait())
        .map_err(|error| cannot(&error.to_string()))?;
    let said = said.ok_or_else(|| cannot("its process has no pipe"))?;
    if said.recv_timeout(START).ok().as_deref() != Some(TRIES) {
        return Err(cannot("its process did not start"));
    }
    match said.recv_timeout(BUSY) {
        Ok(_) => Ok(false),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(true),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(cannot("its process was killed")),
    }
}

fn is_mount_point(file: &File, filesystem: &Path) -> Result<bool, Failure> {
    let found = mounts::Mount::of_file(file);
    found.map(|(_, root)| root).map_err(|error| Failure::io("find the mount of", filesystem, &error))
}

fn hear(out: ChildStdout) -> Receiver<String> {
    let (sender, said) = mpsc::channel();
    let _ = thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // Nobody listens any more once it has waited for too long.
            let _ = sender.send(line);
        }
    });
    said
}

/// The watchdogs of this machine, whichever engine started them.
pub(super) fn watchdogs() -> io::Result<Vec<Watchdog>> {
    let mut found = Vec::new();
    for pid in Processes::system().all()? {
        let path = PathBuf::from(format!("/proc/{pid}"));
        // A process that ends while it is looked at is none.
        let (Ok(line), Ok(is_orphan)) = (fs::read(path.join("cmdline")), is_orphan(&path)) else { continue };
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let at = words.iter().position(|word| *word == b"watchdog");
        let Some(rest) = at.map(|at| &words[at + 1..]) else { continue };
        let [b"--filesystem", filesystem, b"--budget-ms", ..] = rest else { continue };
        let filesystem = PathBuf::from(String::from_utf8_lossy(filesystem).into_owned());
        let Ok(Some(process)) = Owner::of(pid) else { continue };
        found.push(Watchdog { process, is_orphan, filesystem });
    }
    Ok(found)
}

/// Whether the parent of a process is another program than itself: whoever started it is gone.
fn is_orphan(process: &Path) -> io::Result<bool> {
    let status = fs::read_to_string(process.join("status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap_or_default().trim();
    let program = |of: &Path| fs::read_link(of.join("exe"));
    Ok(program(process)? != program(&Path::new("/proc").join(parent)).unwrap_or_default())
}
