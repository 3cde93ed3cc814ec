//! The system's btrfs(8) program.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use crate::failure::Failure;

/// The program with its arguments. It ends with this process.
pub(super) fn btrfs<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    let _ = command.args(["--pdeathsig", "KILL", "--", "btrfs"]).args(arguments);
    let _ = command.env("LC_ALL", "C");
    command
}

/// Asks it something, and gives what it printed.
pub(super) fn ask(words: &[&str], paths: &[&Path]) -> Result<String, Failure> {
    run(words, paths, Stdio::null())
}

/// Runs it to its end, and gives what it printed.
pub(super) fn run(words: &[&str], paths: &[&Path], input: Stdio) -> Result<String, Failure> {
    let arguments = words.iter().map(OsStr::new).chain(paths.iter().map(|path| path.as_os_str()));
    let ended = btrfs(arguments).stdin(input).output().map_err(|error| missing(&error))?;
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

/// Makes everything on the file system of a directory durable.
pub(super) fn sync(path: &Path) -> Result<(), Failure> {
    File::open(path)
        .and_then(|file| Ok(rustix::fs::syncfs(file)?))
        .map_err(|error| Failure::io("make durable", path, &error))
}
