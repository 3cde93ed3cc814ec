//! LVM's programs.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::unix::process::CommandExt,
    process::{Command, ExitStatus, Stdio},
};

use rustix::fs::MemfdFlags;

use crate::{drivers::book::Lock, failure::Failure};

/// The most of what a program says that is kept.
const MOST: u64 = 1 << 20;

fn command(argv: &[&str]) -> Command {
    let mut command = Command::new(argv.first().copied().unwrap_or_default());
    let _ = command.args(argv.get(1..).unwrap_or_default()).env("LC_ALL", "C");
    // Else each file of ours that it finds open is a line of what it says.
    let _ = command.env("LVM_SUPPRESS_FD_WARNINGS", "1");
    command
}

/// Asks one of them something that changes nothing, and gives what it printed.
pub(super) fn ask(argv: &[&str]) -> Result<Vec<u8>, Failure> {
    let ended = command(argv).stdin(Stdio::null()).output().map_err(|error| missing(argv, &error))?;
    if ended.status.success() { Ok(ended.stdout) } else { Err(failed(argv, ended.status, &ended.stderr)) }
}

/// Has one of them change something, and waits for its end.
///
/// A program of LVM that is killed between suspending a device and resuming it leaves everybody who writes there waiting.
/// So it outlives this process: it is in no group with it, it writes to memory of its own and to no pipe, and it holds the
/// pair's lock, so that nobody else touches the pair before it has ended.
pub(super) fn change(lock: &Lock, argv: &[&str]) -> Result<(), Failure> {
    let cannot = |error: &io::Error| Failure::temporary(format!("cannot run {}: {error}", argv.join(" ")));
    let mut said: File =
        rustix::fs::memfd_create("said", MemfdFlags::CLOEXEC).map_err(|error| cannot(&error.into()))?.into();
    let copies = lock.share().and_then(|input| Ok((input, said.try_clone()?, said.try_clone()?)));
    let (input, out, error) = copies.map_err(|error| cannot(&error))?;
    let status = command(argv)
        .stdin(input)
        .stdout(out)
        .stderr(error)
        .process_group(0)
        .status()
        .map_err(|error| missing(argv, &error))?;
    if status.success() {
        return Ok(());
    }
    let mut text = Vec::new();
    let _ = said
        .rewind()
        .and_then(|()| said.take(MOST).read_to_end(&mut text))
        .map_err(|error| cannot(&error))?;
    Err(failed(argv, status, &text))
}

/// That it failed, in its own words.
fn failed(argv: &[&str], status: ExitStatus, said: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(said);
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("WARNING: This metadata"));
    let said = lines.collect::<Vec<_>>().join("; ");
    let argv = argv.join(" ");
    if said.is_empty() {
        return Failure::permanent(format!("{argv} ended with {status}"));
    }
    let message = format!("{argv} failed: {said}");
    if ["nsufficient free space", "nsufficient suitable", "free space in volume group"]
        .iter()
        .any(|words| said.contains(words))
    {
        return Failure::temporary(message).with_help(
            "free space in the volume group, or add a disk to it (vgs, vgextend); then run again",
        );
    }
    if said.contains("Failed to find logical volume") || said.contains("not found") {
        return Failure::refused(message)
            .with_help("lvs shows what there is; correct the path in the site file");
    }
    Failure::permanent(message)
}

/// That it cannot be run at all.
fn missing(argv: &[&str], error: &io::Error) -> Failure {
    Failure::refused(format!("cannot run {}: {error}", argv.first().copied().unwrap_or_default()))
        .with_help("install lvm2 on this host")
}
