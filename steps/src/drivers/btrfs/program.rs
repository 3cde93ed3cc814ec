//! The system's btrfs(8) program.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, ErrorKind},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use crate::failure::Failure;

/// The program with its arguments. It ends with this process: what it made after that would be nobody's.
pub(super) fn btrfs<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    let _ = command.args(["--pdeathsig", "KILL", "--", "btrfs"]).args(arguments);
    let _ = command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs it to its end, and gives what it printed.
pub(super) fn run(words: &[&str], paths: &[&Path]) -> Result<String, Failure> {
    let arguments = words.iter().map(OsStr::new).chain(paths.iter().map(|path| path.as_os_str()));
    let ended = btrfs(arguments).output().map_err(|error| missing(&error))?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let doing = words.iter().map(|word| (*word).to_owned());
    let on = paths.iter().map(|path| path.display().to_string());
    Err(failed(&doing.chain(on).collect::<Vec<_>>().join(" "), ended.status, &ended.stderr))
}

/// That the program failed, in its own words. A full file system is worth another try.
pub(super) fn failed(doing: &str, status: ExitStatus, said: &[u8]) -> Failure {
    let said = String::from_utf8_lossy(said).trim().replace('\n', "; ");
    let message = if said.is_empty() {
        format!("btrfs {doing} ended with {status}")
    } else {
        format!("btrfs {doing} failed: {said}")
    };
    if message.contains("No space left") {
        return Failure::temporary(message)
            .with_help("free space there (btrfs filesystem usage shows it), then run again");
    }
    Failure::permanent(message)
}

/// That it cannot be run at all.
pub(super) fn missing(error: &io::Error) -> Failure {
    Failure::refused(format!("cannot run btrfs under setpriv: {error}"))
        .with_help("install btrfs-progs and util-linux on this host")
}

/// Makes something under a name that must be free: what stands there is removed before. What a killed process had asked
/// the kernel for may appear a moment later: then it is removed once more.
pub(super) fn anew(path: &Path, make: impl Fn() -> Result<(), Failure>) -> Result<(), Failure> {
    const TRIES: u32 = 5;
    let mut tried = 1;
    loop {
        remove(path)?;
        match make() {
            Err(_) if tried < TRIES && path.symlink_metadata().is_ok() => tried += 1,
            made => return made,
        }
    }
}

/// Makes a snapshot, read-only or writable, in place of what a killed verb has left there.
pub(super) fn snapshot(of: &Path, at: &Path, is_writable: bool) -> Result<(), Failure> {
    let words: &[&str] =
        if is_writable { &["subvolume", "snapshot"] } else { &["subvolume", "snapshot", "-r"] };
    anew(at, || run(words, &[of, at]).map(drop))
}

/// Deletes a subvolume if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io("look at", path, &error)),
        Ok(_) => match run(&["subvolume", "delete"], &[path]) {
            // A killed process' deletion came first.
            Err(_) if path.symlink_metadata().is_err() => Ok(()),
            removed => removed.map(drop),
        },
    }
}

/// Makes a subvolume read-only.
pub(super) fn set_read_only(path: &Path) -> Result<(), Failure> {
    run(&["property", "set", "-ts"], &[path, Path::new("ro"), Path::new("true")]).map(drop)
}

/// Makes everything on the file system of a directory durable.
pub(super) fn sync(path: &Path) -> Result<(), Failure> {
    File::open(path)
        .and_then(|file| Ok(rustix::fs::syncfs(file)?))
        .map_err(|error| Failure::io("make durable", path, &error))
}
