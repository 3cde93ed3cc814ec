//! A command's process: how it is started, watched and ended.

use std::{
    io::{self, PipeWriter},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::drivers::{
    command::ExternalCommand,
    identity::{Processes, as_pid},
};

/// What happens to a command.
pub(super) enum Event {
    Exited,
    /// Somebody asks the shim to end it.
    Stop,
}

/// Starts it: its own group, an empty environment but `PATH` and what was given, no input.
pub(super) fn start(command: &ExternalCommand, print: PipeWriter) -> Result<Child, String> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err("the command is empty: it names no program".into());
    };
    let path = std::env::var_os("PATH")
        .unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    let begin = || {
        Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", &path)
            .envs(&command.environment)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(print.try_clone()?)
            .stderr(print)
            .spawn()
    };
    begin().map_err(|error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound if program.contains('/') => {
                "; either it is not there, or the interpreter is not that its first line names"
            }
            io::ErrorKind::NotFound => "; it is in no directory of PATH",
            io::ErrorKind::PermissionDenied => "; it is not executable for the user that the engine runs as",
            _ => "",
        };
        format!("'{program}' cannot be started: {error}{hint}")
    })
}

/// Why a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Itself,
    TimeUp,
    Asked,
}

/// Waits until it has ended; ends its group if its time is up or if that is asked.
pub(super) fn watch(pid: u32, timeout: Option<Duration>, grace: Duration, events: &Receiver<Event>) -> Why {
    let event = match timeout {
        Some(timeout) => events.recv_timeout(timeout),
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    let why = match event {
        Ok(Event::Exited) => return Why::Itself,
        Err(RecvTimeoutError::Timeout) => Why::TimeUp,
        Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => Why::Asked,
    };
    end_group(pid, grace);
    // Also if it has left its group.
    let _ = as_pid(pid).map(|pid| kill_process(pid, Signal::KILL));
    // Its group was killed; what hangs in the kernel takes until it no longer does.
    while let Ok(Event::Stop) = events.recv() {}
    why
}

/// Asks a group of processes to end, and kills what has not ended after a grace period. The caller sees to it that the
/// number is still the group's.
pub(super) fn end_group(group: u32, grace: Duration) {
    let Some(number) = as_pid(group) else { return };
    let asked = Instant::now();
    let _ = kill_process_group(number, Signal::TERM);
    while asked.elapsed() < grace {
        // Only processes of ours could be waited for, and these need not be: their end is looked for.
        if Processes::system().group(group).is_ok_and(|members| members.is_empty()) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = kill_process_group(number, Signal::KILL);
}

/// Waits until a child of this process has ended. It is not reaped: its ID stays its own until its group has been dealt with.
pub(super) fn wait_for_exit(pid: u32) {
    let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Some(pid) = as_pid(pid)
        && waitid(WaitId::Pid(pid), exited).is_err_and(|error| error == rustix::io::Errno::INTR)
    {}
}

/// Its exit code, or 128 and the signal's number.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
