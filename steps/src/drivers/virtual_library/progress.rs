//! Progress, some ten times a second at most.

use std::time::{Duration, Instant};

use crate::{
    context::{Progress, Work},
    failure::Failure,
};

const PAUSE: Duration = Duration::from_millis(100);

/// Reports, and looks whether the work is to stop.
pub(super) struct Ticker<'a> {
    work: &'a Work,
    /// How far the work has come.
    pub(super) progress: Progress,
    last: Instant,
}

impl<'a> Ticker<'a> {
    /// Begins with what there is to be done.
    pub(super) fn new(work: &'a Work, of_bytes: u64, of_entries: u64) -> Self {
        let progress =
            Progress { bytes: 0, of_bytes: Some(of_bytes), entries: 0, of_entries: Some(of_entries) };
        work.report(progress);
        Self { work, progress, last: Instant::now() }
    }

    /// Something was done: a safe point.
    pub(super) fn tick(&mut self, bytes: u64, entries: u64) -> Result<(), Failure> {
        self.progress.bytes += bytes;
        self.progress.entries += entries;
        if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            self.work.report(self.progress);
        }
        self.work.check()
    }

    /// The last word.
    pub(super) fn end(&self) {
        self.work.report(self.progress);
    }
}
