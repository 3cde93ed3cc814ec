//! The watchdog: a process that holds one file system still, and lets it go whatever becomes of the engine. Its budget
//! goes on while the machine is suspended: it has thawed in the moment in which that ends.

use std::{
    fs::{self, File},
    io::{self, BufRead, Write},
    os::fd::OwnedFd,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};

use super::{
    AGAIN, check,
    marker::{self, Marker},
    protocol::{FREEZE, Said, THAW},
};
use crate::drivers::{clocks::Since, mounts::Mount, system};

/// What happens to a watchdog.
enum Event {
    /// The engine asks it to freeze.
    Freeze,
    /// The engine asks it to thaw.
    Thaw,
    /// The engine is gone, or somebody asks the watchdog to end.
    End,
    /// The system call has returned.
    Froze(io::Result<()>),
    /// The budget has passed.
    Late,
}

/// What a watchdog has before it freezes anything.
struct Ready {
    file: Arc<File>,
    mount: Mount,
    /// Unset: it begins with the freeze.
    budget: Arc<OwnedFd>,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

/// Runs as the watchdog of one window: freezes when it is told to, and thaws when it is told to, when standard input ends,
/// when the budget has passed since the freeze began, or on SIGTERM, whichever comes first. Ends when nothing is frozen.
pub fn watchdog_main(filesystem: &Path, budget: Duration) -> ExitCode {
    match prepare(filesystem) {
        Ok(ready) => watch(&ready, filesystem, budget),
        Err(reason) => {
            say(&Said::Failed(reason));
            ExitCode::FAILURE
        }
    }
}

/// Everything that may fail or wait is done before anything is frozen.
fn prepare(filesystem: &Path) -> Result<Ready, String> {
    // Out of the terminal's and the engine's reach. It fails only where this process leads a group already.
    let _ = rustix::process::setsid();
    // Killed last when memory runs out; without the right to ask for that, it is no worse than any process.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let (file, mount) = check::open_freezable(filesystem).map_err(|failure| failure.message)?;
    super::mark_held(&file);
    std::env::set_current_dir("/").map_err(|error| format!("cannot change to /: {error}"))?;
    let (sender, events) = mpsc::channel();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT])
        .map_err(|error| format!("cannot watch for signals: {error}"))?;
    let ended = sender.clone();
    let _ = thread::spawn(move || {
        for _ in signals.forever() {
            let _ = ended.send(Event::End);
        }
    });
    let asked = sender.clone();
    let _ = thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = match line.as_str() {
                FREEZE => asked.send(Event::Freeze),
                THAW => asked.send(Event::Thaw),
                _ => break,
            };
        }
        let _ = asked.send(Event::End);
    });
    let budget = timer(&sender).map_err(|error| format!("cannot have a timer: {error}"))?;
    Ok(Ready { file: Arc::new(file), mount, budget, events, sender })
}

/// A timer, not yet set, that counts the time in which the machine is suspended.
fn timer(late: &Sender<Event>) -> io::Result<Arc<OwnedFd>> {
    let timer = Arc::new(timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?);
    let (waited_for, late) = (Arc::clone(&timer), late.clone());
    let _ = thread::Builder::new().name("budget".into()).spawn(move || {
        // Returns once it has passed. What else may end the call leaves nobody to count, which is too late, too.
        let mut times = [0; 8];
        while rustix::io::read(&waited_for, &mut times) == Err(Errno::INTR) {}
        let _ = late.send(Event::Late);
    })?;
    Ok(timer)
}

fn set(timer: &OwnedFd, after: Duration) -> io::Result<()> {
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Nothing at all would unset it.
    let after = Timespec::try_from(after.max(Duration::from_nanos(1))).map_err(io::Error::other)?;
    let once = Itimerspec { it_interval: none, it_value: after };
    let _ = timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

fn watch(ready: &Ready, filesystem: &Path, budget: Duration) -> ExitCode {
    let Ready { file, mount, budget: timer, events, sender } = ready;
    say(&Said::Ready);
    match events.recv() {
        Ok(Event::Freeze) => {}
        // The engine changed its mind, or is gone; nothing is frozen.
        _ => return ExitCode::SUCCESS,
    }
    let directory = Path::new(marker::DIRECTORY);
    let noted = Marker::make(directory, mount, filesystem)
        .map_err(|error| format!("cannot note that in {}: {error}", directory.display()))
        .and_then(|marker| {
            set(timer, budget).map(|()| marker).map_err(|error| format!("cannot set a timer: {error}"))
        });
    let marker = match noted {
        Ok(marker) => marker,
        Err(reason) => {
            say(&Said::Failed(reason));
            return ExitCode::FAILURE;
        }
    };
    // The call may take long, or for ever where the device hangs: it gets a thread of its own.
    let (frozen_file, froze) = (Arc::clone(file), sender.clone());
    let began = Since::now();
    let _ = thread::spawn(move || {
        let _ = froze.send(Event::Froze(system::freeze(&frozen_file)));
    });
    let end = hold(events);
    match end {
        End::Never(error) => {
            marker.take_back();
            say(&match Errno::from_io_error(&error) {
                Some(Errno::BUSY) => Said::Busy,
                _ => Said::Failed(error.to_string()),
            });
            return ExitCode::FAILURE;
        }
        End::Asked | End::Budget | End::Gone => {}
    }
    let was_frozen = thaw_until_done(file);
    let length = began.elapsed_ms();
    marker.take_back();
    let said = match end {
        _ if !was_frozen => Said::Released(length),
        End::Asked => Said::Thawed(length),
        End::Budget => Said::Overrun(length),
        End::Gone | End::Never(_) => Said::Stopped(length),
    };
    say(&said);
    if matches!(said, Said::Thawed(_)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Why a window ends.
enum End {
    /// The engine asks for it.
    Asked,
    /// The budget has passed.
    Budget,
    /// The engine is gone, or the watchdog was asked to end.
    Gone,
    /// It never began.
    Never(io::Error),
}

/// Waits until the window must end and the freeze has returned: what is still being frozen cannot be thawed yet.
fn hold(events: &Receiver<Event>) -> End {
    let mut frozen = false;
    let mut end = None;
    loop {
        if frozen && let Some(end) = end {
            return end;
        }
        match events.recv() {
            Ok(Event::Froze(Ok(()))) => {
                frozen = true;
                say(&Said::Frozen);
            }
            Ok(Event::Froze(Err(error))) => return End::Never(error),
            Ok(Event::Freeze) => {}
            Ok(Event::Thaw) => end = end.or(Some(End::Asked)),
            Ok(Event::End) | Err(_) => end = end.or(Some(End::Gone)),
            Ok(Event::Late) => end = end.or(Some(End::Budget)),
        }
    }
}

/// Thaws, however often it has to be tried. `false` if it was not frozen any more.
fn thaw_until_done(file: &File) -> bool {
    loop {
        match super::thaw_open(file) {
            Ok(was_frozen) => return was_frozen,
            Err(_) => thread::sleep(AGAIN),
        }
    }
}

/// Tells the engine, if it is still there.
fn say(said: &Said) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{said}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a window in which these things happen, and how long it took.
    fn end_of(budget: u64, happens: impl FnOnce(Sender<Event>) + Send + 'static) -> (End, Duration) {
        let (sender, events) = mpsc::channel();
        let (timer, began) = (timer(&sender).unwrap(), Since::now());
        set(&timer, Duration::from_millis(budget)).unwrap();
        let _ = thread::spawn(move || happens(sender));
        (hold(&events), began.elapsed())
    }

    #[test]
    fn what_is_still_being_frozen_is_waited_for_even_over_the_budget() {
        let late = |sender: Sender<Event>| {
            thread::sleep(Duration::from_millis(150));
            sender.send(Event::Froze(Ok(()))).unwrap();
            thread::sleep(Duration::from_secs(60));
        };
        let (end, took) = end_of(20, late);
        assert!(matches!(end, End::Budget) && took >= Duration::from_millis(150), "{took:?}");
        let gone = move |sender: Sender<Event>| {
            sender.send(Event::End).unwrap();
            late(sender);
        };
        let (end, took) = end_of(60_000, gone);
        assert!(matches!(end, End::Gone) && took >= Duration::from_millis(150), "{took:?}");
    }

    #[test]
    fn the_first_reason_counts_and_a_freeze_that_failed_holds_nothing() {
        let both = |sender: Sender<Event>| {
            for event in [Event::Froze(Ok(())), Event::Thaw, Event::End] {
                sender.send(event).unwrap();
            }
        };
        assert!(matches!(end_of(60_000, both).0, End::Asked));
        let failed = |sender: Sender<Event>| {
            sender.send(Event::End).unwrap();
            sender.send(Event::Froze(Err(Errno::BUSY.into()))).unwrap();
        };
        assert!(matches!(end_of(60_000, failed).0, End::Never(_)));
    }
}
