//! The shim: a process that starts one command, outlives the engine with it, and writes down how it ended.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};

use super::{
    child::{self, Event, Why},
    files::{Ending, Files, Finish, Started},
    output::Output,
};
use crate::drivers::{clocks::awake_ms, command::ExternalCommand, identity::Owner, system};

/// How long the last of the output is waited for, once the command has ended.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
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
fn attend(files: &Files, order: &Order) -> io::Result<JoinHandle<()>> {
    let command = &order.command;
    // Whatever may fail is done before the command is started: then it must not look as if it had not been.
    system::keep_files_back()?;
    let (sender, events) = mpsc::channel();
    forward_signals(sender.clone())?;
    let (waiter, waited_for) = mpsc::channel();
    let _ = thread::Builder::new().spawn(move || {
        if let Ok(pid) = waited_for.recv() {
            child::wait_for_exit(pid);
            let _ = sender.send(Event::Exited);
        }
    })?;
    let (printed, print) = io::pipe()?;
    let mut output = Output::create(files.output())?;
    let (taken, all_taken) = mpsc::channel();
    let reader = thread::Builder::new().spawn(move || {
        output.take_all(printed);
        let _ = taken.send(());
    })?;
    let ending = files.reserve_end()?;
    files.write_started(&Started {
        tag: command.tag.clone(),
        argv: command.argv.clone(),
        at: Timestamp::now(),
        ticks_ms: Some(awake_ms()),
        shim: Owner::current()?,
    })?;

    let mut child = match child::start(command, print) {
        Ok(child) => child,
        Err(reason) => {
            write_end(&ending, &Finish::NotStarted { reason });
            return Ok(reader);
        }
    };
    let pid = child.id();
    // Without its process written down a command whose shim dies counts as lost, no worse.
    if let Ok(Some(owner)) = Owner::of(pid) {
        let _ = files.write_child(&owner);
    }
    let _ = waiter.send(pid);
    let why = child::watch(pid, command.timeout, order.grace, &events);
    let code = child.wait().map_or(-1, child::exit_code);
    // There in a moment, unless something that the command left running holds on to it.
    let _ = all_taken.recv_timeout(LAST_OUTPUT);
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

/// Has the command ended when the shim is asked to end.
fn forward_signals(stop: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT])?;
    let forward = move || {
        for _ in signals.forever() {
            // Once the command has ended nobody listens: what is asked to end is the reading of what it left running.
            if stop.send(Event::Stop).is_err() {
                std::process::exit(0);
            }
        }
    };
    thread::Builder::new().spawn(forward).map(drop)
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

/// Tells the engine, if it is still there.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn give_up(reason: &str) -> ExitCode {
    say(&reason.replace('\n', " "));
    ExitCode::FAILURE
}
