//! The shim: a process that starts one command, outlives the engine with it, and writes down how it ended.

use std::{
    fs::File,
    io::{self, PipeReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::{
    fs::{FlockOperation, flock},
    process::{Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use serde::{Deserialize, Serialize};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};

use super::{
    files::{Ending, Files, Finish, Started},
    output::Output,
};
use crate::drivers::{
    command::ExternalCommand,
    identity::{Owner, Processes, as_pid},
    system,
};

/// What the shim says: it holds the lock and waits for its order.
pub(super) const READY: &str = "ready";
/// What the shim says: another one holds the lock, or has been here.
pub(super) const TAKEN: &str = "taken";

/// What the engine says to a shim, on its standard input: nothing of it but the arguments is ever written to a disk.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) command: ExternalCommand,
    pub(super) grace: Duration,
}

/// What happens to a command.
enum Event {
    Exited,
    /// Somebody asks the shim to end it.
    Stop,
}

/// Runs as the shim of the directory's command, which it reads from standard input once it has said that it is ready. At
/// most one command is ever started in a directory.
pub fn shim_main(directory: &Path) -> ExitCode {
    // Out of the terminal's and the engine's reach. It fails only where this process leads a group already.
    let _ = rustix::process::setsid();
    let files = match std::path::absolute(directory) {
        Ok(directory) => Files::of(&directory),
        Err(error) => return give_up(&format!("{}: {error}", directory.display())),
    };
    if let Err(error) = std::env::set_current_dir("/") {
        return give_up(&format!("cannot change to /: {error}"));
    }
    let lock = match lock(&files) {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            say(TAKEN);
            return ExitCode::SUCCESS;
        }
        Err(error) => return give_up(&format!("cannot lock {}: {error}", directory.display())),
    };
    say(READY);
    let order = match read_order() {
        Ok(order) => order,
        // The engine died before it had said all of it: nothing was started, and nothing will be.
        Err(error) => return give_up(&format!("the engine's order is not whole: {error}")),
    };
    match attend(&files, &order) {
        Ok(output) => {
            // Whoever waits for the command learns of its end by this.
            drop(lock);
            // What the command left running may still print, and would be killed for it if nobody read that.
            let _ = output.join();
            ExitCode::SUCCESS
        }
        Err(error) => give_up(&format!("cannot write to {}: {error}", directory.display())),
    }
}

/// The lock, unless another shim holds it or has started the command already.
fn lock(files: &Files) -> io::Result<Option<File>> {
    /// An engine that looks whether it is locked holds it for a moment.
    const TRIES: u32 = 25;
    let file = files.lock_file()?;
    for _ in 0..TRIES {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            thread::sleep(Duration::from_millis(20));
            continue;
        }
        return match (files.started(), files.finish()) {
            (Ok(None), Ok(None)) => Ok(Some(file)),
            (Ok(_), Ok(Some(Finish::NotStarted { .. }))) => files.forget().map(|()| Some(file)),
            _ => Ok(None),
        };
    }
    Ok(None)
}

fn read_order() -> io::Result<Order> {
    let mut bytes = Vec::new();
    let _ = io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Starts the command, waits for its end and writes that down. An error means that it was not started; if it was, gives
/// what reads its output.
fn attend(files: &Files, order: &Order) -> io::Result<thread::JoinHandle<()>> {
    let command = &order.command;
    system::keep_files_back()?;
    let (sender, events) = mpsc::channel();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT])?;
    let stop = sender.clone();
    let _ = thread::Builder::new().spawn(move || {
        for _ in signals.forever() {
            // Once the command has ended nobody listens: what is asked to end is the reading of what it left running.
            if stop.send(Event::Stop).is_err() {
                std::process::exit(0);
            }
        }
    })?;
    let mut output = Output::create(files.output())?;
    let ending = files.reserve_end()?;
    let started = Started {
        tag: command.tag.clone(),
        argv: command.argv.clone(),
        at: Timestamp::now(),
        shim: Owner::current()?,
    };
    files.write_started(&started)?;

    let (mut child, printed) = match start(command) {
        Ok(running) => running,
        Err(reason) => {
            write_end(&ending, &Finish::NotStarted { reason });
            return thread::Builder::new().spawn(|| {});
        }
    };
    let pid = child.id();
    // From here on it runs: what fails now must not look as if it did not. Without its process written down a command
    // whose shim dies counts as lost, no worse.
    if let Ok(Some(owner)) = Owner::of(pid) {
        let _ = files.write_child(&owner);
    }
    let reader = thread::spawn(move || output.take_all(printed));
    let _ = thread::spawn(move || {
        // The process is not reaped: its ID stays its own until its group has been dealt with.
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Some(pid) = as_pid(pid)
            && waitid(WaitId::Pid(pid), exited).is_err_and(|error| error == rustix::io::Errno::INTR)
        {}
        let _ = sender.send(Event::Exited);
    });

    let why = watch(pid, command.timeout, order.grace, &events);
    let code = child.wait().map_or(-1, exit_code);
    wait_for_output(&reader);
    write_end(
        &ending,
        &match why {
            Why::Itself => Finish::Exited { code },
            Why::TimeUp => Finish::TimedOut { code },
            Why::Asked => Finish::Stopped { code },
        },
    );
    Ok(reader)
}

/// Starts it: its own group, an empty environment but `PATH` and what was given, no input.
fn start(command: &ExternalCommand) -> Result<(Child, PipeReader), String> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err("the command is empty: it names no program".into());
    };
    let path = std::env::var_os("PATH")
        .unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    let begin = || {
        let (reader, writer) = io::pipe()?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", &path)
            .envs(&command.environment)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        Ok((child, reader))
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
enum Why {
    Itself,
    TimeUp,
    Asked,
}

/// Waits until it has ended; ends its group if its time is up or if that is asked.
fn watch(pid: u32, timeout: Option<Duration>, grace: Duration, events: &Receiver<Event>) -> Why {
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

/// The last of the output: there in a moment, unless something that the command left running holds on to it.
fn wait_for_output(reader: &thread::JoinHandle<()>) {
    let ended = Instant::now();
    while !reader.is_finished() && ended.elapsed() < Duration::from_millis(500) {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Writes how it ended; where the disk is full all the same, as soon as it is not.
fn write_end(ending: &Ending, finish: &Finish) {
    while let Err(error) = ending.write(finish) {
        if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            // Then nobody saw how it ended; the command is lost, and the run parks.
            return;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Tells the engine, if it is still there.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn give_up(reason: &str) -> ExitCode {
    say(&reason.replace('\n', " "));
    ExitCode::FAILURE
}
