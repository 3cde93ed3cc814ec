//! Sends a snapshot to another file system, or only asks what it would take.

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    change::Change,
    program::{btrfs, failed, missing},
    stream::{Changes, relay},
};
use crate::{
    context::{Progress, Work},
    failure::Failure,
};

/// Why a stream ended early.
enum Stopped {
    /// One of the two programs did; it says why.
    Program(io::Error),
    /// It was asked to.
    Asked(Failure),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Program(error)
    }
}

/// A program that is killed when it is dropped, if it still runs.
struct Running {
    child: Child,
    what: String,
    said: thread::JoinHandle<Vec<u8>>,
}

impl Running {
    fn start(what: String, arguments: &[&OsStr], input: Stdio, output: Stdio) -> Result<Self, Failure> {
        let mut child = btrfs(arguments.iter().copied())
            .stdin(input)
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| missing(&error))?;
        let errors = child.stderr.take();
        // A program that says much must not wait for a reader.
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            let _ = errors.map(|errors| errors.take(1 << 16).read_to_end(&mut said));
            said
        });
        Ok(Self { child, what, said })
    }

    fn end(mut self) -> Result<(), Failure> {
        let status = self.child.wait().map_err(|error| missing(&error))?;
        let said = self.said.join().unwrap_or_default();
        if status.success() { Ok(()) } else { Err(failed(&self.what, status, &said)) }
    }

    fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.said.join();
    }
}

// The receiver's input is the stream, and it prints nothing: so its output is what holds the lock.
/// Sends a read-only snapshot to the directory `into` of another file system, where it has the same name then; only what
/// differs from `parent`, of which a copy is there, if that is given.
pub(super) fn transfer(
    snapshot: &Path,
    parent: Option<&Path>,
    into: &Path,
    change: &Change<'_>,
    work: &Work,
) -> Result<Changes, Failure> {
    let mut arguments = vec![OsStr::new("receive"), OsStr::new("-q"), OsStr::new("-e")];
    arguments.push(into.as_os_str());
    let what = format!("receive {}", into.display());
    let mut receiving = Running::start(what, &arguments, Stdio::piped(), change.held()?)?;
    let Some(mut input) = receiving.child.stdin.take() else {
        receiving.kill();
        return Err(Failure::permanent("btrfs receive has no input"));
    };
    let sent = send(snapshot, parent, &[], &mut input, (change, work));
    drop(input);
    match sent {
        Ok(changes) => receiving.end().map(|()| changes),
        // The receiver ended first: it knows why.
        Err((failure, true)) => Err(receiving.end().err().unwrap_or(failure)),
        Err((failure, false)) => {
            receiving.kill();
            Err(failure)
        }
    }
}

/// What differs between two snapshots on one file system. No content is read.
pub(super) fn differing(
    parent: &Path,
    snapshot: &Path,
    change: &Change<'_>,
    work: &Work,
) -> Result<Changes, Failure> {
    send(snapshot, Some(parent), &["--no-data"], &mut io::sink(), (change, work))
        .map_err(|(failure, _)| failure)
}

/// Runs the sender, and passes on what it writes. The failure says whether it was the other side's.
fn send(
    snapshot: &Path,
    parent: Option<&Path>,
    options: &[&str],
    to: &mut impl Write,
    (change, work): (&Change<'_>, &Work),
) -> Result<Changes, (Failure, bool)> {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut arguments = vec![OsStr::new("send"), OsStr::new("-q")];
    arguments.extend(options.iter().map(OsStr::new));
    if let Some(parent) = parent {
        arguments.extend([OsStr::new("-p"), parent.as_os_str()]);
    }
    arguments.push(snapshot.as_os_str());
    let what = format!("send {}", snapshot.display());
    let mut sending = change
        .held()
        .and_then(|held| Running::start(what, &arguments, held, Stdio::piped()))
        .map_err(|f| (f, false))?;
    let Some(output) = sending.child.stdout.take() else {
        sending.kill();
        return Err((Failure::permanent("btrfs send has no output"), false));
    };
    let mut reported = Instant::now();
    let told = |bytes| {
        work.check().map_err(Stopped::Asked)?;
        if reported.elapsed() >= PAUSE {
            reported = Instant::now();
            work.report(Progress { bytes, ..Progress::default() });
        }
        Ok(())
    };
    let mut output = io::BufReader::with_capacity(1 << 18, output);
    match relay(&mut output, to, told) {
        Ok(changes) => {
            // It looks for a reader once more before it ends.
            let _ = io::copy(&mut output, &mut io::sink());
            sending.end().map(|()| changes).map_err(|failure| (failure, false))
        }
        Err(Stopped::Asked(failure)) => {
            sending.kill();
            Err((failure, false))
        }
        Err(Stopped::Program(error)) => {
            let is_receiver = error.kind() == io::ErrorKind::BrokenPipe;
            let failure = Failure::permanent(format!("cannot send {}: {error}", snapshot.display()));
            if is_receiver {
                sending.kill();
                return Err((failure, true));
            }
            drop(output);
            Err((sending.end().err().unwrap_or(failure), false))
        }
    }
}
