//! What the engine has heard of a watchdog.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    process::{Child, ChildStdout},
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use super::{AGAIN, protocol::Said};
use crate::drivers::clocks::Since;

/// What has been heard of the watchdog so far.
#[derive(Default)]
pub(super) struct Seen {
    state: Mutex<State>,
    changed: Condvar,
    /// When it was told to freeze.
    asked: OnceLock<Since>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Starting,
    Ready,
    /// It was told to freeze.
    Asked,
    Frozen,
    /// Its last word.
    Ended(Said),
    /// It died without one. If it may have frozen by then: whether it is thawed now, and after how many milliseconds.
    Died(Option<Result<u64, String>>),
    /// It said nothing when it had to: the same.
    Silent(Result<u64, String>),
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Its last word, unless it comes after it has been given up.
    fn end(&self, last: Said) {
        let mut state = self.lock();
        if !matches!(*state, State::Silent(_)) {
            *state = State::Ended(last);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// It has been given up while it was frozen, unless it has been heard of meanwhile.
    pub(super) fn give_up(&self, thawed: Result<u64, String>) {
        let mut state = self.lock();
        if *state == State::Frozen {
            *state = State::Silent(thawed);
        }
    }

    /// Whether it is frozen, as far as has been heard.
    pub(super) fn is_frozen(&self) -> bool {
        *self.lock() == State::Frozen
    }

    /// From ready to asked, before it is asked: if it dies from here on, it may have frozen. What it is instead, if it is
    /// not ready.
    pub(super) fn ask(&self) -> Result<(), State> {
        let mut state = self.lock();
        if *state != State::Ready {
            return Err(state.clone());
        }
        *state = State::Asked;
        let _ = self.asked.set(Since::now());
        Ok(())
    }

    /// Thaws what a watchdog left behind, and tries that for a while. Gives how many milliseconds it was held at most, from
    /// when the watchdog was told to freeze.
    pub(super) fn thaw(&self, file: &File) -> Result<u64, String> {
        thaw(file).map_err(|error| error.to_string())?;
        Ok(self.asked.get().map_or(0, |asked| asked.elapsed_ms()))
    }

    /// Waits until `enough`, at most so long, and gives what it is then.
    pub(super) fn wait(&self, limit: Duration, enough: impl Fn(&State) -> bool) -> State {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), limit, |state| !enough(state))
            .unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }
}

/// Hears what the watchdog says until it is gone, and thaws if it went without a word.
pub(super) fn follow(mut child: Child, answers: ChildStdout, file: &File, seen: &Seen) {
    for line in BufReader::new(answers).lines().map_while(Result::ok) {
        match line.parse() {
            Ok(Said::Ready) => seen.set(State::Ready),
            Ok(Said::Frozen) => seen.set(State::Frozen),
            Ok(last) => seen.end(last),
            Err(()) => {}
        }
    }
    // The pipe ends when all of its threads have ended: its freeze is not under way any more.
    let state = seen.lock().clone();
    match state {
        State::Ended(_) | State::Silent(_) => {}
        State::Starting | State::Ready => seen.set(State::Died(None)),
        State::Asked | State::Frozen | State::Died(_) => {
            seen.set(State::Died(Some(seen.thaw(file))));
        }
    }
    let _ = child.wait();
}

fn thaw(file: &File) -> io::Result<()> {
    const TRIES: u32 = 50;
    let mut result = super::thaw_open(file);
    for _ in 1..TRIES {
        if result.is_ok() {
            break;
        }
        thread::sleep(AGAIN);
        result = super::thaw_open(file);
    }
    result.map(drop)
}
