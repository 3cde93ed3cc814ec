//! How far a pass has come, counted from several threads.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    context::{Progress, Work},
    failure::Failure,
};

/// Between two reports.
const PAUSE: Duration = Duration::from_millis(100);

/// Counts, and reports some ten times a second.
pub(in crate::drivers) struct Counter<'a> {
    work: &'a Work,
    bytes: AtomicU64,
    entries: AtomicU64,
    of_bytes: Option<u64>,
    of_entries: Option<u64>,
    reported: Mutex<Instant>,
}

impl<'a> Counter<'a> {
    pub(in crate::drivers) fn new(work: &'a Work, of_entries: Option<u64>, of_bytes: Option<u64>) -> Self {
        // The first report is made at once.
        let now = Instant::now();
        let reported = Mutex::new(now.checked_sub(PAUSE).unwrap_or(now));
        Self { work, bytes: 0.into(), entries: 0.into(), of_bytes, of_entries, reported }
    }

    /// Adds what was done. A failure if the work was asked to stop: a safe point.
    pub(in crate::drivers) fn add(&self, entries: u64, bytes: u64) -> Result<(), Failure> {
        let _ = self.entries.fetch_add(entries, Ordering::Relaxed);
        let _ = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.work.check()?;
        // A thread that finds another one reporting goes on.
        if let Ok(mut reported) = self.reported.try_lock()
            && reported.elapsed() >= PAUSE
        {
            *reported = Instant::now();
            self.report();
        }
        Ok(())
    }

    fn report(&self) {
        self.work.report(Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            of_bytes: self.of_bytes,
            entries: self.entries.load(Ordering::Relaxed),
            of_entries: self.of_entries,
        });
    }

    /// The last report.
    pub(in crate::drivers) fn finish(self) {
        drop(self.reported.lock().unwrap_or_else(PoisonError::into_inner));
        self.report();
    }
}
