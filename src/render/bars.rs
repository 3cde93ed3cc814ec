//! A run as it goes on: on a terminal a bar for each step that runs, elsewhere lines.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use resplit_engine::protocol::{Event, What};
use resplit_operations::ids::StepId;
use resplit_steps::context::Progress;

use super::{progress, text::plain};
use crate::output::{self, View};

/// How often, at most, lines tell how far a step has come. In seconds.
const BETWEEN_LINES: i64 = 30;

/// Bars on the terminal that standard error is: one for each step that runs; a line above them for each that ended.
pub(crate) struct Bars {
    all: MultiProgress,
    running: BTreeMap<StepId, ProgressBar>,
}

impl Bars {
    /// No bars yet.
    pub(crate) fn new() -> Self {
        Self { all: MultiProgress::new(), running: BTreeMap::new() }
    }

    /// Shows what happened.
    pub(crate) fn tell(&mut self, event: &Event, view: &View) {
        match (&event.what, &event.step) {
            (What::Started { .. }, Some(step)) => {
                let host = event.host.iter().map(|host| format!(" on {host}"));
                let name = host.fold(step.to_string(), |name, host| name + &host);
                self.begin(step, &name);
                return;
            }
            (What::Progress { progress }, Some(step)) => {
                if let Some(bar) = self.running.get(step) {
                    advance(bar, progress);
                }
                return;
            }
            (
                What::Done { .. } | What::Failed { .. } | What::Skipped { .. } | What::Parked { .. },
                Some(step),
            ) => {
                if let Some(bar) = self.running.remove(step) {
                    bar.finish_and_clear();
                }
            }
            // How the run ended is said by whoever follows it.
            (What::Ended { .. }, _) => return,
            _ => {}
        }
        if let Some(line) = progress::line(event, false, view, &View::paint_error) {
            // A terminal that has gone away changes nothing.
            let _ = self.all.println(line);
        }
    }

    fn begin(&mut self, step: &StepId, name: &str) {
        let bar = self.all.add(ProgressBar::new_spinner());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_prefix(plain(name).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.running.insert(step.clone(), bar) {
            old.finish_and_clear();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.running.values() {
            bar.finish_and_clear();
        }
    }
}

/// Bytes move the bar where there are any, else files.
fn advance(bar: &ProgressBar, progress: &Progress) {
    let bytes = progress.bytes > 0 || progress.of_bytes.is_some();
    if bytes {
        if let Some(of) = progress.of_bytes {
            bar.set_length(of);
        }
        bar.set_position(progress.bytes);
    }
    let left = match (progress.of_bytes, progress.of_entries) {
        (Some(_), _) => Some(bar.eta()),
        (None, Some(of)) => by_entries(bar.elapsed(), progress.entries, of),
        (None, None) => None,
    };
    // A rate is a small positive number; a fraction of a byte does not matter.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rate = if bytes { bar.per_sec() as u64 } else { 0 };
    bar.set_message(Cow::Owned(progress::working(progress, rate, left)));
}

/// The time left if every file takes as long as those that are done took on average.
fn by_entries(elapsed: Duration, done: u64, of: u64) -> Option<Duration> {
    let missing = u128::from(of.saturating_sub(done));
    let milliseconds = elapsed.as_millis().checked_mul(missing)?.checked_div(u128::from(done))?;
    Some(Duration::from_millis(u64::try_from(milliseconds).ok()?))
}

/// Lines on standard error: one for each event, and how far a step has come from time to time.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// When each step that runs was last told of, and the bytes it had then.
    told: BTreeMap<StepId, (Timestamp, u64)>,
}

impl Lines {
    /// Tells what happened.
    pub(crate) fn tell(&mut self, event: &Event, view: &View) {
        match (&event.what, &event.step) {
            // A step that was begun is told of when it has ended, and every now and then if that takes long.
            (What::Ended { .. } | What::Started { attempt: 1 }, _) => {}
            (What::Progress { progress }, Some(step)) => {
                if let Some(text) = self.far(event.time, step, progress) {
                    output::note(&format!("{}: {text}", plain(step.as_str())));
                }
            }
            _ => {
                if let Some(line) = progress::line(event, true, view, &View::paint_error) {
                    output::note(&line);
                }
            }
        }
    }

    /// How far a step has come, if it is time to say so again.
    fn far(&mut self, now: Timestamp, step: &StepId, progress: &Progress) -> Option<String> {
        let Some((then, bytes)) = self.told.get(step).copied() else {
            let _ = self.told.insert(step.clone(), (now, progress.bytes));
            return None;
        };
        let seconds = now.as_second() - then.as_second();
        if seconds < BETWEEN_LINES {
            return None;
        }
        let _ = self.told.insert(step.clone(), (now, progress.bytes));
        let rate = progress.bytes.saturating_sub(bytes) / u64::try_from(seconds).unwrap_or(1).max(1);
        let missing = progress.of_bytes.map(|of| of.saturating_sub(progress.bytes));
        let left = missing.filter(|_| rate > 0).map(|bytes| Duration::from_secs(bytes / rate));
        Some(progress::working(progress, rate, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_by_files_where_the_bytes_are_not_known() {
        let elapsed = Duration::from_secs(10);
        assert_eq!(by_entries(elapsed, 0, 4), None);
        assert_eq!(by_entries(elapsed, 1, 4), Some(Duration::from_secs(30)));
        assert_eq!(by_entries(elapsed, 4, 4), Some(Duration::ZERO));
    }

    #[test]
    fn lines_tell_of_progress_from_time_to_time() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let done = |bytes| Progress { bytes, of_bytes: Some(1 << 30), ..Progress::default() };
        let (step, mut lines) = ("resync".into(), Lines::default());
        assert_eq!(lines.far(at(0), &step, &done(0)), None);
        assert_eq!(lines.far(at(29), &step, &done(1 << 20)), None);
        let text = lines.far(at(32), &step, &done(32 << 20)).unwrap();
        assert_eq!(text, "32 MiB of 1 GiB, 1 MiB/s, 16 min 32 s left");
        assert_eq!(lines.far(at(40), &step, &done(64 << 20)), None);
    }
}
