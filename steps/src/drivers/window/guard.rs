//! The engine's side of a watchdog.

use std::{
    ffi::OsString,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    check,
    protocol::{FREEZE, Said, THAW},
    seen::{Seen, State, follow},
};
use crate::failure::Failure;

/// How long a watchdog may take to start.
const START: Duration = Duration::from_secs(5);
/// How long it may take to answer, beyond what it was asked to wait for.
const ANSWER: Duration = Duration::from_secs(3);

/// How long after the budget a watchdog that has not thawed by then is not waited for any more.
const LATE: Duration = Duration::from_secs(1);

/// A window that a watchdog holds. Dropping it ends the window.
pub(super) struct Guard {
    filesystem: PathBuf,
    budget: Duration,
    file: Arc<File>,
    orders: ChildStdin,
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

/// How to start a watchdog.
pub(super) struct Program<'a> {
    pub(super) path: &'a Path,
    pub(super) prefix: &'a [OsString],
}

impl Guard {
    /// Flushes, starts the watchdog, and has it freeze.
    pub(super) fn open(program: &Program<'_>, filesystem: &Path, budget: Duration) -> Result<Self, Failure> {
        let (file, _) = check::open_freezable(filesystem)?;
        // A freeze flushes while writers already wait. What is flushed before does not count against the window.
        rustix::fs::syncfs(&file).map_err(|error| Failure::io("flush", filesystem, &error.into()))?;
        let mut guard = Self::start(program, filesystem, budget, file)?;
        let _ = guard.seen.wait(START, |state| *state != State::Starting);
        if let Err(state) = guard.seen.ask() {
            return Err(guard.not_opened(&state));
        }
        guard.order(FREEZE);
        match guard.seen.wait(budget + ANSWER, |state| *state != State::Asked) {
            State::Frozen => {
                let limit = guard.limit()?;
                guard.threads.push(limit);
                Ok(guard)
            }
            state => Err(guard.not_opened(&state)),
        }
    }

    fn start(
        program: &Program<'_>,
        filesystem: &Path,
        budget: Duration,
        file: File,
    ) -> Result<Self, Failure> {
        let cannot = |reason: String| {
            Failure::refused(format!(
                "the watchdog of {} cannot be started, so nothing was frozen: {reason}",
                filesystem.display()
            ))
        };
        let mut child = Command::new(program.path)
            .args(program.prefix)
            .arg("watchdog")
            .arg("--filesystem")
            .arg(filesystem)
            .arg("--budget-ms")
            .arg(budget.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot(format!("{}: {error}", program.path.display())))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(cannot("it has no pipes".into()));
        };
        let (file, seen) = (Arc::new(file), Arc::new(Seen::default()));
        let (thawable, seen_by) = (Arc::clone(&file), Arc::clone(&seen));
        let follower = thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || follow(child, answers, &thawable, &seen_by))
            .map_err(|error| cannot(error.to_string()))?;
        let threads = vec![follower];
        Ok(Self { filesystem: filesystem.to_owned(), budget, file, orders, seen, threads })
    }

    /// A second pair of eyes: a watchdog that is stopped or hangs keeps nothing frozen beyond the budget either.
    fn limit(&self) -> Result<JoinHandle<()>, Failure> {
        let (file, seen, limit) = (Arc::clone(&self.file), Arc::clone(&self.seen), self.budget + LATE);
        let watch = move || {
            if seen.wait(limit, |state| *state != State::Frozen) == State::Frozen {
                seen.give_up(seen.thaw(&file));
            }
        };
        thread::Builder::new().name("window-limit".into()).spawn(watch).map_err(|error| {
            Failure::temporary(format!("{} is thawed again: {error}", self.filesystem.display()))
        })
    }

    /// What it holds.
    pub(super) fn filesystem(&self) -> &Path {
        &self.filesystem
    }

    /// Whether it is frozen, as far as has been heard.
    pub(super) fn is_frozen(&self) -> bool {
        self.seen.is_frozen()
    }

    /// Ends the window, and gives its length in milliseconds; if it did not end as it should, why, and the length as far
    /// as it was measured.
    pub(super) fn close(mut self) -> Result<u64, (Failure, Option<u64>)> {
        self.order(THAW);
        let state = self.seen.wait(ANSWER, |state| *state != State::Frozen);
        if matches!(state, State::Ended(_) | State::Died(_)) {
            // The watchdog ends now. After that nothing here has the file system open, and it may be unmounted.
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
        let at = self.filesystem.display();
        let budget = self.budget.as_millis();
        let silent = || format!("the watchdog of {at} fell silent; {at} was thawed without it");
        let (told, measured) = match state {
            State::Ended(Said::Thawed(length)) => return Ok(length),
            State::Ended(Said::Overrun(length)) => {
                let told = format!(
                    "the window of {at} was over its budget of {budget} ms: it was thawed after {length} ms"
                );
                (told, Some(length))
            }
            State::Ended(Said::Stopped(length)) => (
                format!(
                    "the watchdog of {at} was asked to end from outside, and thawed it after {length} ms"
                ),
                Some(length),
            ),
            State::Ended(Said::Released(length)) => (
                format!("{at} was thawed by somebody else before the window was closed after {length} ms"),
                Some(length),
            ),
            State::Died(Some(Err(reason))) | State::Silent(Err(reason)) => {
                return Err((self.still_frozen(&reason), None));
            }
            State::Died(died) => (
                format!("the watchdog of {at} died in the window; {at} was thawed at once"),
                died.and_then(Result::ok),
            ),
            State::Silent(Ok(length)) => (silent(), Some(length)),
            // It does not answer.
            _ => match self.seen.thaw(&self.file) {
                Ok(length) => (silent(), Some(length)),
                Err(reason) => return Err((self.still_frozen(&reason), None)),
            },
        };
        let failure =
            Failure::permanent(format!("{told}; what was split in this window is not of one moment"))
                .with_help(
                    "run the operation again; if the split takes long, give `quiesce.window` more time",
                );
        Err((failure, measured))
    }

    fn not_opened(&self, state: &State) -> Failure {
        let at = self.filesystem.display();
        match state {
            State::Ended(Said::Busy) => {
                Failure::temporary(format!("{at} is frozen already, by somebody else; it was left as it is"))
                    .with_help(format!(
                        "wait until the other has thawed it; if nobody holds it: fsfreeze --unfreeze {at}"
                    ))
            }
            State::Ended(Said::Failed(reason)) => {
                Failure::permanent(format!("{at} was not frozen: {reason}"))
            }
            State::Ended(_) | State::Asked => Failure::temporary(format!(
                "{at} could not be frozen within the window's budget of {} ms; it is thawed as soon as it can be",
                self.budget.as_millis()
            ))
            .with_help("its device is slow or busy: give `quiesce.window` more time"),
            State::Died(Some(Err(reason))) => self.still_frozen(reason),
            State::Died(Some(Ok(_))) => {
                Failure::temporary(format!("the watchdog of {at} died while it was freezing; {at} is thawed"))
            }
            State::Starting | State::Ready | State::Frozen | State::Died(None) | State::Silent(_) => Failure::refused(format!(
                "the watchdog of {at} did not start within {} s, so nothing was frozen",
                START.as_secs()
            )),
        }
    }

    fn still_frozen(&self, reason: &str) -> Failure {
        let at = self.filesystem.display();
        Failure::unknown(format!("the watchdog of {at} is gone or silent, and thawing {at} failed: {reason}"))
            .with_help(format!("thaw it by hand: fsfreeze --unfreeze {at}"))
    }

    /// Says something to the watchdog. If it is gone, its last state is known, or will be in a moment.
    fn order(&mut self, order: &str) {
        let _ = writeln!(self.orders, "{order}");
    }
}
