//! Watches calls of sled, which on a failing disk may never return. A thread that hangs in one cannot be freed, and
//! whoever waits for it hangs with it: the process ends, clearly, and the next one builds the view again from the log.

use std::{
    collections::BTreeMap,
    io::Write,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::error::StoreError;

/// The calls that are being made.
pub(super) struct Watch {
    patience: Duration,
    path: PathBuf,
    calls: Mutex<Calls>,
    changed: Condvar,
}

#[derive(Default)]
struct Calls {
    /// Since when, by the order of their beginning; so the first is the oldest.
    open: BTreeMap<u64, (Instant, &'static str)>,
    begun: u64,
    /// Whether the watcher waits to be told that there is something to watch.
    is_resting: bool,
    is_over: bool,
}

impl Watch {
    /// Starts a watcher of the calls to the views in a directory; one that takes longer than `patience` ends the process.
    pub(super) fn start(path: PathBuf, patience: Duration) -> Result<Arc<Watcher>, StoreError> {
        let watch = Arc::new(Self { patience, path, calls: Mutex::default(), changed: Condvar::new() });
        let watched = Arc::clone(&watch);
        let watching = thread::Builder::new().name("watch".to_owned()).spawn(move || watched.watch());
        let _ = watching.map_err(StoreError::io("start a thread for", &watch.path))?;
        Ok(Arc::new(Watcher(watch)))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut calls = self.calls();
        while !calls.is_over {
            let Some((since, doing)) = calls.open.first_key_value().map(|(_, call)| *call) else {
                calls.is_resting = true;
                calls = self.changed.wait(calls).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = self.patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                end(&StoreError::View {
                    path: self.path.clone(),
                    message: format!("'{doing}' has not returned for {} s", self.patience.as_secs()),
                    full: false,
                });
            }
            // It is not told of every end: it looks again when the oldest call would be late.
            calls = self.changed.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Says why, and ends this process at once: nothing is lost, since what is durable is not sled's.
fn end(error: &StoreError) -> ! {
    let _ = writeln!(std::io::stderr(), "the engine ends: {error}");
    // An orderly exit would wait for locks that what hangs may hold.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        thread::park();
    }
}

/// Ends the watching when it goes.
pub(super) struct Watcher(Arc<Watch>);

impl Watcher {
    /// A call begins; it ends when what is returned is dropped.
    pub(super) fn call(&self, doing: &'static str) -> Call<'_> {
        let mut calls = self.0.calls();
        calls.begun += 1;
        let number = calls.begun;
        let _ = calls.open.insert(number, (Instant::now(), doing));
        if std::mem::take(&mut calls.is_resting) {
            self.0.changed.notify_one();
        }
        Call { watch: &self.0, number }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.calls().is_over = true;
        self.0.changed.notify_one();
    }
}

/// A call that is being made.
pub(super) struct Call<'a> {
    watch: &'a Watch,
    number: u64,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let _ = self.watch.calls().open.remove(&self.number);
    }
}
