//! Waiting for a command, and ending it when that is asked.

use std::{
    fs::File,
    io,
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    process::{Signal, pidfd_send_signal},
};

use super::{
    Shims,
    child::end_group,
    files::{Files, Started},
    shown,
};
use crate::{
    context::Work,
    drivers::{command::ExternalCommand, identity::Owner},
    failure::Failure,
};

/// How long a killed one may take to be gone.
const KILLED: Duration = Duration::from_secs(5);
/// How soon a cancellation is noticed.
const NOTICE: Duration = Duration::from_millis(100);

impl Shims {
    /// Waits until no shim is at work in the directory; has it end its command on a cancellation.
    pub(super) fn wait(&self, files: &Files, command: &ExternalCommand, work: &Work) -> Result<(), Failure> {
        let file = match File::open(command.directory.join("lock")) {
            Ok(file) => file,
            Err(error) => return Err(Failure::io("open the shim's lock in", &command.directory, &error)),
        };
        let (free, freed) = mpsc::channel();
        // The kernel gives the lock when the shim lets go of it, or dies.
        let _ = thread::Builder::new()
            .name("shim-lock".into())
            .spawn(move || {
                while flock(&file, FlockOperation::LockShared) == Err(rustix::io::Errno::INTR) {}
                let _ = free.send(());
            })
            .map_err(|error| Failure::io("wait for the command in", &command.directory, &error))?;
        let mut asked: Option<Instant> = None;
        loop {
            match freed.recv_timeout(NOTICE) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if work.is_cancelled()
                && asked.is_none()
                && let Some(started) = files.started()?
                && signal(&started.shim, &command.directory)?
            {
                asked = Some(Instant::now());
            }
            if asked.is_some_and(|asked| asked.elapsed() > self.grace + KILLED) {
                return Err(does_not_end(command));
            }
        }
    }

    /// Waits for a command whose shim is gone. How it ends, nobody will know.
    pub(super) fn wait_for_orphan(
        &self,
        started: &Started,
        child: &Owner,
        command: &ExternalCommand,
        work: &Work,
    ) -> Result<(), Failure> {
        let looking = |error: &io::Error| Failure::io("wait for the command in", &command.directory, error);
        let Some(descriptor) = child.descriptor().map_err(|error| looking(&error))? else { return Ok(()) };
        let until = command.timeout.map(|timeout| Instant::now() + timeout.saturating_sub(started.age()));
        let notice = Timespec { tv_sec: 0, tv_nsec: NOTICE.subsec_nanos().into() };
        loop {
            let mut ready = [PollFd::new(&descriptor, PollFlags::IN)];
            match poll(&mut ready, Some(&notice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(looking(&error.into())),
            }
            if work.is_cancelled() || until.is_some_and(|until| Instant::now() > until) {
                end_group(child.pid, self.grace);
                let killed = Timespec { tv_sec: KILLED.as_secs().cast_signed(), tv_nsec: 0 };
                let mut ready = [PollFd::new(&descriptor, PollFlags::IN)];
                return match poll(&mut ready, Some(&killed)) {
                    Ok(0) => Err(does_not_end(command)),
                    Ok(_) => Ok(()),
                    Err(error) => Err(looking(&error.into())),
                };
            }
        }
    }
}

/// Asks a process to end, and waits until it has: its grace, and a little more.
pub(in crate::drivers) fn end(process: &Owner, grace: Duration) -> Result<(), Failure> {
    if !signal(process, Path::new("/proc"))? {
        return Ok(());
    }
    // One that was stopped hears of it only when it goes on.
    if let Ok(Some(descriptor)) = process.descriptor() {
        let _ = pidfd_send_signal(descriptor, Signal::CONT);
    }
    gone_within(process, grace + KILLED)
}

/// Waits until a process that was killed is gone.
pub(super) fn until_gone(process: &Owner) -> Result<(), Failure> {
    gone_within(process, KILLED)
}

fn gone_within(process: &Owner, limit: Duration) -> Result<(), Failure> {
    let looking = |error: &io::Error| Failure::io("wait for a process in", Path::new("/proc"), error);
    let Some(descriptor) = process.descriptor().map_err(|error| looking(&error))? else { return Ok(()) };
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(looking(&error.into())),
            Ok(0) => {
                return Err(Failure::temporary(format!("process {} does not end", process.pid))
                    .with_help("it may wait for a device or a frozen file system; look at it"));
            }
            Ok(_) => return Ok(()),
        }
    }
}

/// Asks a shim to end its command. `false` if there is no such shim any more.
fn signal(shim: &Owner, directory: &Path) -> Result<bool, Failure> {
    let sent = shim.descriptor().and_then(|descriptor| match descriptor {
        Some(descriptor) => Ok(pidfd_send_signal(descriptor, Signal::TERM).map(|()| true)?),
        None => Ok(false),
    });
    sent.map_err(|error| Failure::io("end the command in", directory, &error))
}

fn does_not_end(command: &ExternalCommand) -> Failure {
    Failure::unknown(format!("{} does not end, although it was killed", shown(command)))
        .with_help("it may wait for a device or a frozen file system; once it has ended, resume the run")
}
